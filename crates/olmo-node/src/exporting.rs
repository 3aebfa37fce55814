//! A model on its way into a checkpoint folder.

use std::path::PathBuf;

use napi::bindgen_prelude::Env;
use napi_derive::napi;
use olmo_core::dtype::DType;
use olmo_core::export as core;

use crate::error::{js_error, Promise, Result};
use crate::job::{Backlog, Job, Step};

/// Bytes of the new weights.
#[napi(object, object_from_js = false)]
pub struct ExportProgress {
    pub done: f64,
    pub total: f64,
}

/// A model on its way into a folder.
#[napi]
pub struct Exporting(Job<ExportProgress, bool>);

/// Starts to write a model into a folder that is there.
#[napi(catch_unwind)]
pub fn export_folder(model: String, folder: String, dtype: Option<String>) -> Result<Exporting> {
    let (model, folder) = (PathBuf::from(model), PathBuf::from(folder));
    let dtype: Option<DType> = dtype.map(|name| name.parse()).transpose().map_err(js_error)?;
    let job = Job::start("olmo2-export", Backlog::Newest, move |job| {
        core::export(&model, &folder, dtype, &mut |progress| job.tell_or_stop(progress))?;
        Ok(true)
    })?;
    Ok(Exporting(job))
}

#[napi]
impl Exporting {
    #[napi(
        catch_unwind,
        ts_return_type = "Promise<{ events: Array<ExportProgress>, output?: boolean }>"
    )]
    pub fn next(&self, env: &Env) -> Promise<Step<ExportProgress, bool>> {
        self.0.next(env)
    }

    /// What is written so far stays.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

impl From<core::Progress> for ExportProgress {
    fn from(core::Progress { done, total }: core::Progress) -> Self {
        ExportProgress { done: done as f64, total: total as f64 }
    }
}
