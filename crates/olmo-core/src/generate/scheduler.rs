//! Which tokens of which requests run in the next pass.
//!
//! ```text
//! forever:
//!     drop what was cancelled
//!     admit waiting sequences while the cache has all the blocks they can come to need
//!     batch = one row of every decoding sequence + a chunk of the prompts still being read
//!     logits = model(batch); every sequence turns its rows of them into tokens and events
//! ```
//!
//! A sequence takes all its blocks when it is admitted, so none ever has to be thrown out again.

use std::collections::VecDeque;

use super::processors::Scores;
use super::request::Mailbox;
use super::sequence::{Desk, Sequence};
use super::study::Study;
use super::{OUTPUT_CHUNK, PREFILL_CHUNK};
use crate::cache::BlockPool;
use crate::model::{Batch, Model, Silent};
use crate::{Error, Result};

/// Sequences in one pass at most: bounds the logits of a pass, `[sequences, vocab]`.
const MAX_RUNNING: usize = 64;

pub(super) struct Scheduler {
    model: Box<dyn Model>,
    desk: Desk,
    pool: BlockPool,
    waiting: VecDeque<Sequence>,
    running: Vec<Sequence>,
    studies: VecDeque<Study>,
    logits: Vec<f32>,
}

/// The part of a batch that belongs to one running sequence.
struct Share {
    sequence: usize,
    rows: usize,
    outputs: usize,
}

impl Scheduler {
    pub fn new(
        model: Box<dyn Model>,
        vocab_size: usize,
        dtype: &'static str,
        blocks: usize,
    ) -> Scheduler {
        Scheduler {
            model,
            desk: Desk { vocab_size, dtype, scores: Scores::default(), buffer: Vec::new() },
            pool: BlockPool::new(blocks),
            waiting: VecDeque::new(),
            running: Vec::new(),
            studies: VecDeque::new(),
            logits: Vec::new(),
        }
    }

    pub fn add(&mut self, sequence: Sequence) {
        self.waiting.push_back(sequence);
    }

    pub fn add_study(&mut self, study: Study) {
        self.studies.push_back(study);
    }

    /// Runs one pass. False if there is nothing to run until a new request comes, or a reader takes
    /// its events.
    pub fn step(&mut self) -> bool {
        self.drop_cancelled();
        // A study waits for room only until running sequences end: no new ones are let in before it.
        let may_admit = match self.studies.front_mut() {
            Some(study) => study.reserve(&mut self.pool),
            None => true,
        };
        if may_admit {
            self.admit();
        }
        let (batch, shares) = self.plan();
        if !shares.is_empty() {
            let result = self.model.forward(&batch, &mut Silent, &mut self.logits);
            self.hand_out(&shares, result);
        }
        let studied = self.study();
        studied || !shares.is_empty()
    }

    /// Ends every request with an error.
    pub fn fail_all(&mut self, error: &Error) {
        for sequence in self.waiting.drain(..).chain(self.running.drain(..)) {
            sequence.mailbox.fail(error.clone());
        }
        for study in self.studies.drain(..) {
            study.fail(error.clone());
        }
    }

    fn drop_cancelled(&mut self) {
        let cancelled = |mailbox: &Mailbox| {
            let cancelled = mailbox.is_cancelled();
            if cancelled {
                mailbox.fail(Error::Cancelled);
            }
            cancelled
        };
        self.waiting.retain(|sequence| !cancelled(&sequence.mailbox));
        self.running.retain(|sequence| {
            let cancelled = cancelled(&sequence.mailbox);
            if cancelled {
                self.pool.release(sequence.blocks());
            }
            !cancelled
        });
        self.studies.retain(|study| {
            if study.is_cancelled() {
                self.pool.release(study.blocks());
            }
            !study.is_cancelled()
        });
    }

    /// In the order they came; the first that has to wait makes the others wait, so that a long
    /// prompt cannot be overtaken for ever.
    fn admit(&mut self) {
        while self.running.len() < MAX_RUNNING {
            let Some(mut sequence) = self.waiting.pop_front() else { return };
            if self.is_worth_waiting(&sequence) || !sequence.reserve(&mut self.pool) {
                self.waiting.push_front(sequence);
                return;
            }
            self.running.push(sequence);
        }
    }

    /// Whether a running sequence is about to compute blocks that this one could share: it comes
    /// cheaper later. This is how the answers to one prompt read it only once.
    fn is_worth_waiting(&self, sequence: &Sequence) -> bool {
        let now = self.pool.count_shared(sequence.shareable());
        let soon = self.running.iter().map(|other| other.will_share(sequence.shareable())).max();
        soon.is_some_and(|soon| soon > now)
    }

    fn plan(&self) -> (Batch, Vec<Share>) {
        let mut batch = Batch::default();
        let mut shares = Vec::new();
        let mut prompt_rows = PREFILL_CHUNK;
        for (index, sequence) in self.running.iter().enumerate() {
            if sequence.mailbox.is_full() {
                continue;
            }
            let mut most = prompt_rows;
            if sequence.is_decoding() {
                most = 1;
            } else if sequence.wants_prompt_outputs() {
                most = most.min(OUTPUT_CHUNK);
            }
            let tokens = sequence.next_tokens(most);
            if tokens.is_empty() {
                continue;
            }
            if !sequence.is_decoding() {
                prompt_rows -= tokens.len();
            }
            let outputs = sequence.outputs(tokens.len());
            shares.push(Share { sequence: index, rows: tokens.len(), outputs: outputs.len() });
            batch.push(tokens, sequence.computed(), sequence.blocks(), outputs);
        }
        (batch, shares)
    }

    /// Gives every sequence of a pass its logits, and lets go of those that are complete.
    fn hand_out(&mut self, shares: &[Share], result: Result<()>) {
        let mut logits = self.logits.as_slice();
        let mut ended = Vec::new();
        for share in shares {
            let sequence = &mut self.running[share.sequence];
            let outcome = match &result {
                Err(error) => Err(error.clone()),
                Ok(()) => {
                    let (own, rest) = logits.split_at(share.outputs * self.desk.vocab_size);
                    logits = rest;
                    sequence.advance(share.rows, own, &mut self.pool, &mut self.desk)
                }
            };
            match outcome {
                Ok(None) => continue,
                Ok(Some(reason)) => sequence.mailbox.finish(sequence.done(reason)),
                Err(error) => sequence.mailbox.fail(error),
            }
            ended.push(share.sequence);
        }
        for index in ended.into_iter().rev() {
            let sequence = self.running.remove(index);
            self.pool.release(sequence.blocks());
        }
    }

    /// One chunk of the oldest study, if it has its blocks.
    fn study(&mut self) -> bool {
        let Some(study) = self.studies.front_mut() else { return false };
        if study.blocks().is_empty() {
            return false;
        }
        if study.step(self.model.as_mut()) {
            let study = self.studies.pop_front().expect("the study that just ran");
            self.pool.release(study.blocks());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;
    use crate::generate::{ForwardOptions, Generation, GenerationOptions, Sampler};
    use crate::model::Probe;
    use crate::tokenizer::Tokenizer;
    use std::path::Path;
    use std::sync::Arc;

    const VOCAB: usize = 517;

    /// Finds every token equally likely.
    struct Indifferent;

    impl Model for Indifferent {
        fn forward(
            &mut self,
            batch: &Batch,
            _: &mut dyn Probe,
            logits: &mut Vec<f32>,
        ) -> Result<()> {
            *logits = vec![0.0; batch.outputs.len() * VOCAB];
            Ok(())
        }
    }

    struct Bench {
        scheduler: Scheduler,
        tokenizer: Arc<Tokenizer>,
        config: ModelConfig,
    }

    impl Bench {
        fn new(blocks: usize) -> Bench {
            let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tiny-mha-f32");
            Bench {
                scheduler: Scheduler::new(Box::new(Indifferent), VOCAB, "f32", blocks),
                tokenizer: Arc::new(Tokenizer::from_dir(&golden).expect("golden tokenizer")),
                config: ModelConfig::from_dir(&golden).expect("golden config"),
            }
        }

        fn add(&mut self, prompt: Vec<u32>, max_new_tokens: usize) -> Generation {
            let (engine, _) = async_channel::unbounded();
            let generation = Generation::new(engine, 1);
            let options =
                Arc::new(GenerationOptions { max_new_tokens, ..GenerationOptions::default() });
            let sampler = Sampler::new(&options, 0, 0);
            self.scheduler.add(Sequence::new(
                generation.mailbox(),
                0,
                prompt,
                options,
                sampler,
                4096,
                &self.tokenizer,
            ));
            generation
        }

        /// Runs until nothing can run.
        fn run(&mut self) {
            while self.scheduler.step() {}
        }
    }

    #[test]
    fn a_study_is_not_overtaken_for_ever() {
        let mut bench = Bench::new(4);
        let running = bench.add(vec![1; 64], 64);
        bench.scheduler.step();
        let later: Vec<Generation> = (0..3).map(|n| bench.add(vec![n; 64], 64)).collect();
        let (reply, result) = async_channel::bounded(1);
        let study = Study::new(vec![2; 128], ForwardOptions::default(), &bench.config, reply);
        bench.scheduler.add_study(study.expect("memory"));
        while result.is_empty() {
            assert!(bench.scheduler.step(), "the study must come to its turn");
        }
        assert!(running.next_blocking().is_some());
        assert_eq!(bench.scheduler.waiting.len(), later.len(), "those that came later still wait");
        bench.run();
        assert_eq!(bench.scheduler.pool.available(), 4);
    }

    #[test]
    fn a_paused_reader_does_not_hold_up_those_with_the_same_prompt() {
        let mut bench = Bench::new(64);
        let prompt = vec![1; 2 * PREFILL_CHUNK];
        let paused = bench.add(prompt.clone(), 4);
        bench.scheduler.step();
        for _ in 0..crate::generate::EVENTS_AHEAD {
            paused.mailbox().send(crate::generate::Event::Prompt { index: 0, tokens: Vec::new() });
        }
        let other = bench.add(prompt, 4);
        bench.run();
        let events = other.next_blocking().expect("events").expect("no error");
        assert_eq!(events.len(), 5, "four tokens and the end");
    }

    #[test]
    fn prompts_and_steps_share_a_pass_within_its_bounds() {
        let mut bench = Bench::new(256);
        let _short: Vec<Generation> = (0..3).map(|n| bench.add(vec![n; 5], 50)).collect();
        bench.scheduler.step();
        let _long: Vec<Generation> = (3..6).map(|n| bench.add(vec![n; 300], 50)).collect();
        bench.scheduler.drop_cancelled();
        bench.scheduler.admit();
        let (batch, shares) = bench.scheduler.plan();
        let rows: Vec<usize> = shares.iter().map(|share| share.rows).collect();
        assert_eq!(rows, [1, 1, 1, PREFILL_CHUNK]);
        assert_eq!(batch.rows(), 3 + PREFILL_CHUNK);
        assert_eq!(batch.outputs, [0, 1, 2], "a prompt half read gives no logits");
        bench.run();
        assert_eq!(bench.scheduler.pool.available(), 256);
    }
}
