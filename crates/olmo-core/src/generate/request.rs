//! What goes into the engine thread and what comes out of it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::engine::Command;
use super::EVENTS_AHEAD;
use crate::{Error, Result};

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

/// A token with what the model thought of it, if asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    pub id: u32,
    /// Natural logarithm of the probability, from the model's own logits: before temperature and
    /// every other processor. None if not asked for, and for a prompt's first token.
    pub logprob: Option<f32>,
    /// The likeliest tokens with their log-probabilities, likeliest first.
    pub top: Vec<(u32, f32)>,
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
}

/// One pass over a text, cold, for those who study the model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ForwardOutput {
    /// `[positions, vocab]`.
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

/// The engine's end of a running call: where its events go, and whether anybody still wants them.
pub(super) struct Mailbox {
    sender: async_channel::Sender<Result<Event>>,
    cancelled: AtomicBool,
    /// Answers that are not complete yet; after the last, the channel closes.
    open_answers: AtomicUsize,
}

impl Mailbox {
    /// Never blocks: the scheduler leaves a call out of its passes while it [`is_full`].
    ///
    /// [`is_full`]: Mailbox::is_full
    pub fn send(&self, event: Event) {
        // A reader who has gone is noticed through `is_cancelled`.
        let _ = self.sender.try_send(Ok(event));
    }

    /// The last event of one answer.
    pub fn finish(&self, event: Event) {
        self.send(event);
        if self.open_answers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.sender.close();
        }
    }

    /// Ends the call, all its answers, with an error. Only the first error is heard.
    pub fn fail(&self, error: Error) {
        self.cancelled.store(true, Ordering::Release);
        let _ = self.sender.try_send(Err(error));
        self.sender.close();
    }

    pub fn is_full(&self) -> bool {
        self.sender.len() >= EVENTS_AHEAD
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }
}

/// A running call, as its reader holds it. Dropping it cancels the call.
pub struct Generation {
    mailbox: Arc<Mailbox>,
    receiver: async_channel::Receiver<Result<Event>>,
    /// An error that came behind events which the reader got first.
    error: Mutex<Option<Error>>,
    engine: async_channel::Sender<Command>,
}

impl Generation {
    pub(super) fn new(engine: async_channel::Sender<Command>, answers: usize) -> Generation {
        let (sender, receiver) = async_channel::unbounded();
        let mailbox = Arc::new(Mailbox {
            sender,
            cancelled: AtomicBool::new(false),
            open_answers: AtomicUsize::new(answers),
        });
        Generation { mailbox, receiver, error: Mutex::new(None), engine }
    }

    pub(super) fn mailbox(&self) -> Arc<Mailbox> {
        self.mailbox.clone()
    }

    /// Waits for the next events, and gives all that are there; None after the last.
    pub async fn next(&self) -> Option<Result<Vec<Event>>> {
        if let Some(error) = self.error.lock().unwrap_or_else(|e| e.into_inner()).take() {
            return Some(Err(error));
        }
        let first = self.receiver.recv().await.ok()?;
        Some(self.drain(first))
    }

    /// [`Generation::next`] for a thread that may block.
    pub fn next_blocking(&self) -> Option<Result<Vec<Event>>> {
        if let Some(error) = self.error.lock().unwrap_or_else(|e| e.into_inner()).take() {
            return Some(Err(error));
        }
        let first = self.receiver.recv_blocking().ok()?;
        Some(self.drain(first))
    }

    fn drain(&self, first: Result<Event>) -> Result<Vec<Event>> {
        let mut events = vec![first?];
        while let Ok(event) = self.receiver.try_recv() {
            match event {
                Ok(event) => events.push(event),
                Err(error) => *self.error.lock().unwrap_or_else(|e| e.into_inner()) = Some(error),
            }
        }
        if events.len() >= EVENTS_AHEAD {
            let _ = self.engine.try_send(Command::Wake);
        }
        Ok(events)
    }

    /// Takes the call out of the engine between two passes. Its events end with
    /// [`Error::Cancelled`].
    pub fn cancel(&self) {
        self.mailbox.cancelled.store(true, Ordering::Release);
        let _ = self.engine.try_send(Command::Wake);
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.cancel();
    }
}
