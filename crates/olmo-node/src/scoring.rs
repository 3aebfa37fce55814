//! How well a model knows tokens, as sums: of a text, and of what a preparation held out.

use std::path::PathBuf;
use std::sync::Arc;

use napi::bindgen_prelude::{block_on, Env};
use napi_derive::napi;
use olmo_core::engine::Engine;
use olmo_core::evaluate as core;

use crate::error::{Promise, Result};
use crate::job::{Backlog, Job, Step};

/// Tokens that are scored, of how many.
#[napi(object, object_from_js = false)]
pub struct ScoreProgress {
    pub tokens: f64,
    pub total: f64,
}

/// The surprise of tokens, added up.
#[napi(object, object_from_js = false)]
pub struct Surprise {
    pub tokens: f64,
    pub cross_entropy: f64,
    pub perplexity: f64,
}

/// A text being scored.
#[napi]
pub struct TextScoring(Job<ScoreProgress, Surprise>);

impl TextScoring {
    pub fn new(engine: Arc<Engine>, ids: Vec<u32>) -> Result<TextScoring> {
        let job = Job::start("olmo2-score", Backlog::Newest, move |job| {
            let mut tell = |progress: core::ScoreProgress| job.tell_or_stop(progress);
            Ok(block_on(core::score_text(&engine, &ids, &mut tell))?.into())
        })?;
        Ok(TextScoring(job))
    }
}

#[napi]
impl TextScoring {
    #[napi(
        catch_unwind,
        ts_return_type = "Promise<{ events: Array<ScoreProgress>, output?: Surprise }>"
    )]
    pub fn next(&self, env: &Env) -> Promise<Step<ScoreProgress, Surprise>> {
        self.0.next(env)
    }

    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

/// Held-out documents being scored. The result is JSON.
#[napi]
pub struct HeldOutScoring(Job<ScoreProgress, String>);

impl HeldOutScoring {
    pub fn new(engine: Arc<Engine>, folder: PathBuf) -> Result<HeldOutScoring> {
        let job = Job::start("olmo2-score", Backlog::Wait, move |job| {
            let mut tell = |progress: core::ScoreProgress| job.tell_or_stop(progress);
            let found = block_on(core::score_held_out(&engine, &folder, &mut tell))?;
            Ok(found.to_json())
        })?;
        Ok(HeldOutScoring(job))
    }
}

#[napi]
impl HeldOutScoring {
    #[napi(
        catch_unwind,
        ts_return_type = "Promise<{ events: Array<ScoreProgress>, output?: string }>"
    )]
    pub fn next(&self, env: &Env) -> Promise<Step<ScoreProgress, String>> {
        self.0.next(env)
    }

    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

impl From<core::ScoreProgress> for ScoreProgress {
    fn from(progress: core::ScoreProgress) -> Self {
        ScoreProgress { tokens: progress.tokens as f64, total: progress.total as f64 }
    }
}

impl From<core::Surprise> for Surprise {
    fn from(surprise: core::Surprise) -> Self {
        Surprise {
            tokens: surprise.tokens as f64,
            cross_entropy: surprise.cross_entropy(),
            perplexity: surprise.perplexity(),
        }
    }
}
