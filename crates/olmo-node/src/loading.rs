//! A model on its way into memory.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use async_channel::Receiver;
use napi::bindgen_prelude::{spawn_blocking, Env};
use napi_derive::napi;
use olmo_core::generate::{Engine, LoadProgress};

use crate::error::{js_error, promise, Promise, Result};
use crate::model::Model;
use crate::options::LoadOptions;

/// Bytes of weights that are in memory, and how many there will be.
#[napi(object, object_from_js = false)]
pub struct Progress {
    pub loaded: f64,
    pub total: f64,
}

/// Loads in the background. Whoever wants to know how far it is asks with `progress()`: nothing is
/// called in JavaScript unasked.
#[napi]
pub struct Loading {
    progress: Receiver<LoadProgress>,
    outcome: Receiver<olmo_core::Result<Engine>>,
    cancelled: Arc<AtomicBool>,
}

/// Starts to load the checkpoint in the folder `path`.
#[napi(catch_unwind)]
pub fn load(path: String, options: LoadOptions) -> Result<Loading> {
    let options = options.to_core(PathBuf::from(path)).map_err(js_error)?;
    // One place: what nobody has asked for yet is replaced by what is newer.
    let (progress_in, progress) = async_channel::bounded(1);
    let (outcome_in, outcome) = async_channel::bounded(1);
    let cancelled = Arc::new(AtomicBool::new(false));
    let stop = cancelled.clone();
    spawn_blocking(move || {
        let result = Engine::load(&options, &mut |progress| {
            if stop.load(Ordering::Relaxed) {
                return Err(olmo_core::Error::Cancelled);
            }
            let _ = progress_in.force_send(progress);
            Ok(())
        });
        let _ = outcome_in.try_send(result);
    });
    Ok(Loading { progress, outcome, cancelled })
}

#[napi]
impl Loading {
    /// The next news of the load; null when there will be none.
    #[napi(catch_unwind, ts_return_type = "Promise<Progress | null>")]
    pub fn progress(&self, env: &Env) -> Promise<Option<Progress>> {
        let progress = self.progress.clone();
        promise(env, async move {
            let news = progress.recv().await.ok();
            Ok(news.map(|p| Progress { loaded: p.loaded as f64, total: p.total as f64 }))
        })
    }

    /// The model, once it is loaded. To be asked for once.
    #[napi(catch_unwind, ts_return_type = "Promise<Model>")]
    pub fn model(&self, env: &Env) -> Promise<Model> {
        let outcome = self.outcome.clone();
        promise(env, async move {
            let ended = |_| olmo_core::Error::Internal("the load ended without a model".into());
            Ok(Model::new(outcome.recv().await.map_err(ended)??))
        })
    }

    /// Stops the load; `model()` then rejects.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}
