//! What goes into the engine thread and what comes out of it.

use std::time::Duration;

use crate::sampling::TokenLogprob;

/// Part of an answer. `index` says of which: prompt `p`, sequence `s` of `n` is `p · n + s`.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Log-probabilities of the prompt's tokens, if asked for; the first token has none.
    Prompt { index: usize, tokens: Vec<TokenLogprob> },
    /// One generated token.
    Token {
        index: usize,
        /// The text that became certain with this token: whole characters only, nothing that could
        /// still turn out to be a stop string. Often empty, sometimes more than this token's text.
        /// The texts of all tokens join to the answer.
        text: String,
        token: TokenLogprob,
    },
    /// The answer is complete.
    Done { index: usize, finish_reason: FinishReason, usage: Usage, timings: Timings },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// An end token came, or the answer has the form asked for and nothing may follow.
    Eos,
    /// A stop string came.
    Stop,
    /// `max_new_tokens` are there.
    Length,
    /// The model's context is full.
    Context,
    /// The caller stopped it.
    Abort,
}

impl FinishReason {
    pub fn name(self) -> &'static str {
        match self {
            FinishReason::Eos => "eos",
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::Context => "context",
            FinishReason::Abort => "abort",
        }
    }
}

/// Tokens of one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub prompt_tokens: usize,
    /// How many of them were in the cache from an earlier request.
    pub cached_tokens: usize,
    pub generated_tokens: usize,
}

/// Where the time of one answer went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// From the call until the engine took the request up.
    pub queued: Duration,
    /// From there to the first token.
    pub prefill: Duration,
    /// From the first token to the last.
    pub decode: Duration,
}

/// What [`Engine::forward`](super::Engine::forward) should return. What is not asked for is neither kept
/// nor takes memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForwardOptions {
    /// Which hidden states: 0 is after the embedding, `i` after `i` layers. Default: none.
    pub hidden_states: Vec<usize>,
    /// Layers whose attention probabilities are wanted. Default: none.
    pub attentions: Vec<usize>,
    /// The first position whose logits are wanted: 0, the default, for all of them, and the text's length
    /// for none.
    pub logits_from: usize,
}

/// One pass over a text, cold, for those who study the model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ForwardOutput {
    /// `[positions, vocab]`, from the first position asked for.
    pub logits: Vec<f32>,
    /// `[positions, hidden]` of each that was asked for, in that order: see
    /// [`crate::model::Probe::hidden`].
    pub hidden_states: Vec<Vec<f32>>,
    /// `(layer, [heads, positions, positions])` for each layer asked for.
    pub attentions: Vec<(usize, Vec<f32>)>,
}

/// A text whose end is judged, and what may follow it. Continuations of several tokens that differ in the last
/// alone are one of these, and so are all of single tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    pub text: Vec<u32>,
    /// The text's first token that is judged; its length for none of them.
    pub from: usize,
    /// Tokens that may follow the whole text.
    pub next: Vec<u32>,
}

/// How likely a continuation is after a prompt. That of nothing: certain, and what a model would say.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// Sum of the tokens' log-probabilities.
    pub logprob: f64,
    /// Whether each token with a log-probability is the likeliest at its place, of equally likely ones the
    /// lowest id: whether the model, taking the likeliest, would continue so.
    pub is_greedy: bool,
    /// The continuation's tokens.
    pub tokens: Vec<TokenLogprob>,
}

impl Default for Score {
    fn default() -> Score {
        Score { logprob: 0.0, is_greedy: true, tokens: Vec::new() }
    }
}

impl Score {
    /// Of tokens that each have the likeliest one with them.
    pub(super) fn of(mut tokens: Vec<TokenLogprob>) -> Score {
        let is_greedy =
            |token: &TokenLogprob| token.top.first().is_none_or(|top| top.0 == token.id);
        let is_greedy = tokens.iter().all(is_greedy);
        tokens.iter_mut().for_each(|token| token.top = Vec::new());
        // From 0, since the sum of nothing is -0.
        let known = tokens.iter().filter_map(|token| token.logprob).map(f64::from);
        let logprob = known.fold(0.0, |sum, logprob| sum + logprob);
        Score { logprob, is_greedy, tokens }
    }
}
