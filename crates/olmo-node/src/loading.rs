//! A model on its way into memory.

use std::path::PathBuf;

use napi::bindgen_prelude::Env;
use napi_derive::napi;
use olmo_core::checkpoint::LoadProgress;
use olmo_core::engine::Engine;

use crate::background::Background;
use crate::error::{js_error, Promise, Result};
use crate::model::Model;
use crate::options::LoadOptions;

/// Bytes of weights that are in memory, and how many there will be.
#[napi(object, object_from_js = false)]
pub struct Progress {
    pub loaded: f64,
    pub total: f64,
}

/// Loads in the background. Whoever wants to know how far it is asks with `progress()`.
#[napi]
pub struct Loading {
    work: Background<LoadProgress, Engine>,
}

/// Starts to load the checkpoint in the folder `path`.
#[napi(catch_unwind)]
pub fn load(path: String, options: LoadOptions) -> Result<Loading> {
    let options = options.to_core(PathBuf::from(path)).map_err(js_error)?;
    let work = Background::start(move |progress| Engine::load(&options, progress));
    Ok(Loading { work })
}

#[napi]
impl Loading {
    /// The next news of the load; null when there will be none.
    #[napi(catch_unwind, ts_return_type = "Promise<Progress | null>")]
    pub fn progress(&self, env: &Env) -> Promise<Option<Progress>> {
        let to_js = |p: LoadProgress| Progress { loaded: p.loaded as f64, total: p.total as f64 };
        self.work.progress(env, to_js)
    }

    /// The model, once it is loaded. To be asked for once.
    #[napi(catch_unwind, ts_return_type = "Promise<Model>")]
    pub fn model(&self, env: &Env) -> Promise<Model> {
        self.work.outcome(env, Model::new)
    }

    /// Stops the load; `model()` then rejects.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.work.cancel();
    }
}
