//! A model on its way into a file of another type.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use async_channel::Receiver;
use napi::bindgen_prelude::{spawn_blocking, Env};
use napi_derive::napi;
use olmo_core::quantize as core;

use crate::error::{js_error, promise, promise_blocking, Promise, Result};

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
pub fn quantized_size(env: &Env, model: String, r#type: String) -> Promise<f64> {
    promise_blocking(env, move || {
        let size = core::size(&PathBuf::from(model), r#type.parse()?)?;
        Ok(size as f64)
    })
}

/// Works in the background. Whoever wants to know how far it is asks with `progress()`.
#[napi]
pub struct Quantizing {
    progress: Receiver<core::Progress>,
    outcome: Receiver<olmo_core::Result<core::Summary>>,
    cancelled: Arc<AtomicBool>,
}

/// Starts to write a model in another type.
#[napi(catch_unwind)]
pub fn quantize(options: QuantizeOptions) -> Result<Quantizing> {
    let options = core::Options {
        model: options.model.into(),
        out: options.out.into(),
        target: options.r#type.parse().map_err(js_error)?,
        importance: options.imatrix.map(PathBuf::from),
        threads: options.threads.map(|threads| threads as usize),
    };
    // One place: what nobody has asked for yet is replaced by what is newer.
    let (progress_in, progress) = async_channel::bounded(1);
    let (outcome_in, outcome) = async_channel::bounded(1);
    let cancelled = Arc::new(AtomicBool::new(false));
    let stop = cancelled.clone();
    spawn_blocking(move || {
        let result = core::quantize(&options, &mut |progress| {
            if stop.load(Ordering::Relaxed) {
                return Err(olmo_core::Error::Cancelled);
            }
            let _ = progress_in.force_send(progress);
            Ok(())
        });
        let _ = outcome_in.try_send(result);
    });
    Ok(Quantizing { progress, outcome, cancelled })
}

#[napi]
impl Quantizing {
    /// The next news; null when there will be none.
    #[napi(catch_unwind, ts_return_type = "Promise<QuantizeProgress | null>")]
    pub fn progress(&self, env: &Env) -> Promise<Option<QuantizeProgress>> {
        let progress = self.progress.clone();
        promise(env, async move {
            let news = progress.recv().await.ok();
            Ok(news.map(|progress| {
                let (step, done, total) = match progress {
                    core::Progress::Text { done, total } => ("text", done, total),
                    core::Progress::Weights { done, total } => ("weights", done, total),
                };
                QuantizeProgress { step: step.into(), done: done as f64, total: total as f64 }
            }))
        })
    }

    /// What was written, once it is. To be asked for once.
    #[napi(catch_unwind, ts_return_type = "Promise<Quantized>")]
    pub fn finish(&self, env: &Env) -> Promise<Quantized> {
        let outcome = self.outcome.clone();
        promise(env, async move {
            let ended = |_| olmo_core::Error::Internal("the work ended without a result".into());
            let summary = outcome.recv().await.map_err(ended)??;
            let types = summary.types.into_iter().map(|(name, (tensors, bytes))| QuantizedType {
                r#type: name.into(),
                tensors: tensors as u32,
                bytes: bytes as f64,
            });
            Ok(Quantized {
                bytes: summary.bytes as f64,
                num_parameters: summary.num_params as f64,
                types: types.collect(),
            })
        })
    }

    /// Stops the work; `finish()` then rejects, and nothing is left of the file.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}
