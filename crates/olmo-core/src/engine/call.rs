//! One call: its goal, and the state that all its sequences share.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;

use super::mailbox::Mailbox;
use super::request::{Event, FinishReason, ForwardOptions, Timings, Usage};
use crate::cache::{BlockPool, KvClaim};
use crate::sampling::{Constraint, GenerationOptions, Grammar, Sampler};
use crate::text::TextOut;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

/// The end of a text to judge.
pub(super) struct End {
    /// The first token of the end.
    pub from: usize,
    /// Tokens to judge as continuations of the whole text.
    pub next: Vec<u32>,
}

/// What a call does with its texts.
pub(super) enum Goal {
    /// Continue each text.
    Generate(Box<GenerationOptions>),
    /// Compute the likelihood of the tokens from this position on.
    Score { from: usize },
    /// Compute the likelihood of the texts' ends; the index is the answer's.
    Judge(Vec<End>),
    /// Return logits and other intermediate results of a forward pass.
    Forward(ForwardOptions),
}

impl Goal {
    /// Most tokens that can be added to a text.
    pub fn max_new_tokens(&self) -> usize {
        match self {
            Goal::Generate(options) => options.max_new_tokens,
            Goal::Score { .. } | Goal::Judge(_) | Goal::Forward(_) => 0,
        }
    }

    /// The number of answers to each prompt.
    pub fn answers(&self) -> usize {
        match self {
            Goal::Generate(options) => options.num_return_sequences,
            Goal::Score { .. } | Goal::Judge(_) | Goal::Forward(_) => 1,
        }
    }

    /// The first prompt token whose log-probability answer `index` needs, if any.
    pub fn prompt_logprobs_from(&self, index: usize) -> Option<usize> {
        match self {
            Goal::Generate(options) => options.prompt_logprobs.then_some(0),
            Goal::Score { from } => Some(*from),
            Goal::Judge(ends) => Some(ends[index].from),
            Goal::Forward(_) => None,
        }
    }

    /// The number of likeliest alternatives to return with each token.
    pub fn top_logprobs(&self) -> usize {
        match self {
            Goal::Generate(options) => options.top_logprobs,
            Goal::Score { .. } => 1, // to see whether it is the token itself
            Goal::Judge(_) | Goal::Forward(_) => 0,
        }
    }

    /// The tokens after the prompt whose log-probabilities answer `index` needs.
    pub fn next(&self, index: usize) -> &[u32] {
        match self {
            Goal::Judge(ends) => &ends[index].next,
            _ => &[],
        }
    }

    /// Whether its texts also share beginnings that end within a block of the cache, by a copy of it: many short texts
    /// have no longer ones in common.
    pub fn copies_blocks(&self) -> bool {
        self.is_judge()
    }

    /// Whether a text without finite logits ends alone, without failing the call.
    pub fn is_judge(&self) -> bool {
        matches!(self, Goal::Judge(_))
    }
}

/// A call whose answers are sequences. Each is created on admission, so that many answers to a long prompt
/// do not hold a copy of it each while they wait.
pub(super) struct Call {
    pub mailbox: Arc<Mailbox>,
    pub goal: Goal,
    /// The most tokens that a text can have.
    pub context: usize,
    prompts: Vec<Vec<u32>>,
    stop_strings: Arc<[String]>,
    seed: u64,
    tokenizer: Arc<Tokenizer>,
    /// The grammar of each answer.
    grammar: Option<Arc<Grammar>>,
}

impl Call {
    /// The caller has checked `prompts` and `goal`. The seed is the one in the options, else a fresh one.
    pub fn new(
        mailbox: Arc<Mailbox>,
        prompts: Vec<Vec<u32>>,
        goal: Goal,
        seed: u64,
        context: usize,
        tokenizer: Arc<Tokenizer>,
    ) -> Call {
        let stop_strings = match &goal {
            Goal::Generate(options) => options.stop_strings.as_slice().into(),
            Goal::Score { .. } | Goal::Judge(_) | Goal::Forward(_) => [].into(),
        };
        Call { mailbox, goal, context, prompts, stop_strings, seed, tokenizer, grammar: None }
    }

    /// Constrains the answers to a grammar.
    pub fn constrained(self, grammar: Option<Arc<Grammar>>) -> Call {
        Call { grammar, ..self }
    }

    /// The number of answers to all prompts.
    pub fn answers(&self) -> usize {
        self.prompts.len() * self.goal.answers()
    }

    /// The prompt of answer `index`.
    pub fn prompt(&self, index: usize) -> &[u32] {
        &self.prompts[index / self.goal.answers()]
    }

    /// The first position in the prompt of answer `index` whose logits are needed.
    pub fn first_output(&self, index: usize) -> usize {
        let last = self.prompt(index).len() - 1;
        // Logits at position p predict token p + 1.
        self.goal.prompt_logprobs_from(index).map_or(last, |from| from.saturating_sub(1).min(last))
    }

    /// Blocks for `tokens` tokens, of which the cache may have the beginning `shareable`. None if there are not enough.
    pub fn claim(&self, pool: &mut BlockPool, shareable: &[u32], tokens: usize) -> Option<KvClaim> {
        match self.goal.copies_blocks() {
            true => KvClaim::with_copy(pool, shareable, tokens),
            false => KvClaim::new(pool, shareable, tokens),
        }
    }

    /// The sampler of answer `index`.
    pub fn sampler(&self, options: &GenerationOptions, index: usize) -> Sampler {
        // With a seed, a prompt draws as if it were alone in its call; without one, equal prompts should
        // get different answers.
        let stream = match options.seed {
            Some(_) => index % options.num_return_sequences,
            None => index,
        };
        let constraint = self.grammar.as_ref().map(Constraint::new);
        Sampler::new(options, self.seed, stream).constrained(constraint)
    }

    /// Ends answer `index` before it has begun.
    pub fn abort(&self, index: usize) {
        self.mailbox.finish(Event::Done {
            index,
            finish_reason: FinishReason::Abort,
            usage: Usage { prompt_tokens: self.prompt(index).len(), ..Usage::default() },
            timings: Timings { queued: self.mailbox.since.elapsed(), ..Timings::default() },
        });
    }

    /// The text writer of answer `index`.
    pub fn text(&self, options: &GenerationOptions, index: usize) -> TextOut {
        let (tokenizer, stops) = (self.tokenizer.clone(), self.stop_strings.clone());
        TextOut::new(tokenizer, options.skip_special_tokens, stops, self.prompt(index))
    }
}

/// A call's place among the calls that the engine holds.
#[derive(Debug)]
pub(super) struct Place {
    taken: Arc<AtomicUsize>,
    left: AtomicBool,
}

impl Place {
    /// Fails if `most` places are taken.
    pub fn take(taken: &Arc<AtomicUsize>, most: usize) -> Result<Place> {
        let another = |calls: usize| (calls < most).then_some(calls + 1);
        match taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, another) {
            Ok(_) => Ok(Place { taken: taken.clone(), left: AtomicBool::new(false) }),
            Err(_) => Err(Error::QueueFull { calls: most }),
        }
    }

    /// Frees the place for another call. This happens before the last event is sent, so that a caller who
    /// receives it can call again.
    pub fn leave(&self) {
        if !self.left.swap(true, Ordering::AcqRel) {
            self.taken.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}
