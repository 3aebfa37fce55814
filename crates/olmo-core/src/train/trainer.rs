//! A run: stage 1, then the anneals of stage 2, then their average.

mod saving;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use std::time::Instant;

use super::checkpoint::{self, Moment, Name, STATE_FILE};
use super::config::TrainConfig;
use super::data::{document_lengths, Mix};
use super::init::{initial_weights, loaded_weights};
use super::inputs::Inputs;
use super::instance::Instance;
use super::lock::RunLock;
use super::metrics::{CheckpointMetrics, MetricsLog, Progress, StepMetrics, ValidationMetrics};
use super::network::{Examples, Learner};
use super::optimizer::AdamW;
use super::phase::{locate, needed, phases, Phase};
use super::restore::{open_learner, restore, Restored};
use super::schedule::restart_factor;
use super::validation::{HeldOut, Score};
use super::{damage, fit, inputs, memory, soup, state};
use crate::config::ModelConfig;
use crate::dtype::DType;
use crate::ops::{LossScale, LossSums, Parameter};
use crate::{Error, Result};

/// Name of the folder with the average of all anneals.
pub const SOUP: &str = "stage2-soup";

/// Is told of everything that happens; an error from it ends the run.
pub type OnProgress<'a> = &'a mut dyn FnMut(&Progress) -> Result<()>;

/// A run in some folder, at some step.
pub struct Trainer {
    config: TrainConfig,
    model: ModelConfig,
    dtype: DType,
    phases: Vec<Phase>,
    /// The phase the run is in, and the steps of it that are done.
    phase: usize,
    step: u64,
    /// The last checkpoint, which the weights were loaded from or written to.
    saved: (Moment, PathBuf),
    learner: Box<dyn Learner>,
    optimizer: AdamW,
    held_out: Vec<HeldOut>,
    log: MetricsLog,
    pool: rayon::ThreadPool,
    cancelled: Arc<AtomicBool>,
    notes: Vec<String>,
    _lock: RunLock,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The model to use: the soup, or the last checkpoint.
    pub model: PathBuf,
    /// Training loss of the last step of this sitting; `None` if there was nothing left to do.
    pub loss: Option<f64>,
    /// Tokens read in this sitting.
    pub tokens: u64,
}

impl Trainer {
    /// Begins a run in a folder that holds none yet: writes its first weights as a checkpoint.
    ///
    /// Errors with [`Error::InvalidConfig`] if the config, its tokenizer and its token files do not fit each
    /// other, and with [`Error::NotEnoughMemory`] before anything large is made.
    pub fn new(mut config: TrainConfig) -> Result<Trainer> {
        fit::settle(&mut config)?;
        memory::check(&config, &config.model_config(&config.file)?)?;
        inputs::check(&config, &phases(&config))?;
        let output = &config.output;
        std::fs::create_dir_all(output).map_err(|error| Error::write(output, error))?;
        let lock = RunLock::take(output)?;
        checkpoint::clean(output)?;
        if let Some((_, path)) = checkpoint::list(output)?.pop() {
            return Err(Error::InvalidConfig {
                file: output.clone(),
                key: "output".into(),
                problem: format!(
                    "already holds a run, at {}; resume it or choose another folder",
                    path.file_name().unwrap_or_default().to_string_lossy()
                ),
            });
        }
        let dtype = config.checkpoint_dtype()?;
        let model = config.model_config(output)?;
        let weights = match &config.start {
            Some(folder) => loaded_weights(&model, folder)?,
            None => initial_weights(&model, config.seed),
        };
        let moment = Moment { stage: 1, ingredient: 0, step: 0 };
        let name = Name { moment, tokens: 0 }.to_string();
        let path = checkpoint::write_whole(output, &name, |folder| {
            let views = weights.iter().map(|(name, shape, w)| (&name[..], &shape[..], &w[..]));
            let json = config.checkpoint_json(dtype);
            checkpoint::write_model(folder, &json, dtype, views, config.tokenizer.as_deref())?;
            let parameters: Vec<_> = weights
                .iter()
                .map(|(name, shape, w)| Parameter::new(name, shape, w.clone()))
                .collect();
            let optimizer = AdamW::new(config.optimizer, &parameters);
            state::write(folder, &config, &parameters, &optimizer, dtype)
        })?;
        Trainer::load(config, (moment, path), lock)
    }

    /// Goes on from the newest whole checkpoint of a run, or begins one if there is none. The
    /// weights then become, to the bit, what they would have become without the interruption, on
    /// the same machine with the same number of threads. If no checkpoint has its state any more (it
    /// is large, and not every copy of a run has it), the newest will do: see [`Trainer::notes`].
    pub fn resume(mut config: TrainConfig) -> Result<Trainer> {
        if !config.output.is_dir() {
            return Trainer::new(config);
        }
        fit::settle(&mut config)?;
        memory::check(&config, &config.model_config(&config.file)?)?;
        let lock = RunLock::take(&config.output)?;
        let notes = damage::set_aside(&config.output)?;
        match checkpoint::newest(&config.output)? {
            Some(newest) => {
                checkpoint::clean(&config.output)?;
                let mut trainer = Trainer::load(config, newest, lock)?;
                trainer.notes.splice(0..0, notes);
                Ok(trainer)
            }
            None => {
                drop(lock);
                Trainer::new(config)
            }
        }
    }

    fn load(config: TrainConfig, saved: (Moment, PathBuf), lock: RunLock) -> Result<Trainer> {
        let model = config.model_config(&config.output)?;
        let phases = phases(&config);
        let checkpoints = checkpoint::list(&config.output)?;
        let phase = locate(&phases, &saved, &checkpoints)?;
        let Inputs { held_out, notes: left_out } = inputs::check(&config, &phases[phase..])?;
        let threads = config.threads.unwrap_or(0); // 0: one for each processor
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("olmo2-train-{index}"))
            .build()
            .map_err(|error| Error::Internal(format!("threads: {error}")))?;
        let mut learner = open_learner(&config, &model, &saved.1)?;
        let Restored { optimizer, mut notes } =
            restore(learner.as_mut(), &config, phases[phase].settled(), &saved.1)?;
        notes.extend(left_out);
        for moment in needed(&phases, phase) {
            checkpoint::find(&checkpoints, moment, &config.output)?;
        }
        Ok(Trainer {
            _lock: lock,
            notes,
            dtype: config.checkpoint_dtype()?,
            log: MetricsLog::open(&config.output, saved.0)?,
            cancelled: Arc::default(),
            step: saved.0.step,
            held_out,
            saved,
            config,
            model,
            phases,
            phase,
            learner,
            optimizer,
            pool,
        })
    }

    /// Set to true, it ends the run at the next micro-batch: the last whole step is saved, and
    /// [`Trainer::run`] returns [`Error::Cancelled`].
    pub fn cancel_flag(&self) -> Arc<AtomicBool> {
        self.cancelled.clone()
    }

    /// Has another flag end the run, as [`Trainer::cancel_flag`] does: one that its owner already has.
    pub fn stop_by(&mut self, flag: Arc<AtomicBool>) {
        self.cancelled = flag;
    }

    /// Stage, ingredient and steps done.
    pub fn moment(&self) -> Moment {
        let Phase { stage, ingredient, .. } = self.phases[self.phase];
        Moment { stage, ingredient, step: self.step }
    }

    pub fn model(&self) -> &ModelConfig {
        &self.model
    }

    /// Tokens that the whole run reads, those of each anneal counted.
    pub fn total_tokens(&self) -> u64 {
        self.phases.iter().map(|phase| phase.steps).sum::<u64>() * self.step_tokens()
    }

    /// Whether there is nothing left to do.
    pub fn is_finished(&self) -> bool {
        self.phase + 1 == self.phases.len() && self.step == self.phases[self.phase].steps
    }

    /// What is not as it was in the sitting before.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Trains to the end of the last stage.
    pub fn run(&mut self, on_progress: OnProgress) -> Result<Summary> {
        let mut summary = Summary { model: self.saved.1.clone(), loss: None, tokens: 0 };
        loop {
            match self.run_phase(on_progress, &mut summary) {
                Err(Error::Cancelled) => {
                    self.save(on_progress)?;
                    return Err(Error::Cancelled);
                }
                done => done?,
            }
            if self.phase + 1 == self.phases.len() {
                break;
            }
            self.next_phase()?;
        }
        summary.model = self.saved.1.clone();
        let ends = self.ends_of_anneals()?;
        if ends.len() > 1 {
            // One that is there may be of fewer anneals.
            let soup = self.config.output.join(SOUP);
            if soup.exists() {
                std::fs::remove_dir_all(&soup).map_err(|error| Error::write(&soup, error))?;
            }
            summary.model = soup::average(&ends, &self.config.output, SOUP, self.dtype)?;
        }
        Ok(summary)
    }

    fn run_phase(&mut self, on_progress: OnProgress, summary: &mut Summary) -> Result<()> {
        let phase = self.phases[self.phase].clone();
        let mut mix = inputs::open_mix(&self.config, &phase)?;
        loop {
            // First what is due after the last step: a sitting may have ended before that was done.
            let last = self.step == phase.steps;
            let due = |interval: u64| self.step > 0 && (last || self.step.is_multiple_of(interval));
            let extra = phase.stage == 1 && self.config.checkpoint.steps.contains(&self.step);
            let save = extra || due(self.config.checkpoint.interval);
            let validate = self.config.validation.as_ref().is_some_and(|v| due(v.interval));
            if validate && self.log.validated() != Some(self.moment()) {
                self.validate(on_progress)?;
            }
            if save {
                self.save(on_progress)?;
            }
            if last {
                return Ok(());
            }
            let metrics = self.optimizer_step(&phase, &mut mix)?;
            summary.loss = Some(metrics.loss);
            summary.tokens += self.step_tokens();
            self.tell(Progress::Step(metrics), on_progress)?;
        }
    }

    fn step_tokens(&self) -> u64 {
        (self.config.batch_size * self.config.sequence_length) as u64
    }

    /// One batch, one update.
    fn optimizer_step(&mut self, phase: &Phase, mix: &mut Mix) -> Result<StepMetrics> {
        let start = Instant::now();
        let instances = self.batch(mix)?;
        let rows = instances.iter().map(Instance::count).sum::<usize>() as f64;
        let scale = LossScale {
            cross_entropy: (1.0 / rows) as f32,
            z_loss: (self.config.z_loss / rows) as f32,
        };
        let sums = match self.gradient(&instances, scale) {
            Ok(sums) => sums,
            Err(error) => {
                // The part that was gathered must not get into the next step.
                let clear = |parameter: &mut Parameter| parameter.gradient.fill(0.0);
                self.learner.parameters(&mut |all| all.iter_mut().for_each(clear))?;
                return Err(error);
            }
        };
        let before = if phase.stage == 1 { 0 } else { self.phases[0].steps };
        let learning_rate = phase.schedule.at(self.step + 1)
            * restart_factor(before + self.step, self.optimizer.steps);
        let (learner, optimizer) = (&mut self.learner, &mut self.optimizer);
        let grad_norm = self.pool.install(|| {
            let mut norm = 0.0;
            learner.parameters(&mut |parameters| {
                norm = optimizer.update(parameters, learning_rate);
            })?;
            Ok::<f64, Error>(norm)
        })?;
        if !grad_norm.is_finite() {
            return Err(Error::Diverged { step: self.step + 1, grad_norm });
        }
        self.step += 1;
        Ok(StepMetrics {
            stage: phase.stage,
            ingredient: phase.ingredient,
            step: self.step,
            steps: phase.steps,
            tokens: self.step * self.step_tokens(),
            loss: sums.cross_entropy / rows,
            z_loss: self.config.z_loss * sums.z_squared / rows,
            learning_rate,
            grad_norm,
            tokens_per_second: self.step_tokens() as f64 / start.elapsed().as_secs_f64(),
        })
    }

    /// What the next step learns from.
    fn batch(&self, mix: &mut Mix) -> Result<Vec<Instance>> {
        let batch_size = self.config.batch_size as u64;
        let first = self.step * batch_size;
        (first..first + batch_size).map(|number| mix.instance(number)).collect()
    }

    /// Gathers the gradient of a batch, micro-batch by micro-batch.
    fn gradient(&mut self, instances: &[Instance], scale: LossScale) -> Result<LossSums> {
        let mut sums = LossSums::default();
        for micro in instances.chunks(self.config.micro_batch_size) {
            Error::if_cancelled(&self.cancelled)?;
            let mut examples = Examples::default();
            for Instance { tokens, targets, documents } in micro {
                let documents = match (self.config.document_masking, documents) {
                    (false, _) => vec![tokens.len()],
                    (true, Some(known)) => known.clone(),
                    (true, None) => document_lengths(tokens, self.config.model.eos_token_id),
                };
                match targets {
                    Some(targets) => examples.push_labelled(tokens, &documents, targets),
                    None => examples.push(tokens, &documents),
                }
            }
            let learner = &mut self.learner;
            let part = self.pool.install(|| learner.learn(&examples, scale))?;
            sums = [sums, part].into_iter().sum();
        }
        Ok(sums)
    }

    fn tell(&mut self, progress: Progress, on_progress: OnProgress) -> Result<()> {
        self.log.write(&progress)?;
        on_progress(&progress)
    }

    fn validate(&mut self, on_progress: OnProgress) -> Result<()> {
        let Moment { stage, ingredient, step } = self.moment();
        let limit = self.config.validation.as_ref().and_then(|validation| validation.tokens);
        let (learner, config, cancelled) = (&mut self.learner, &self.config, &self.cancelled);
        let score = |held_out: &HeldOut| {
            let score = held_out.score(learner.as_mut(), config, limit, cancelled)?;
            Ok((held_out.name.clone(), score))
        };
        // Told all at once: a log with some sources' scores and not the others' would look whole.
        let scores: Vec<(String, Score)> =
            self.pool.install(|| self.held_out.iter().map(score).collect::<Result<_>>())?;
        for (source, Score { loss, bits_per_byte }) in scores {
            let metrics =
                ValidationMetrics { stage, ingredient, step, source, loss, bits_per_byte };
            self.tell(Progress::Validation(metrics), on_progress)?;
        }
        Ok(())
    }

    /// Goes to the start of the next phase. Every anneal starts where stage 1 ended.
    fn next_phase(&mut self) -> Result<()> {
        self.phase += 1;
        self.step = 0;
        if self.phases[self.phase].ingredient > 1 {
            let checkpoints = checkpoint::list(&self.config.output)?;
            let end = self.phases[0].end();
            let path = checkpoint::find(&checkpoints, end, &self.config.output)?;
            self.learner = open_learner(&self.config, &self.model, &path)?;
            self.optimizer = restore(self.learner.as_mut(), &self.config, &[], &path)?.optimizer;
        }
        Ok(())
    }

    fn ends_of_anneals(&self) -> Result<Vec<PathBuf>> {
        let anneals = self.phases.iter().filter(|phase| phase.stage == 2);
        let checkpoints = checkpoint::list(&self.config.output)?;
        anneals
            .map(|phase| checkpoint::find(&checkpoints, phase.end(), &self.config.output))
            .collect()
    }
}
