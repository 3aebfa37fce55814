//! Work in the background that says how far it is to whoever asks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use async_channel::Receiver;
use napi::bindgen_prelude::{spawn_blocking, Env, ToNapiValue};
use olmo_core::Error;

use crate::error::{promise, Promise};

/// Work that tells of its progress in `P`s and ends with a `T`. Nothing is called in JavaScript unasked.
pub struct Background<P, T> {
    progress: Receiver<P>,
    outcome: Receiver<olmo_core::Result<T>>,
    cancelled: Arc<AtomicBool>,
}

impl<P: Send + 'static, T: Send + 'static> Background<P, T> {
    /// Starts work that ends when what it tells its progress to fails.
    pub fn start(
        work: impl FnOnce(&mut dyn FnMut(P) -> olmo_core::Result<()>) -> olmo_core::Result<T>
            + Send
            + 'static,
    ) -> Self {
        // One place: what nobody has asked for yet is replaced by what is newer.
        let (progress_in, progress) = async_channel::bounded(1);
        let (outcome_in, outcome) = async_channel::bounded(1);
        let cancelled = Arc::new(AtomicBool::new(false));
        let stop = cancelled.clone();
        spawn_blocking(move || {
            let result = work(&mut |progress| {
                Error::if_cancelled(&stop)?;
                let _ = progress_in.force_send(progress);
                Ok(())
            });
            let _ = outcome_in.try_send(result);
        });
        Background { progress, outcome, cancelled }
    }

    /// The next news; null when there will be none.
    pub fn progress<J>(&self, env: &Env, to_js: fn(P) -> J) -> Promise<Option<J>>
    where
        J: ToNapiValue + Send + 'static,
    {
        let progress = self.progress.clone();
        promise(env, async move { Ok(progress.recv().await.ok().map(to_js)) })
    }

    /// What the work came to. To be asked for once.
    pub fn outcome<J>(&self, env: &Env, to_js: fn(T) -> J) -> Promise<J>
    where
        J: ToNapiValue + Send + 'static,
    {
        let outcome = self.outcome.clone();
        promise(env, async move {
            let ended = |_| Error::Internal("the work ended without a result".into());
            Ok(to_js(outcome.recv().await.map_err(ended)??))
        })
    }

    /// Stops the work when it next tells of its progress; the outcome is then [`Error::Cancelled`].
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}
