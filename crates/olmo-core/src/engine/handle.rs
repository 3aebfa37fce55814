//! The handle on a loaded model, and the thread that owns it.
//!
//! Requests go to the thread through a channel; their events come back through one channel a call.
//! Nothing else is shared, so any number of threads can hold the handle.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Instant;

use async_channel::{Receiver, Sender};

use super::call::{Call, End, Goal, Place};
use super::forward::ForwardRequest;
use super::mailbox::Generation;
use super::request::{Event, ForwardOptions, ForwardOutput, Judgement, Score};
use super::scheduler::Scheduler;
use super::worker::{catch_panic, Command, Worker};
use crate::cache::BLOCK_TOKENS;
use crate::checkpoint::{load, LoadOptions, LoadProgress, Loaded, ModelInfo};
use crate::error::{Amount, Hint};
use crate::sampling::{fresh_seed, GenerationDefaults, GenerationOptions, Grammar, Vocabulary};
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

/// A loaded model. Cheap to share behind an `Arc`; dropping it disposes the model.
pub struct Engine {
    commands: Sender<Command>,
    /// Closes when the thread has ended and the weights are freed.
    ended: Receiver<()>,
    /// Calls that have not ended.
    calls: Arc<AtomicUsize>,
    info: ModelInfo,
    tokenizer: Arc<Tokenizer>,
    defaults: GenerationDefaults,
    /// What grammars are compiled for, once the first has come.
    vocabulary: Mutex<Option<Arc<Vocabulary>>>,
    /// Of the model, once it was asked for.
    pub(super) hash: OnceLock<String>,
}

impl Engine {
    /// Loads a checkpoint folder; blocks until the model is ready. `progress` hears how far it is
    /// and stops the load by returning an error, which this returns in turn.
    pub fn load(
        options: &LoadOptions,
        progress: &mut dyn FnMut(LoadProgress) -> Result<()>,
    ) -> Result<Engine> {
        Engine::run(catch_panic(|| load(options, progress))?)
    }

    pub(super) fn run(Loaded { model, info, tokenizer, defaults }: Loaded) -> Result<Engine> {
        let (commands, inbox) = async_channel::unbounded();
        let (alive, ended) = async_channel::bounded(1);
        let worker = Worker {
            scheduler: Scheduler::new(
                model,
                info.config.vocab_size,
                info.dtype.name(),
                info.memory.cache_tokens / BLOCK_TOKENS,
                info.limits,
                Box::new(Instant::now),
            ),
            inbox,
            _alive: alive,
        };
        thread::Builder::new().name("olmo2-engine".into()).spawn(move || worker.run()).map_err(
            |error| Error::Internal(format!("cannot start the engine's thread: {error}")),
        )?;
        let (calls, vocabulary) = (Arc::default(), Mutex::default());
        let hash = OnceLock::new();
        Ok(Engine { commands, ended, calls, info, tokenizer, defaults, vocabulary, hash })
    }

    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// What the checkpoint's `generation_config.json` asks for.
    pub fn defaults(&self) -> &GenerationDefaults {
        &self.defaults
    }

    /// Continues each prompt (token ids), `num_return_sequences` times. Answers run together and
    /// each is the same as if its prompt had been alone.
    pub fn generate(
        &self,
        prompts: Vec<Vec<u32>>,
        options: GenerationOptions,
    ) -> Result<Generation> {
        let grammar = self.compile(&options)?;
        self.generate_formed(prompts, options, grammar)
    }

    /// [`Engine::generate`] of answers whose form is compiled already, from options that name the same.
    pub fn generate_formed(
        &self,
        prompts: Vec<Vec<u32>>,
        options: GenerationOptions,
        grammar: Option<Arc<Grammar>>,
    ) -> Result<Generation> {
        options.validate(self.info.config.vocab_size)?;
        self.start(prompts, Goal::Generate(options.into()), grammar)
    }

    /// The form that `options` ask of an answer. Blocks: the first takes a model some tenths of a second
    /// more.
    pub fn compile(&self, options: &GenerationOptions) -> Result<Option<Arc<Grammar>>> {
        let vocab_size = self.info.config.vocab_size;
        options.validate(vocab_size)?;
        let Some(form) = options.form() else { return Ok(None) };
        let vocabulary = {
            let mut made = self.vocabulary.lock().unwrap_or_else(PoisonError::into_inner);
            match &*made {
                Some(vocabulary) => vocabulary.clone(),
                None => {
                    let new = Vocabulary::new(&self.tokenizer, vocab_size, form.option())?;
                    made.insert(Arc::new(new)).clone()
                }
            }
        };
        Ok(Some(Arc::new(Grammar::new(&vocabulary, form)?)))
    }

    fn start(
        &self,
        prompts: Vec<Vec<u32>>,
        goal: Goal,
        grammar: Option<Arc<Grammar>>,
    ) -> Result<Generation> {
        for (index, prompt) in prompts.iter().enumerate() {
            self.check_prompt(index, prompt, &goal)?;
        }
        let answers = prompts.len().saturating_mul(goal.answers());
        let most = self.info.limits.max_answers;
        if answers > most {
            return Err(too_many(&goal, prompts.len(), most));
        }
        let commands = self.commands.clone();
        let generation = Generation::new(answers, self.place()?, move || {
            // An engine that has ended waits for nothing.
            let _ = commands.try_send(Command::Wake);
        });
        let seed = match &goal {
            Goal::Generate(options) => options.seed.unwrap_or_else(fresh_seed),
            Goal::Score { .. } | Goal::Judge(_) | Goal::Forward(_) => 0, // nothing is drawn
        };
        let context = self.info.config.max_position_embeddings;
        let tokenizer = self.tokenizer.clone();
        let call = Call::new(generation.mailbox(), prompts, goal, seed, context, tokenizer);
        let call = call.constrained(grammar);
        self.send(Command::Run(call))?;
        Ok(generation)
    }

    /// A place for one more call.
    fn place(&self) -> Result<Place> {
        if self.commands.is_closed() {
            return Err(Error::Disposed);
        }
        Place::take(&self.calls, self.info.limits.max_queue)
    }

    /// What `options` asks for of each position, computed cold. Dropping the future takes the request back.
    pub async fn forward(&self, ids: Vec<u32>, options: ForwardOptions) -> Result<ForwardOutput> {
        let goal = Goal::Forward(options);
        self.check_prompt(0, &ids, &goal)?;
        let Goal::Forward(options) = goal else { unreachable!("made above") };
        let layers = self.info.config.layers.len();
        if let Some(&layer) = options.attentions.iter().find(|&&layer| layer >= layers) {
            let expected = format!("the model has layers 0 to {}", layers - 1);
            return Err(Error::option("attentions", layer, expected));
        }
        if let Some(&index) = options.hidden_states.iter().find(|&&index| index > layers) {
            let expected = format!("the model has hidden states 0 to {layers}");
            return Err(Error::option("hidden_states", index, expected));
        }
        let _wake = WakeOnDrop(&self.commands);
        let (reply, result) = async_channel::bounded(1);
        let request = ForwardRequest::new(ids, options, &self.info.config, self.place()?, reply)?;
        self.send(Command::Forward(request))?;
        result.recv().await.map_err(|_| Error::Disposed)?
    }

    /// [`Engine::score_all`] of one continuation.
    pub async fn score(&self, prompt: Vec<u32>, continuation: Vec<u32>) -> Result<Score> {
        let scores = self.score_all(&prompt, &[continuation]).await?;
        scores.into_iter().next().ok_or_else(|| Error::Internal("no score".into()))
    }

    /// How likely each continuation is after the prompt. They run together and read it once, but for its
    /// last, partial block of the cache. An empty prompt is allowed; then the first token of a continuation
    /// counts as given. Dropping the future takes the request back.
    pub async fn score_all(
        &self,
        prompt: &[u32],
        continuations: &[Vec<u32>],
    ) -> Result<Vec<Score>> {
        let texts = continuations.iter().map(|continuation| [prompt, continuation].concat());
        let generation = self.start(texts.collect(), Goal::Score { from: prompt.len() }, None)?;
        let mut scores = vec![Score::default(); continuations.len()];
        while let Some(events) = generation.next().await {
            for event in events? {
                if let Event::Prompt { index, tokens } = event {
                    scores[index] = Score::of(tokens);
                }
            }
        }
        Ok(scores)
    }

    /// How likely the ends of many texts are. Each gives an [`Event::Prompt`] with the tokens of its end and
    /// then those that may follow it; one whose logits are not finite gives none. What texts have in common at
    /// their beginnings is read once, if they are near each other.
    pub fn judge(&self, texts: Vec<Judgement>) -> Result<Generation> {
        let vocab_size = self.info.config.vocab_size;
        let next = texts.iter().flat_map(|judgement| &judgement.next);
        if let Some(&id) = next.into_iter().find(|&&id| id as usize >= vocab_size) {
            return Err(Error::InvalidToken { id, vocab_size });
        }
        let (texts, ends) = texts
            .into_iter()
            .map(|Judgement { text, from, next }| (text, End { from, next }))
            .unzip();
        self.start(texts, Goal::Judge(ends), None)
    }

    /// Frees the weights after the pass that is running now. Requests end with
    /// [`Error::Disposed`], those that come later too. Returns when the memory is free.
    pub async fn dispose(&self) {
        let _ = self.commands.try_send(Command::Dispose);
        let _ = self.ended.recv().await;
    }

    pub(super) fn send(&self, command: Command) -> Result<()> {
        self.commands.try_send(command).map_err(|_| Error::Disposed)
    }

    fn check_prompt(&self, index: usize, prompt: &[u32], goal: &Goal) -> Result<()> {
        let max_new_tokens = goal.max_new_tokens();
        let config = &self.info.config;
        let limit = config.max_position_embeddings;
        if prompt.is_empty() {
            return Err(Error::EmptyPrompt { index });
        }
        if let Some(&id) = prompt.iter().find(|&&id| id as usize >= config.vocab_size) {
            return Err(Error::InvalidToken { id, vocab_size: config.vocab_size });
        }
        // An answer takes one token at least.
        let most = limit - usize::from(max_new_tokens > 0);
        if prompt.len() > most {
            return Err(Error::PromptTooLong { index, tokens: prompt.len(), most, context: limit });
        }
        let needed = prompt.len().saturating_add(max_new_tokens).min(limit);
        let room = self.info.memory.cache_tokens;
        if needed > room {
            return Err(Error::NotEnoughMemory {
                what: format!("prompt {index} and what follows it in the cache"),
                need: Amount::Tokens(needed as u64),
                have: Some(Amount::Tokens(room as u64)),
                hint: match max_new_tokens {
                    0 => Hint::LargerCache,
                    _ => Hint::FewerNewTokens,
                },
            });
        }
        Ok(())
    }
}

/// The error of a call that asks for more answers than one may have.
fn too_many(goal: &Goal, prompts: usize, most: usize) -> Error {
    let (n, answers) = (goal.answers(), prompts.saturating_mul(goal.answers()));
    match goal {
        Goal::Generate(_) => {
            let expected = format!(
                "with {prompts} prompts that is {answers} answers, of which one call can have {most}"
            );
            Error::option("num_return_sequences", n, expected)
        }
        Goal::Score { .. } | Goal::Judge(_) | Goal::Forward(_) => {
            Error::option("continuations", prompts, format!("one call can have {most}"))
        }
    }
}

/// Tells the engine's thread that something has changed which it may be waiting for.
struct WakeOnDrop<'a>(&'a Sender<Command>);

impl Drop for WakeOnDrop<'_> {
    fn drop(&mut self) {
        let _ = self.0.try_send(Command::Wake);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.commands.try_send(Command::Dispose);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;
    use crate::model::{Model, Probe};
    use crate::ops::Batch;

    /// Answers a few passes with equal logits, then meets a bug.
    struct Buggy {
        good_passes: usize,
        vocab_size: usize,
    }

    impl Model for Buggy {
        fn forward(
            &mut self,
            batch: &Batch,
            _: &mut dyn Probe,
            logits: &mut Vec<f32>,
        ) -> Result<()> {
            assert!(self.good_passes > 0, "a bug in a kernel");
            self.good_passes -= 1;
            *logits = vec![0.0; batch.outputs.len() * self.vocab_size];
            Ok(())
        }

        fn read_block(&self, _: u32) -> Result<Vec<u8>> {
            Ok(Vec::new())
        }

        fn write_block(&mut self, _: u32, _: &[u8]) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_ends_requests_with_an_error_and_nothing_else() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/tiny-mha-f32").into();
        let options = LoadOptions { path, device: Device::Cpu, ..LoadOptions::default() };
        let mut loaded = load(&options, &mut |_| Ok(())).expect("the golden checkpoint");
        let vocab_size = loaded.info.config.vocab_size;
        loaded.model = Box::new(Buggy { good_passes: 3, vocab_size });
        let engine = Engine::run(loaded).expect("a thread");

        let generation = engine.generate(vec![vec![1]; 2], GenerationOptions::default()).unwrap();
        let mut tokens = 0;
        let error = loop {
            match generation.next_blocking().expect("the error before the end") {
                Ok(events) => tokens += events.len(),
                Err(error) => break error,
            }
        };
        assert_eq!(tokens, 6, "what was generated before is not lost");
        assert_eq!(error.to_string(), "internal error: a bug in a kernel");
        assert!(generation.next_blocking().is_none());

        let later = engine.generate(vec![vec![1]], GenerationOptions::default());
        let code = match later {
            Err(error) => error.code(),
            Ok(generation) => generation.next_blocking().unwrap().unwrap_err().code(),
        };
        assert!(["INTERNAL", "DISPOSED"].contains(&code), "{code}");
    }
}
