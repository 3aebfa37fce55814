//! The thread that owns a model.

use std::panic::{catch_unwind, AssertUnwindSafe};

use async_channel::{Receiver, Sender};

use super::call::Call;
use super::forward::ForwardRequest;
use super::scheduler::Scheduler;
use crate::{panic_message, Error, Result};

/// What the engine's thread is told.
pub(super) enum Command {
    Run(Call),
    Forward(ForwardRequest),
    /// Work on what only the thread has, between two passes.
    Between(Box<dyn FnOnce(&mut Scheduler) + Send>),
    /// Something the thread may be waiting for has changed: a call was cancelled, or read.
    Wake,
    Dispose,
}

pub(super) struct Worker {
    pub scheduler: Scheduler,
    pub inbox: Receiver<Command>,
    /// Dropped last, when everything else of the worker is gone.
    pub _alive: Sender<()>,
}

impl Worker {
    pub fn run(mut self) {
        let outcome = catch_panic(|| {
            self.serve();
            Ok(())
        });
        let error = outcome.err().unwrap_or(Error::Disposed);
        self.scheduler.fail_all(&error);
        self.refuse_the_rest(&error);
    }

    /// Until told to end: take commands, run passes; sleep when there is nothing to do.
    fn serve(&mut self) {
        loop {
            while let Ok(command) = self.inbox.try_recv() {
                if !self.obey(command) {
                    return;
                }
            }
            if self.scheduler.step() {
                continue;
            }
            let Ok(command) = self.inbox.recv_blocking() else { return };
            if !self.obey(command) {
                return;
            }
        }
    }

    /// False when the command is to end.
    fn obey(&mut self, command: Command) -> bool {
        match command {
            Command::Run(call) => self.scheduler.add(call),
            Command::Forward(request) => self.scheduler.add_forward(request),
            Command::Between(work) => work(&mut self.scheduler),
            Command::Wake => {}
            Command::Dispose => return false,
        }
        true
    }

    /// Requests that were sent while the thread was ending.
    fn refuse_the_rest(&mut self, error: &Error) {
        self.inbox.close();
        while let Ok(command) = self.inbox.try_recv() {
            match command {
                Command::Run(call) => call.mailbox.fail(error.clone()),
                Command::Forward(request) => request.fail(error.clone()),
                // Who asked hears that there is no answer.
                Command::Between(_) | Command::Wake | Command::Dispose => {}
            }
        }
    }
}

/// Runs `f`; a panic in it becomes an error.
pub(super) fn catch_panic<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(f))
        .unwrap_or_else(|panic| Err(Error::Internal(panic_message(&*panic))))
}
