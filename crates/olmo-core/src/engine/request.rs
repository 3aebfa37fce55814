//! Requests to the engine thread, and its events.

use std::time::Duration;

use crate::sampling::TokenLogprob;

/// A part of answer `index`: sequence `s` of `n` for prompt `p` is number `p · n + s`.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Log-probabilities of the prompt's tokens, if asked for; the first token has none.
    Prompt { index: usize, tokens: Vec<TokenLogprob> },
    /// One generated token.
    Token {
        index: usize,
        /// The text that this token made final: whole characters only, and nothing that could still become
        /// part of a stop string. Often empty, sometimes more than this token's text. Joined, the texts of
        /// all tokens are the answer.
        text: String,
        token: TokenLogprob,
    },
    /// The answer is complete.
    Done { index: usize, finish_reason: FinishReason, usage: Usage, timings: Timings },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// An end token, or a structured answer that is complete.
    Eos,
    /// A stop string.
    Stop,
    /// `max_new_tokens` reached.
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
    /// How many of them an earlier request had left in the cache.
    pub cached_tokens: usize,
    pub generated_tokens: usize,
}

/// The time spent on one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// From the call until the engine began.
    pub queued: Duration,
    /// From there to the first token.
    pub prefill: Duration,
    /// From the first token to the last.
    pub decode: Duration,
}

/// What [`Engine::forward`](super::Engine::forward) should return. Results that are not requested take no
/// memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForwardOptions {
    /// Which hidden states: 0 is after the embedding, `i` after `i` layers. Default: none.
    pub hidden_states: Vec<usize>,
    /// Layers whose attention probabilities to return. Default: none.
    pub attentions: Vec<usize>,
    /// The first position whose logits to return: 0, the default, for all, and the text's length for none.
    pub logits_from: usize,
}

/// The result of one uncached pass over a text, for studying the model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ForwardOutput {
    /// `[positions, vocab]`, from the first requested position.
    pub logits: Vec<f32>,
    /// `[positions, hidden]` for each requested hidden state, in that order: see
    /// [`crate::model::Probe::hidden`].
    pub hidden_states: Vec<Vec<f32>>,
    /// `(layer, [heads, positions, positions])` for each requested layer.
    pub attentions: Vec<(usize, Vec<f32>)>,
}

/// A text whose end is judged, and candidates for its next token. Continuations that differ only in their
/// last token share one judgement, and so do all continuations of a single token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    pub text: Vec<u32>,
    /// The first judged token of the text; its length for none.
    pub from: usize,
    /// Candidates for the token after the whole text.
    pub next: Vec<u32>,
}

/// The likelihood of a continuation after a prompt. An empty continuation is certain and greedy.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// Sum of the tokens' log-probabilities.
    pub logprob: f64,
    /// Whether each token with a log-probability is the likeliest at its position (the lowest id among
    /// equals), so that greedy decoding would produce this continuation.
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
    /// The score of tokens that each carry the likeliest alternative.
    pub(super) fn of(mut tokens: Vec<TokenLogprob>) -> Score {
        let is_greedy =
            |token: &TokenLogprob| token.top.first().is_none_or(|top| top.0 == token.id);
        let is_greedy = tokens.iter().all(is_greedy);
        tokens.iter_mut().for_each(|token| token.top = Vec::new());
        // Starts at 0, because an empty sum is -0.
        let known = tokens.iter().filter_map(|token| token.logprob).map(f64::from);
        let logprob = known.fold(0.0, |sum, logprob| sum + logprob);
        Score { logprob, is_greedy, tokens }
    }
}
