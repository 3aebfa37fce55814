//! What the scheduler's tests have in common: models without weights, and a scheduler to drive.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::cache::BLOCK_TOKENS;
use crate::config::ModelConfig;
use crate::engine::call::{Goal, Place};
use crate::engine::{Event, ForwardOptions, ForwardOutput, Generation};
use crate::model::Probe;
use crate::sampling::{GenerationOptions, Grammar};
use crate::tokenizer::Tokenizer;

pub const VOCAB: usize = 517;

/// Finds every token equally likely.
pub struct Indifferent;

impl Model for Indifferent {
    fn forward(&mut self, batch: &Batch, _: &mut dyn Probe, logits: &mut Vec<f32>) -> Result<()> {
        *logits = vec![0.0; batch.outputs.len() * VOCAB];
        Ok(())
    }

    fn read_block(&self, _: u32) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn write_block(&mut self, _: u32, _: &[u8]) -> Result<()> {
        Ok(())
    }
}

/// A model whose next token follows from what its cache holds, so that a text repeats itself often, but
/// not always.
#[derive(Default)]
pub struct Repetitive {
    pub cache: HashMap<u32, [u32; BLOCK_TOKENS]>,
    /// Whether now and then the whole text counts, and not its last two tokens.
    pub reads_all: bool,
    pub passes: Arc<AtomicUsize>,
    /// Rows of logits of the largest pass.
    pub rows: Arc<AtomicUsize>,
    /// Rows of all passes.
    pub read: Arc<AtomicUsize>,
}

impl Model for Repetitive {
    fn forward(&mut self, batch: &Batch, _: &mut dyn Probe, logits: &mut Vec<f32>) -> Result<()> {
        self.passes.fetch_add(1, Ordering::Relaxed);
        self.rows.fetch_max(batch.outputs.len(), Ordering::Relaxed);
        self.read.fetch_add(batch.rows(), Ordering::Relaxed);
        logits.clear();
        for span in &batch.spans {
            for row in span.rows.clone() {
                let position = batch.positions[row] as usize;
                let block = self.cache.entry(span.tables[0].block(position)).or_default();
                block[position % BLOCK_TOKENS] = batch.tokens[row];
                if !batch.outputs.contains(&row) {
                    continue;
                }
                let token = |p: usize| self.cache[&span.tables[0].block(p)][p % BLOCK_TOKENS];
                let (last, before) = (token(position), token(position.saturating_sub(1)));
                let all = match self.reads_all {
                    true => (0..position).fold(7, |hash, p| hash * 31 % 65_521 + token(p) as usize),
                    false => before as usize,
                };
                let next = match (last as usize * 31 + position) % 23 {
                    0 => (all * 7 + position) % VOCAB,
                    _ => (last as usize * 5 + 1) % 40,
                };
                let other = |id: usize| ((id * 2_654_435_761 + position) % 1000) as f32 / 1000.0;
                logits.extend((0..VOCAB).map(|id| if id == next { 6.0 } else { other(id) }));
            }
        }
        Ok(())
    }

    fn read_block(&self, block: u32) -> Result<Vec<u8>> {
        let tokens = self.cache.get(&block).copied().unwrap_or_default();
        Ok(tokens.iter().flat_map(|token| token.to_le_bytes()).collect())
    }

    fn write_block(&mut self, block: u32, bytes: &[u8]) -> Result<()> {
        let tokens =
            bytes.chunks_exact(4).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap()));
        let into = self.cache.entry(block).or_default();
        into.iter_mut().zip(tokens).for_each(|(into, token)| *into = token);
        Ok(())
    }
}

/// Finds the logits after one token broken.
#[derive(Default)]
pub struct Broken(pub Repetitive);

pub const BROKEN: u32 = 511;

impl Model for Broken {
    fn forward(
        &mut self,
        batch: &Batch,
        probe: &mut dyn Probe,
        logits: &mut Vec<f32>,
    ) -> Result<()> {
        self.0.forward(batch, probe, logits)?;
        for (&row, logits) in batch.outputs.iter().zip(logits.chunks_exact_mut(VOCAB)) {
            if batch.tokens[row] == BROKEN {
                logits[9] = f32::NAN;
            }
        }
        Ok(())
    }

    fn read_block(&self, block: u32) -> Result<Vec<u8>> {
        self.0.read_block(block)
    }

    fn write_block(&mut self, block: u32, bytes: &[u8]) -> Result<()> {
        self.0.write_block(block, bytes)
    }
}

/// A model on a machine whose passes take a known time, and the only clock there is: others than its passes
/// take none.
pub struct Timed {
    pub micros: Arc<AtomicU64>,
    pub taken: fn(rows: usize) -> u64,
}

impl Model for Timed {
    fn forward(
        &mut self,
        batch: &Batch,
        probe: &mut dyn Probe,
        logits: &mut Vec<f32>,
    ) -> Result<()> {
        self.micros.fetch_add((self.taken)(batch.rows()), Ordering::Relaxed);
        Indifferent.forward(batch, probe, logits)
    }

    fn read_block(&self, _: u32) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn write_block(&mut self, _: u32, _: &[u8]) -> Result<()> {
        Ok(())
    }
}

pub struct Bench {
    pub scheduler: Scheduler,
    pub tokenizer: Arc<Tokenizer>,
    pub config: ModelConfig,
    pub context: usize,
}

impl Bench {
    pub fn new(blocks: usize) -> Bench {
        Bench::with(Indifferent, blocks, Limits::default())
    }

    /// Its clock stands still, so that no test hangs on the time.
    pub fn with(model: impl Model + 'static, blocks: usize, limits: Limits) -> Bench {
        Bench::clocked(model, blocks, limits, Arc::default())
    }

    /// By a clock that shows so many microseconds.
    pub fn clocked(
        model: impl Model + 'static,
        blocks: usize,
        limits: Limits,
        micros: Arc<AtomicU64>,
    ) -> Bench {
        let start = Instant::now();
        let now = move || start + Duration::from_micros(micros.load(Ordering::Relaxed));
        let now = Box::new(now);
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tiny-mha-f32");
        Bench {
            scheduler: Scheduler::new(Box::new(model), VOCAB, "f32", blocks, limits, now),
            tokenizer: Arc::new(Tokenizer::from_dir(&golden).expect("golden tokenizer")),
            config: ModelConfig::from_dir(&golden).expect("golden config"),
            context: 4096,
        }
    }

    pub fn add(&mut self, prompt: Vec<u32>, max_new_tokens: usize) -> Generation {
        let options = GenerationOptions { max_new_tokens, ..GenerationOptions::default() };
        self.call(vec![prompt], Goal::Generate(options.into()), 0)
    }

    pub fn call(&mut self, prompts: Vec<Vec<u32>>, goal: Goal, seed: u64) -> Generation {
        self.formed(prompts, goal, seed, None)
    }

    /// The same, of answers of one form.
    pub fn formed(
        &mut self,
        prompts: Vec<Vec<u32>>,
        goal: Goal,
        seed: u64,
        grammar: Option<Arc<Grammar>>,
    ) -> Generation {
        let generation = Generation::new(prompts.len() * goal.answers(), place(), || {});
        let (mailbox, tokenizer) = (generation.mailbox(), self.tokenizer.clone());
        let call = Call::new(mailbox, prompts, goal, seed, self.context, tokenizer);
        self.scheduler.add(call.constrained(grammar));
        generation
    }

    pub fn forward(&mut self, ids: Vec<u32>) -> async_channel::Receiver<Result<ForwardOutput>> {
        let (reply, result) = async_channel::bounded(1);
        let options = ForwardOptions::default();
        let request = ForwardRequest::new(ids, options, &self.config, place(), reply);
        self.scheduler.add_forward(request.expect("memory"));
        result
    }

    /// Runs until nothing can run.
    pub fn run(&mut self) {
        while self.scheduler.step() {}
    }
}

fn place() -> Place {
    Place::take(&Arc::default(), 1).expect("the only one")
}

/// Fills a reader's mailbox, so that its call pauses.
pub fn pause(generation: &Generation) {
    for _ in 0..crate::engine::EVENTS_AHEAD {
        generation.mailbox().send(Event::Prompt { index: 0, tokens: Vec::new() });
    }
}

/// The number of tokens that are there to be read.
pub fn drain(generation: &Generation) -> usize {
    let mut tokens = 0;
    while generation.has_events() {
        let Some(events) = generation.next_blocking() else { break };
        let events = events.expect("no error");
        tokens += events.iter().filter(|event| matches!(event, Event::Token { .. })).count();
    }
    tokens
}
