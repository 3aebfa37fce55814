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
    /// An end token came.
    Eos,
    /// A stop string came.
    Stop,
    /// `max_new_tokens` are there.
    Length,
    /// The model's context is full.
    Context,
}

impl FinishReason {
    pub fn name(self) -> &'static str {
        match self {
            FinishReason::Eos => "eos",
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::Context => "context",
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

/// What [`Engine::forward`](super::Engine::forward) should return beside the logits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForwardOptions {
    pub hidden_states: bool,
    /// Layers whose attention probabilities are wanted.
    pub attentions: Vec<usize>,
    /// The first position whose logits are wanted. Default 0: all of them.
    pub logits_from: usize,
}

/// One pass over a text, cold, for those who study the model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ForwardOutput {
    /// `[positions, vocab]`, from the first position asked for.
    pub logits: Vec<f32>,
    /// Layers + 1 entries, each `[positions, hidden]`: see [`crate::model::Probe::hidden`].
    pub hidden_states: Vec<Vec<f32>>,
    /// `(layer, [heads, positions, positions])` for each layer asked for.
    pub attentions: Vec<(usize, Vec<f32>)>,
}

/// How likely a continuation is after a prompt.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Score {
    /// Sum of the tokens' log-probabilities.
    pub logprob: f64,
    /// The continuation's tokens.
    pub tokens: Vec<TokenLogprob>,
}
