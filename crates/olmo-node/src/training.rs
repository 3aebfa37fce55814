//! Training runs, and the preparation of their data.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use async_channel::{Receiver, Sender};
use napi::bindgen_prelude::Env;
use napi_derive::napi;
use olmo_core::prepare::{self as core_prepare, baseline};
use olmo_core::train::{self as core, TrainConfig, Trainer};
use olmo_core::Error;

use crate::error::{js_error, promise, Promise, Result};

/// A run on a thread of its own. What it tells waits here until it is asked for; the run waits for
/// nobody. It ends when this object goes.
#[napi]
pub struct Training {
    events: Receiver<olmo_core::Result<TrainingEvent>>,
    stop: Arc<Stop>,
}

/// Asks a run to stop, be it there already or not.
#[derive(Default)]
struct Stop {
    asked: AtomicBool,
    /// The run's own flag, once it has one.
    flag: OnceLock<Arc<AtomicBool>>,
}

impl Stop {
    fn ask(&self) {
        self.asked.store(true, Ordering::SeqCst);
        if let Some(flag) = self.flag.get() {
            flag.store(true, Ordering::SeqCst);
        }
    }

    fn pass_on_to(&self, flag: Arc<AtomicBool>) {
        let flag = self.flag.get_or_init(|| flag);
        if self.asked.load(Ordering::SeqCst) {
            flag.store(true, Ordering::SeqCst);
        }
    }
}

/// Starts a run, or with `resume` goes on with the one in its folder. `config` is JSON; `file` is
/// where it came from.
#[napi(catch_unwind)]
pub fn train(config: String, file: String, resume: bool) -> Result<Training> {
    let config = TrainConfig::from_json(&config, Path::new(&file)).map_err(js_error)?;
    let (tell, events) = async_channel::unbounded();
    let stop = Arc::new(Stop::default());
    let asked = stop.clone();
    on_thread("olmo2-train", tell, move |tell| run(config, resume, &asked, tell))?;
    Ok(Training { events, stop })
}

fn run(
    config: TrainConfig,
    resume: bool,
    stop: &Stop,
    tell: &Sender<olmo_core::Result<TrainingEvent>>,
) -> olmo_core::Result<()> {
    // Nobody listens any more: that is how a run is taken back, too.
    let tell = |event| tell.try_send(Ok(event)).map_err(|_| Error::Cancelled);
    let mut trainer = if resume { Trainer::resume(config)? } else { Trainer::new(config)? };
    stop.pass_on_to(trainer.cancel_flag());
    let at = trainer.moment();
    tell(TrainingEvent::Start {
        stage: at.stage,
        ingredient: at.ingredient,
        step: at.step as f64,
        parameters: trainer.model().num_params() as f64,
        notes: trainer.notes().to_vec(),
    })?;
    let summary = trainer.run(&mut |progress| tell(progress.clone().into()))?;
    tell(TrainingEvent::Done {
        model: text(summary.model),
        loss: summary.loss,
        tokens: summary.tokens as f64,
    })
}

#[napi]
impl Training {
    /// All news there are, at least one; null at the end.
    #[napi(catch_unwind, ts_return_type = "Promise<Array<TrainingEvent> | null>")]
    pub fn next(&self, env: &Env) -> Promise<Option<Vec<TrainingEvent>>> {
        let events = self.events.clone();
        promise(env, async move { all_ready(&events).await })
    }

    /// Stops the run after it has saved its last whole step; `next` rejects after the rest is told.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.stop.ask();
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        self.stop.ask();
    }
}

/// What is ready, at least one; none at the end. A failure is the last that comes: the newest stays
/// for the next call, so that a failure never takes with it what was told before.
async fn all_ready<T>(
    events: &Receiver<olmo_core::Result<T>>,
) -> olmo_core::Result<Option<Vec<T>>> {
    let Ok(first) = events.recv().await else { return Ok(None) };
    let mut ready = vec![first?];
    while events.len() > 1 {
        let Ok(event) = events.try_recv() else { break };
        ready.push(event?);
    }
    Ok(Some(ready))
}

/// Does work on a thread of its own; a failure or panic is the last that it tells.
fn on_thread<T: Send + 'static>(
    name: &str,
    tell: Sender<olmo_core::Result<T>>,
    work: impl FnOnce(&Sender<olmo_core::Result<T>>) -> olmo_core::Result<()> + Send + 'static,
) -> Result<()> {
    let body = move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&tell)));
        let outcome = outcome.unwrap_or_else(|panic| Err(Error::Internal(said(&*panic))));
        if let Err(error) = outcome {
            let _ = tell.try_send(Err(error));
        }
    };
    let started = std::thread::Builder::new().name(name.into()).spawn(body);
    started.map(drop).map_err(|error| js_error(Error::Internal(format!("thread: {error}"))))
}

/// The message of a panic.
fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".into())
}

fn text(path: PathBuf) -> String {
    path.to_string_lossy().into_owned()
}

#[napi(discriminant = "type", object_from_js = false)]
pub enum TrainingEvent {
    Start {
        stage: u32,
        ingredient: u32,
        step: f64,
        parameters: f64,
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
    Done {
        model: String,
        loss: Option<f64>,
        tokens: f64,
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

/// Text on its way to tokens.
#[napi]
pub struct Preparation {
    events: Receiver<olmo_core::Result<PreparationEvent>>,
    cancelled: Arc<AtomicBool>,
}

#[napi(object, object_to_js = false)]
pub struct PrepareOptions {
    pub text: String,
    pub out: String,
    pub vocab_size: Option<u32>,
    pub seed: Option<f64>,
    pub context: Option<u32>,
    /// Orders of n-gram models to measure
    pub baseline: Vec<u32>,
}

/// What begins; at the end the manifest and the n-gram models' scores, in JSON.
#[napi(discriminant = "type", object_from_js = false)]
pub enum PreparationEvent {
    Progress { what: String },
    Done { manifest: String, baselines: String },
}

/// Starts to make token files and a tokenizer from a folder of text.
#[napi(catch_unwind)]
pub fn prepare(options: PrepareOptions) -> Result<Preparation> {
    let mut core_options = core_prepare::Options::new(options.text, options.out);
    core_options.vocab_size = options.vocab_size.map_or(core_options.vocab_size, |n| n as usize);
    core_options.seed = options.seed.map_or(core_options.seed, |n| n as u64);
    core_options.context = options.context.map_or(core_options.context, |n| n as usize);
    let orders: Vec<usize> = options.baseline.into_iter().map(|order| order as usize).collect();
    baseline::check_orders(&orders).map_err(js_error)?;
    let (tell, events) = async_channel::unbounded();
    let cancelled = Arc::new(AtomicBool::new(false));
    let stop = cancelled.clone();
    on_thread("olmo2-prepare", tell, move |tell| {
        let mut say = |what: &str| {
            let _ = tell.try_send(Ok(PreparationEvent::Progress { what: what.into() }));
        };
        let manifest = core_prepare::prepare(&core_options, &stop, &mut say)?;
        let baselines = baseline::measure_all(&core_options.out, &orders, &stop, &mut say)?;
        let (manifest, baselines) = (manifest.to_json(), baseline::to_json(&baselines));
        let _ = tell.try_send(Ok(PreparationEvent::Done { manifest, baselines }));
        Ok(())
    })?;
    Ok(Preparation { events, cancelled })
}

#[napi]
impl Preparation {
    /// All news there are, at least one; null at the end.
    #[napi(catch_unwind, ts_return_type = "Promise<Array<PreparationEvent> | null>")]
    pub fn next(&self, env: &Env) -> Promise<Option<Vec<PreparationEvent>>> {
        let events = self.events.clone();
        promise(env, async move { all_ready(&events).await })
    }

    /// Stops the work as soon as it can be stopped; then `next` rejects.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}
