//! A model on its way into a file of another type.

use std::path::PathBuf;

use napi::bindgen_prelude::Env;
use napi_derive::napi;
use olmo_core::precision::Precision;
use olmo_core::quantize as core;

use crate::error::{js_error, promise_blocking, Promise, Result};
use crate::job::{Backlog, Job, Step};

#[napi(object, object_to_js = false)]
pub struct QuantizeOptions {
    pub model: String,
    pub out: String,
    pub r#type: String,
    pub imatrix: Option<String>,
    pub threads: Option<u32>,
}

/// Tokens of the text that importance is learned from, or bytes of the new file.
#[napi(object, object_from_js = false)]
pub struct QuantizeProgress {
    #[napi(ts_type = "'text' | 'weights'")]
    pub step: String,
    pub done: f64,
    pub total: f64,
}

#[napi(object, object_from_js = false)]
pub struct Quantized {
    pub bytes: f64,
    pub num_parameters: f64,
    pub types: Vec<QuantizedType>,
}

#[napi(object, object_from_js = false)]
pub struct QuantizedType {
    pub r#type: String,
    pub tensors: u32,
    pub bytes: f64,
}

/// Bytes that a model's tensors take in a type.
#[napi(catch_unwind, ts_return_type = "Promise<number>")]
pub fn quantized_size(env: &Env, model: String, target: String) -> Promise<f64> {
    promise_blocking(env, move || {
        let size = core::size(&PathBuf::from(model), Precision::of_option("type", &target)?)?;
        Ok(size as f64)
    })
}

/// A model on its way into another type.
#[napi]
pub struct Quantizing(Job<QuantizeProgress, Quantized>);

/// Starts to write a model in another type.
#[napi(catch_unwind)]
pub fn quantize(options: QuantizeOptions) -> Result<Quantizing> {
    let options = core::Options {
        model: options.model.into(),
        out: options.out.into(),
        target: Precision::of_option("type", &options.r#type).map_err(js_error)?,
        importance: options.imatrix.map(PathBuf::from),
        threads: options.threads.map(|threads| threads as usize),
    };
    let job = Job::start("olmo2-quantize", Backlog::Newest, move |job| {
        core::quantize(&options, &mut |progress| job.tell_or_stop(progress)).map(Quantized::from)
    })?;
    Ok(Quantizing(job))
}

#[napi]
impl Quantizing {
    #[napi(
        catch_unwind,
        ts_return_type = "Promise<{ events: Array<QuantizeProgress>, output?: Quantized }>"
    )]
    pub fn next(&self, env: &Env) -> Promise<Step<QuantizeProgress, Quantized>> {
        self.0.next(env)
    }

    /// Nothing is left of the file then.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

impl From<core::Progress> for QuantizeProgress {
    fn from(progress: core::Progress) -> Self {
        let (step, done, total) = match progress {
            core::Progress::Text { done, total } => ("text", done, total),
            core::Progress::Weights { done, total } => ("weights", done, total),
        };
        QuantizeProgress { step: step.into(), done: done as f64, total: total as f64 }
    }
}

impl From<core::Summary> for Quantized {
    fn from(summary: core::Summary) -> Self {
        let types = summary.types.into_iter().map(|(name, (tensors, bytes))| QuantizedType {
            r#type: name.into(),
            tensors: tensors as u32,
            bytes: bytes as f64,
        });
        Quantized {
            bytes: summary.bytes as f64,
            num_parameters: summary.num_params as f64,
            types: types.collect(),
        }
    }
}
