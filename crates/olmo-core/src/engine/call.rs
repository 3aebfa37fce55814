//! One call: what it asks for, and what all its sequences have in common.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;

use super::mailbox::Mailbox;
use super::request::{Event, FinishReason, ForwardOptions, Timings, Usage};
use crate::sampling::{Constraint, GenerationOptions, Grammar, Sampler};
use crate::text::TextOut;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

/// The end of a text that is judged.
pub(super) struct End {
    /// The text's first token that belongs to it.
    pub from: usize,
    /// Each token that may follow the whole text.
    pub next: Vec<u32>,
}

/// What a call wants of its texts.
pub(super) enum Goal {
    /// Continue each.
    Generate(Box<GenerationOptions>),
    /// How likely the tokens from this position on are.
    Score { from: usize },
    /// How likely ends of texts are: of the answer with the same index each.
    Judge(Vec<End>),
    /// Logits, and what else a forward pass has to show.
    Forward(ForwardOptions),
}

impl Goal {
    /// Tokens that may be added to a text.
    pub fn max_new_tokens(&self) -> usize {
        match self {
            Goal::Generate(options) => options.max_new_tokens,
            Goal::Score { .. } | Goal::Judge(_) | Goal::Forward(_) => 0,
        }
    }

    /// Answers to each prompt.
    pub fn answers(&self) -> usize {
        match self {
            Goal::Generate(options) => options.num_return_sequences,
            Goal::Score { .. } | Goal::Judge(_) | Goal::Forward(_) => 1,
        }
    }

    /// The first token of the prompt whose log-probability is wanted in answer `index`, if any is.
    pub fn prompt_logprobs_from(&self, index: usize) -> Option<usize> {
        match self {
            Goal::Generate(options) => options.prompt_logprobs.then_some(0),
            Goal::Score { from } => Some(*from),
            Goal::Judge(ends) => Some(ends[index].from),
            Goal::Forward(_) => None,
        }
    }

    /// Likeliest alternatives wanted with each token.
    pub fn top_logprobs(&self) -> usize {
        match self {
            Goal::Generate(options) => options.top_logprobs,
            Goal::Score { .. } => 1, // to see whether it is the token itself
            Goal::Judge(_) | Goal::Forward(_) => 0,
        }
    }

    /// The tokens that may follow the prompt and whose log-probabilities are wanted in answer `index`.
    pub fn next(&self, index: usize) -> &[u32] {
        match self {
            Goal::Judge(ends) => &ends[index].next,
            _ => &[],
        }
    }

    /// Whether a text that gives no numbers ends alone, and not the call with it.
    pub fn is_judge(&self) -> bool {
        matches!(self, Goal::Judge(_))
    }
}

/// A call whose answers are sequences. They are made one by one as they are admitted, so that many
/// answers to a long prompt do not each hold a copy of it while they wait.
pub(super) struct Call {
    pub mailbox: Arc<Mailbox>,
    pub goal: Goal,
    /// The most tokens a text can have.
    pub context: usize,
    prompts: Vec<Vec<u32>>,
    stop_strings: Arc<[String]>,
    seed: u64,
    tokenizer: Arc<Tokenizer>,
    /// The form that each answer is to have.
    grammar: Option<Arc<Grammar>>,
}

impl Call {
    /// `prompts` and `goal` have been checked. The seed is the call's: the one it names, or a fresh
    /// one.
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

    /// The same, for answers of one form.
    pub fn constrained(self, grammar: Option<Arc<Grammar>>) -> Call {
        Call { grammar, ..self }
    }

    /// Answers in all.
    pub fn answers(&self) -> usize {
        self.prompts.len() * self.goal.answers()
    }

    /// The prompt of answer `index`.
    pub fn prompt(&self, index: usize) -> &[u32] {
        &self.prompts[index / self.goal.answers()]
    }

    /// The first position of the prompt of answer `index` whose logits are wanted.
    pub fn first_output(&self, index: usize) -> usize {
        let last = self.prompt(index).len() - 1;
        // Logits at position p speak of token p + 1.
        self.goal.prompt_logprobs_from(index).map_or(last, |from| from.saturating_sub(1).min(last))
    }

    /// What chooses the tokens of answer `index`.
    pub fn sampler(&self, options: &GenerationOptions, index: usize) -> Sampler {
        // With a seed, a prompt draws as it would if it were alone in its call; without one, prompts
        // that are the same should not all get the same answer.
        let stream = match options.seed {
            Some(_) => index % options.num_return_sequences,
            None => index,
        };
        let constraint = self.grammar.as_ref().map(Constraint::new);
        Sampler::new(options, self.seed, stream).constrained(constraint)
    }

    /// Ends answer `index`, which has not begun.
    pub fn abort(&self, index: usize) {
        self.mailbox.finish(Event::Done {
            index,
            finish_reason: FinishReason::Abort,
            usage: Usage { prompt_tokens: self.prompt(index).len(), ..Usage::default() },
            timings: Timings { queued: self.mailbox.since.elapsed(), ..Timings::default() },
        });
    }

    /// What makes the text of answer `index`.
    pub fn text(&self, options: &GenerationOptions, index: usize) -> TextOut {
        let (tokenizer, stops) = (self.tokenizer.clone(), self.stop_strings.clone());
        TextOut::new(tokenizer, options.skip_special_tokens, stops, self.prompt(index))
    }
}

/// A call's place among those that the engine holds at once.
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

    /// Makes room for another call; before the last event is sent, so that who hears it can call
    /// again.
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
