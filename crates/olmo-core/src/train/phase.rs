//! The parts of a run: what each reads, for how long, and at which learning rates.

use std::path::PathBuf;

use super::checkpoint::Moment;
use super::config::{SourceConfig, TrainConfig};
use super::schedule::{Decay, Schedule};
use crate::{Error, Result};

/// Stage 1, or one anneal of stage 2.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    pub stage: u32,
    /// Number of the anneal, from 1; 0 in stage 1.
    pub ingredient: u32,
    pub steps: u64,
    pub data: Vec<SourceConfig>,
    /// Decides the order of the data.
    pub seed: u64,
    pub schedule: Schedule,
}

impl Phase {
    /// After its last step.
    pub fn end(&self) -> Moment {
        Moment { stage: self.stage, ingredient: self.ingredient, step: self.steps }
    }

    /// Keys of the config that say what is done once a run is in this part.
    pub fn settled(&self) -> &'static [&'static str] {
        match (self.stage, self.ingredient) {
            (1, _) => &[],
            (_, 1) => &["stage1.steps"],
            _ => &["stage1.steps", "stage2.steps"],
        }
    }

    fn has(&self, moment: Moment) -> bool {
        (self.stage, self.ingredient) == (moment.stage, moment.ingredient)
    }
}

/// The number of the part that a checkpoint is in, `path` of `checkpoints`. Fails if the config asks for
/// fewer steps than are done.
pub fn locate(
    phases: &[Phase],
    (moment, path): &(Moment, PathBuf),
    checkpoints: &[(Moment, PathBuf)],
) -> Result<usize> {
    let invalid =
        |key: String, problem: String| Error::InvalidConfig { file: path.clone(), key, problem };
    let at = phases.iter().position(|phase| phase.has(*moment)).ok_or_else(|| {
        let problem = "has no such anneal any more, but this checkpoint is of one";
        invalid("stage2".into(), problem.into())
    })?;
    for phase in &phases[..=at] {
        let last = checkpoints.iter().rfind(|(moment, _)| phase.has(*moment));
        if let Some((last, _)) = last.filter(|(last, _)| last.step > phase.steps) {
            let problem = format!("is {}, but {} are done", phase.steps, last.step);
            return Err(invalid(format!("stage{}.steps", phase.stage), problem));
        }
    }
    Ok(at)
}

/// Ends of the parts before `at` that a run will go back to: stage 1's if another anneal is to start there,
/// and those of anneals if there are several to be averaged.
pub fn needed(phases: &[Phase], at: usize) -> Vec<Moment> {
    let again = phases.iter().skip(at + 1).any(|phase| phase.ingredient > 1);
    let is_needed = |phase: &&Phase| if phase.stage == 1 { again } else { phases.len() > 2 };
    phases[..at].iter().filter(is_needed).map(Phase::end).collect()
}

/// All parts of a run, in order.
pub fn phases(config: &TrainConfig) -> Vec<Phase> {
    let stage1 = &config.stage1;
    let first = Schedule {
        peak: stage1.learning_rate,
        warmup_steps: stage1.warmup_steps,
        decay: stage1.decay,
        floor: stage1.floor,
        decay_steps: stage1.decay_steps.unwrap_or(stage1.steps),
    };
    let mut phases = vec![Phase {
        stage: 1,
        ingredient: 0,
        steps: stage1.steps,
        data: stage1.data.clone(),
        seed: config.seed,
        schedule: first,
    }];
    let Some(stage2) = &config.stage2 else { return phases };
    let seeds = match stage2.seeds.is_empty() {
        true => vec![config.seed],
        false => stage2.seeds.clone(),
    };
    for (index, seed) in seeds.into_iter().enumerate() {
        phases.push(Phase {
            stage: 2,
            ingredient: index as u32 + 1,
            steps: stage2.steps,
            data: stage2.data.clone(),
            seed,
            schedule: Schedule {
                peak: stage2.learning_rate.unwrap_or_else(|| first.at(stage1.steps)),
                warmup_steps: 0,
                decay: Decay::Linear,
                floor: 0.0,
                decay_steps: stage2.steps,
            },
        });
    }
    phases
}
