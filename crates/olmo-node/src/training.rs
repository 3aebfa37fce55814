//! Training runs.

use std::path::{Path, PathBuf};

use napi::bindgen_prelude::Env;
use napi_derive::napi;
use olmo_core::train::{self as core, TrainConfig, Trainer};

use crate::error::{js_error, Promise, Result};
use crate::job::{Backlog, Job, Step, Teller};

/// A run that is under way. It ends when this object goes.
#[napi]
pub struct Training(Job<TrainingEvent, TrainingSummary>);

/// Starts a run, or with `resume` goes on with the one in its folder. `config` is JSON; `file` is
/// where it came from.
#[napi(catch_unwind)]
pub fn train(config: String, file: String, resume: bool) -> Result<Training> {
    let config = TrainConfig::from_json(&config, Path::new(&file)).map_err(js_error)?;
    Ok(Training(Job::start("olmo2-train", Backlog::All, move |job| run(config, resume, job))?))
}

fn run(
    config: TrainConfig,
    resume: bool,
    job: &Teller<TrainingEvent>,
) -> olmo_core::Result<TrainingSummary> {
    let mut trainer = if resume { Trainer::resume(config)? } else { Trainer::new(config)? };
    trainer.stop_by(job.cancelled.clone());
    let at = trainer.moment();
    job.tell(TrainingEvent::Start {
        stage: at.stage,
        ingredient: at.ingredient,
        step: at.step as f64,
        parameters: trainer.model().num_params() as f64,
        total_tokens: trainer.total_tokens() as f64,
        finished: trainer.is_finished(),
        notes: trainer.notes().to_vec(),
    });
    // Not `tell_or_stop`: the trainer itself stops after a step, and saves it.
    let summary = trainer.run(&mut |progress| {
        job.tell(progress.clone());
        Ok(())
    })?;
    Ok(TrainingSummary {
        model: text(summary.model),
        loss: summary.loss,
        tokens: summary.tokens as f64,
    })
}

#[napi]
impl Training {
    #[napi(
        catch_unwind,
        ts_return_type = "Promise<{ events: Array<TrainingEvent>, output?: TrainingSummary }>"
    )]
    pub fn next(&self, env: &Env) -> Promise<Step<TrainingEvent, TrainingSummary>> {
        self.0.next(env)
    }

    /// Stops the run after it has saved its last whole step.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

fn text(path: PathBuf) -> String {
    path.to_string_lossy().into_owned()
}

#[napi(object, object_from_js = false)]
pub struct TrainingSummary {
    pub model: String,
    pub loss: Option<f64>,
    pub tokens: f64,
}

#[napi(discriminant = "type", object_from_js = false)]
pub enum TrainingEvent {
    Start {
        stage: u32,
        ingredient: u32,
        step: f64,
        parameters: f64,
        total_tokens: f64,
        finished: bool,
        notes: Vec<String>,
    },
    Step {
        stage: u32,
        ingredient: u32,
        step: f64,
        steps: f64,
        tokens: f64,
        loss: f64,
        z_loss: f64,
        learning_rate: f64,
        grad_norm: f64,
        tokens_per_second: f64,
    },
    Validation {
        stage: u32,
        ingredient: u32,
        step: f64,
        source: String,
        loss: f64,
        bits_per_byte: f64,
    },
    Checkpoint {
        stage: u32,
        ingredient: u32,
        step: f64,
        path: String,
    },
}

impl From<core::Progress> for TrainingEvent {
    fn from(progress: core::Progress) -> Self {
        match progress {
            core::Progress::Step(p) => TrainingEvent::Step {
                stage: p.stage,
                ingredient: p.ingredient,
                step: p.step as f64,
                steps: p.steps as f64,
                tokens: p.tokens as f64,
                loss: p.loss,
                z_loss: p.z_loss,
                learning_rate: p.learning_rate,
                grad_norm: p.grad_norm,
                tokens_per_second: p.tokens_per_second,
            },
            core::Progress::Validation(p) => TrainingEvent::Validation {
                stage: p.stage,
                ingredient: p.ingredient,
                step: p.step as f64,
                source: p.source,
                loss: p.loss,
                bits_per_byte: p.bits_per_byte,
            },
            core::Progress::Checkpoint(p) => TrainingEvent::Checkpoint {
                stage: p.stage,
                ingredient: p.ingredient,
                step: p.step as f64,
                path: text(p.path),
            },
        }
    }
}
