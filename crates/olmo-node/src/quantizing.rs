//! A model on its way into a file of another type.

use std::path::PathBuf;

use napi::bindgen_prelude::Env;
use napi_derive::napi;
use olmo_core::precision::Precision;
use olmo_core::quantize as core;

use crate::background::Background;
use crate::error::{js_error, promise_blocking, Promise, Result};

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

/// Works in the background. Whoever wants to know how far it is asks with `progress()`.
#[napi]
pub struct Quantizing {
    work: Background<core::Progress, core::Summary>,
}

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
    let work = Background::start(move |progress| core::quantize(&options, progress));
    Ok(Quantizing { work })
}

#[napi]
impl Quantizing {
    /// The next news; null when there will be none.
    #[napi(catch_unwind, ts_return_type = "Promise<QuantizeProgress | null>")]
    pub fn progress(&self, env: &Env) -> Promise<Option<QuantizeProgress>> {
        self.work.progress(env, QuantizeProgress::from)
    }

    /// What was written, once it is. To be asked for once.
    #[napi(catch_unwind, ts_return_type = "Promise<Quantized>")]
    pub fn finish(&self, env: &Env) -> Promise<Quantized> {
        self.work.outcome(env, Quantized::from)
    }

    /// Stops the work; `finish()` then rejects, and nothing is left of the file.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.work.cancel();
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
