//! A model's perplexity of a text.

use std::path::PathBuf;
use std::sync::Arc;

use napi::bindgen_prelude::{block_on, Env};
use napi_derive::napi;
use olmo_core::engine::Engine;
use olmo_core::evaluate as core;

use crate::error::{js_error, Promise, Result};
use crate::job::{Backlog, Job, Step};

/// A text being evaluated, window by window.
#[napi]
pub struct Evaluation(Job<EvaluationProgress, Perplexity>);

#[napi(object, object_to_js = false)]
pub struct PerplexityOptions {
    pub ctx: Option<u32>,
    pub stride: Option<u32>,
    pub save_base: Option<String>,
    pub kl_base: Option<String>,
}

impl Evaluation {
    pub fn new(
        engine: Arc<Engine>,
        ids: Vec<u32>,
        options: PerplexityOptions,
    ) -> Result<Evaluation> {
        let base = core::PerplexityOptions::default();
        let options = core::PerplexityOptions {
            ctx: options.ctx.map_or(base.ctx, |n| n as usize),
            stride: options.stride.map_or(base.stride, |n| n as usize),
            save_base: options.save_base.map(PathBuf::from),
            kl_base: options.kl_base.map(PathBuf::from),
        };
        let mut evaluation = core::Evaluation::new(engine, ids, &options).map_err(js_error)?;
        let job = Job::start("olmo2-evaluate", Backlog::Wait, move |job| {
            while let Some(logits) = block_on(evaluation.read())? {
                job.tell_or_stop(evaluation.count(logits)?)?;
            }
            Ok(evaluation.finish()?.into())
        })?;
        Ok(Evaluation(job))
    }
}

#[napi]
impl Evaluation {
    #[napi(
        catch_unwind,
        ts_return_type = "Promise<{ events: Array<EvaluationProgress>, output?: Perplexity }>"
    )]
    pub fn next(&self, env: &Env) -> Promise<Step<EvaluationProgress, Perplexity>> {
        self.0.next(env)
    }

    /// Ends it after the window that is being read; what it has written of a file goes.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

#[napi(object, object_from_js = false)]
pub struct EvaluationProgress {
    pub windows: u32,
    pub total: u32,
    pub perplexity: f64,
}

#[napi(object, object_from_js = false)]
pub struct Perplexity {
    pub perplexity: Mean,
    pub bits_per_byte: Option<f64>,
    pub tokens: u32,
    pub windows: u32,
    pub divergence: Option<Divergence>,
}

#[napi(object, object_from_js = false)]
pub struct Divergence {
    pub base_perplexity: Mean,
    pub ratio: Mean,
    pub kl: Mean,
    pub kl_quantiles: Quantiles,
    pub same_top: Mean,
    pub probability_change: Mean,
    pub probability_change_rms: Mean,
}

#[napi(object, object_from_js = false)]
pub struct Mean {
    pub value: f64,
    pub error: f64,
}

#[napi(object, object_from_js = false)]
pub struct Quantiles {
    pub min: f64,
    pub median: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl From<core::Progress> for EvaluationProgress {
    fn from(progress: core::Progress) -> Self {
        EvaluationProgress {
            windows: progress.windows as u32,
            total: progress.total as u32,
            perplexity: progress.perplexity,
        }
    }
}

impl From<core::Perplexity> for Perplexity {
    fn from(found: core::Perplexity) -> Self {
        Perplexity {
            perplexity: found.perplexity.into(),
            bits_per_byte: found.bits_per_byte,
            tokens: found.tokens as u32,
            windows: found.windows as u32,
            divergence: found.divergence.map(Divergence::from),
        }
    }
}

impl From<core::Divergence> for Divergence {
    fn from(found: core::Divergence) -> Self {
        let core::Quantiles { min, median, p90, p95, p99, p999, max } = found.kl_quantiles;
        Divergence {
            base_perplexity: found.base_perplexity.into(),
            ratio: found.ratio.into(),
            kl: found.kl.into(),
            kl_quantiles: Quantiles { min, median, p90, p95, p99, p999, max },
            same_top: found.same_top.into(),
            probability_change: found.probability_change.into(),
            probability_change_rms: found.probability_change_rms.into(),
        }
    }
}

impl From<core::Mean> for Mean {
    fn from(core::Mean { value, error }: core::Mean) -> Self {
        Mean { value, error }
    }
}
