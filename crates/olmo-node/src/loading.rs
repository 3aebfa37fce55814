//! A model on its way into memory.

use std::path::PathBuf;

use napi::bindgen_prelude::Env;
use napi_derive::napi;
use olmo_core::checkpoint::LoadProgress;
use olmo_core::engine::Engine;

use crate::error::{js_error, Promise, Result};
use crate::job::{Backlog, Job, Step};
use crate::model::Model;
use crate::options::LoadOptions;

/// Bytes of weights that are in memory, and how many there will be.
#[napi(object, object_from_js = false)]
pub struct Progress {
    pub loaded: f64,
    pub total: f64,
}

/// A load that is under way.
#[napi]
pub struct Loading(Job<Progress, Model>);

/// Starts to load the checkpoint in the folder `path`.
#[napi(catch_unwind)]
pub fn load(path: String, options: LoadOptions) -> Result<Loading> {
    let options = options.to_core(PathBuf::from(path)).map_err(js_error)?;
    let job = Job::start("olmo2-load", Backlog::Newest, move |job| {
        Engine::load(&options, &mut |progress| job.tell_or_stop(progress)).map(Model::new)
    })?;
    Ok(Loading(job))
}

#[napi]
impl Loading {
    #[napi(catch_unwind, ts_return_type = "Promise<{ events: Array<Progress>, output?: Model }>")]
    pub fn next(&self, env: &Env) -> Promise<Step<Progress, Model>> {
        self.0.next(env)
    }

    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

impl From<LoadProgress> for Progress {
    fn from(progress: LoadProgress) -> Self {
        Progress { loaded: progress.loaded as f64, total: progress.total as f64 }
    }
}
