//! Answers on their way out.

use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::Env;
use napi_derive::napi;
use olmo_core::engine as core;
use olmo_core::sampling::{Grammar, TokenLogprob};

use crate::error::{promise, Promise};

/// The form that answers are to have, compiled; or none.
#[napi]
pub struct AnswerForm(pub(crate) Option<Arc<Grammar>>);

/// A stream of events. Nothing is computed far ahead of who reads it.
#[napi]
pub struct Generation {
    inner: Arc<core::Generation>,
}

impl Generation {
    pub fn new(inner: core::Generation) -> Generation {
        Generation { inner: Arc::new(inner) }
    }
}

#[napi]
impl Generation {
    /// All events that are ready, at least one; null at the end.
    #[napi(catch_unwind, ts_return_type = "Promise<Array<Event> | null>")]
    pub fn next(&self, env: &Env) -> Promise<Option<Vec<Event>>> {
        let inner = self.inner.clone();
        promise(env, async move {
            let events = inner.next().await.transpose()?;
            Ok(events.map(|events| events.into_iter().map(Event::from).collect()))
        })
    }

    /// Ends the answers as they are, after the pass that is running.
    #[napi(catch_unwind)]
    pub fn stop(&self) {
        self.inner.stop();
    }

    /// Takes the request out of the engine.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.inner.cancel();
    }
}

#[napi(discriminant = "type", object_from_js = false)]
pub enum Event {
    Prompt { index: u32, tokens: Vec<Token> },
    Token { index: u32, text: String, token: Token },
    Done { index: u32, finish_reason: String, usage: Usage, timings: Timings },
}

#[napi(object, object_from_js = false)]
pub struct Token {
    pub id: u32,
    /// Natural logarithm of the probability, if asked for
    pub logprob: Option<f64>,
    /// Likeliest first, if asked for
    pub top: Option<Vec<Alternative>>,
}

#[napi(object, object_from_js = false)]
pub struct Alternative {
    pub id: u32,
    pub logprob: f64,
}

#[napi(object, object_from_js = false)]
pub struct Usage {
    pub prompt_tokens: u32,
    pub cached_tokens: u32,
    pub generated_tokens: u32,
}

/// In milliseconds
#[napi(object, object_from_js = false)]
pub struct Timings {
    pub queued: f64,
    pub prefill: f64,
    pub decode: f64,
}

#[napi(object, object_from_js = false)]
pub struct Score {
    pub logprob: f64,
    /// Whether each token is the likeliest at its place
    pub is_greedy: bool,
    pub tokens: Vec<Token>,
}

impl From<core::Event> for Event {
    fn from(event: core::Event) -> Self {
        match event {
            core::Event::Prompt { index, tokens } => {
                Event::Prompt { index: index as u32, tokens: convert(tokens) }
            }
            core::Event::Token { index, text, token } => {
                Event::Token { index: index as u32, text, token: token.into() }
            }
            core::Event::Done { index, finish_reason, usage, timings } => Event::Done {
                index: index as u32,
                finish_reason: finish_reason.name().into(),
                usage: Usage {
                    prompt_tokens: usage.prompt_tokens as u32,
                    cached_tokens: usage.cached_tokens as u32,
                    generated_tokens: usage.generated_tokens as u32,
                },
                timings: Timings {
                    queued: milliseconds(timings.queued),
                    prefill: milliseconds(timings.prefill),
                    decode: milliseconds(timings.decode),
                },
            },
        }
    }
}

impl From<TokenLogprob> for Token {
    fn from(token: TokenLogprob) -> Self {
        let top =
            (!token.top.is_empty()).then(|| token.top.into_iter().map(Alternative::from).collect());
        Token { id: token.id, logprob: token.logprob.map(f64::from), top }
    }
}

impl From<(u32, f32)> for Alternative {
    fn from((id, logprob): (u32, f32)) -> Self {
        Alternative { id, logprob: logprob.into() }
    }
}

impl From<core::Score> for Score {
    fn from(score: core::Score) -> Self {
        let core::Score { logprob, is_greedy, tokens } = score;
        Score { logprob, is_greedy, tokens: convert(tokens) }
    }
}

fn convert(tokens: Vec<TokenLogprob>) -> Vec<Token> {
    tokens.into_iter().map(Token::from).collect()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
