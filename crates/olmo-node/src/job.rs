//! Long work on a thread of its own: load, quantise, evaluate, prepare, train.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use async_channel::{Receiver, Sender};
use napi::bindgen_prelude::{sys, Env, Object, ToNapiValue, TypeName, ValueType};
use olmo_core::{panic_message, Error};

use crate::error::{js_error, promise, Promise, Result};

/// Work that tells `E`s and ends with a `T`. It is told to stop when this goes.
pub struct Job<E, T> {
    events: Receiver<E>,
    outcome: Receiver<olmo_core::Result<T>>,
    cancelled: Arc<AtomicBool>,
    backlog: Backlog,
}

/// What becomes of the events that nobody has asked for yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Backlog {
    /// All are kept, and the work waits for nobody.
    All,
    /// Only the newest is kept, and the work waits for nobody: for progress, where that says it all.
    Newest,
    /// The work waits until someone asks, so that it can be stopped at any event.
    Wait,
}

/// The work's side of a job.
pub struct Teller<E> {
    events: Sender<E>,
    backlog: Backlog,
    /// Set when the work is to stop.
    pub cancelled: Arc<AtomicBool>,
}

impl<E> Teller<E> {
    /// Tells an event. If nobody listens any more, that is no failure.
    pub fn tell(&self, event: impl Into<E>) {
        let event = event.into();
        let _ = match self.backlog {
            Backlog::All => self.events.try_send(event).is_ok(),
            Backlog::Newest => self.events.force_send(event).is_ok(),
            Backlog::Wait => self.events.send_blocking(event).is_ok(),
        };
    }

    /// Tells an event, unless the work is to stop: then fails with [`Error::Cancelled`].
    pub fn tell_or_stop(&self, event: impl Into<E>) -> olmo_core::Result<()> {
        Error::if_cancelled(&self.cancelled)?;
        self.tell(event);
        Ok(())
    }
}

impl<E: Send + 'static, T: Send + 'static> Job<E, T> {
    /// Starts the work on a thread named `name`. A panic in it is its failure.
    pub fn start(
        name: &str,
        backlog: Backlog,
        work: impl FnOnce(&Teller<E>) -> olmo_core::Result<T> + Send + 'static,
    ) -> Result<Job<E, T>> {
        let (tell, events) = match backlog {
            Backlog::All => async_channel::unbounded(),
            Backlog::Newest | Backlog::Wait => async_channel::bounded(1),
        };
        let (settle, outcome) = async_channel::bounded(1);
        let cancelled = Arc::new(AtomicBool::new(false));
        let teller = Teller { events: tell, backlog, cancelled: cancelled.clone() };
        let body = move || {
            let result = catch_unwind(AssertUnwindSafe(|| work(&teller)));
            let _ = settle.try_send(
                result.unwrap_or_else(|panic| Err(Error::Internal(panic_message(&*panic)))),
            );
        };
        let started = std::thread::Builder::new().name(name.into()).spawn(body);
        started.map_err(|error| js_error(Error::Internal(format!("thread: {error}"))))?;
        Ok(Job { events, outcome, cancelled, backlog })
    }

    /// What has been told since the last call: one event at least, or else what the work came to. Fails
    /// as the work has failed, and after the end.
    pub fn next(&self, env: &Env) -> Promise<Step<E, T>>
    where
        E: ToNapiValue,
        T: ToNapiValue,
    {
        let (events, outcome) = (self.events.clone(), self.outcome.clone());
        promise(env, async move {
            if let Ok(first) = events.recv().await {
                let mut told = vec![first];
                told.extend(std::iter::from_fn(|| events.try_recv().ok()));
                return Ok(Step { events: told, output: None });
            }
            let over = |_| Error::Internal("this work has ended and told its result".into());
            Ok(Step { events: Vec::new(), output: Some(outcome.recv().await.map_err(over)??) })
        })
    }
}

impl<E, T> Job<E, T> {
    /// Asks the work to stop. It does so when it can: `next` then fails with [`Error::Cancelled`].
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        if self.backlog == Backlog::Wait {
            // The work may be waiting for someone who has left.
            self.events.close();
        }
    }
}

impl<E, T> Drop for Job<E, T> {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// `{ events, output? }` in JavaScript.
pub struct Step<E, T> {
    events: Vec<E>,
    output: Option<T>,
}

impl<E, T> TypeName for Step<E, T> {
    fn type_name() -> &'static str {
        "Step"
    }

    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl<E: ToNapiValue, T: ToNapiValue> ToNapiValue for Step<E, T> {
    unsafe fn to_napi_value(env: sys::napi_env, step: Self) -> napi::Result<sys::napi_value> {
        let mut object = Object::new(&Env::from_raw(env))?;
        object.set("events", step.events)?;
        if let Some(output) = step.output {
            object.set("output", output)?;
        }
        // SAFETY: `env` is the one this function was called with.
        unsafe { ToNapiValue::to_napi_value(env, object) }
    }
}
