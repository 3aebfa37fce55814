//! The channel between a running call and its reader.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::call::Place;
use super::request::Event;
use super::EVENTS_AHEAD;
use crate::{Error, Result};

/// The engine's end of a running call: the channel for its events, and whether anybody still reads them.
pub(super) struct Mailbox {
    sender: async_channel::Sender<Result<Event>>,
    /// When the call was made.
    pub since: Instant,
    cancelled: AtomicBool,
    /// Whether its answers should end as they are.
    stopped: AtomicBool,
    /// Answers that are not complete yet; after the last, the channel closes.
    open_answers: AtomicUsize,
    place: Place,
}

impl Mailbox {
    /// Never blocks: the scheduler leaves a call out of its passes while it [`is_full`].
    ///
    /// [`is_full`]: Mailbox::is_full
    pub fn send(&self, event: Event) {
        // `is_cancelled` notices a reader who has gone.
        let _ = self.sender.try_send(Ok(event));
    }

    /// The last event of one answer.
    pub fn finish(&self, event: Event) {
        let last = self.open_answers.fetch_sub(1, Ordering::AcqRel) == 1;
        if last {
            self.place.leave();
        }
        self.send(event);
        if last {
            self.sender.close();
        }
    }

    /// Ends the call and all its answers with an error. Only the first error is delivered.
    pub fn fail(&self, error: Error) {
        self.cancelled.store(true, Ordering::Release);
        self.place.leave();
        let _ = self.sender.try_send(Err(error));
        self.sender.close();
    }

    pub fn is_full(&self) -> bool {
        self.sender.len() >= EVENTS_AHEAD
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}

/// A running call, as its reader holds it. Dropping it cancels the call.
pub struct Generation {
    mailbox: Arc<Mailbox>,
    receiver: async_channel::Receiver<Result<Event>>,
    /// An error that arrived after events, which the reader gets first.
    error: Mutex<Option<Error>>,
    /// Tells the engine that something it may be waiting for has changed.
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Generation {
    pub(super) fn new(
        answers: usize,
        place: Place,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Generation {
        let (sender, receiver) = async_channel::unbounded();
        if answers == 0 {
            place.leave();
            sender.close(); // nothing will come that could end it
        }
        let mailbox = Arc::new(Mailbox {
            sender,
            since: Instant::now(),
            cancelled: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            open_answers: AtomicUsize::new(answers),
            place,
        });
        Generation { mailbox, receiver, error: Mutex::new(None), wake: Box::new(wake) }
    }

    pub(super) fn mailbox(&self) -> Arc<Mailbox> {
        self.mailbox.clone()
    }

    #[cfg(test)]
    pub(super) fn has_ended(&self) -> bool {
        self.receiver.is_closed()
    }

    #[cfg(test)]
    pub(super) fn has_events(&self) -> bool {
        !self.receiver.is_empty() || self.held_error().is_some()
    }

    /// Waits for the next events and returns all available ones; None after the last.
    pub async fn next(&self) -> Option<Result<Vec<Event>>> {
        if let Some(error) = self.held_error().take() {
            return Some(Err(error));
        }
        let first = self.receiver.recv().await.ok()?;
        Some(self.drain(first))
    }

    /// [`Generation::next`] for a thread that may block.
    pub fn next_blocking(&self) -> Option<Result<Vec<Event>>> {
        if let Some(error) = self.held_error().take() {
            return Some(Err(error));
        }
        let first = self.receiver.recv_blocking().ok()?;
        Some(self.drain(first))
    }

    /// The error that arrived after events, to be returned by itself.
    fn held_error(&self) -> MutexGuard<'_, Option<Error>> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drain(&self, first: Result<Event>) -> Result<Vec<Event>> {
        let mut events = vec![first?];
        while let Ok(event) = self.receiver.try_recv() {
            match event {
                Ok(event) => events.push(event),
                Err(error) => *self.held_error() = Some(error),
            }
        }
        if events.len() >= EVENTS_AHEAD {
            (self.wake)();
        }
        Ok(events)
    }

    /// Takes the call out of the engine between two passes. Its events end with
    /// [`Error::Cancelled`].
    pub fn cancel(&self) {
        self.mailbox.cancelled.store(true, Ordering::Release);
        self.mailbox.place.leave();
        (self.wake)();
    }

    /// Ends the call's answers between two passes as they are then, with
    /// [`FinishReason::Abort`](super::FinishReason::Abort).
    pub fn stop(&self) {
        self.mailbox.stopped.store(true, Ordering::Release);
        (self.wake)();
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.cancel();
    }
}
