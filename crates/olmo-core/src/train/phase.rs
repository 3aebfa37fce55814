//! The parts of a run: what each reads, for how long, and at which learning rates.

use super::config::{SourceConfig, TrainConfig};
use super::schedule::{Decay, Schedule};

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

/// All parts of a run, in order.
pub fn phases(config: &TrainConfig) -> Vec<Phase> {
    let stage1 = &config.stage1;
    let cosine = Schedule {
        peak: stage1.learning_rate,
        warmup_steps: stage1.warmup_steps,
        decay: Decay::Cosine,
        floor: stage1.floor,
        decay_steps: stage1.decay_steps.unwrap_or(stage1.steps),
    };
    let mut phases = vec![Phase {
        stage: 1,
        ingredient: 0,
        steps: stage1.steps,
        data: stage1.data.clone(),
        seed: config.seed,
        schedule: cosine,
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
                peak: stage2.learning_rate.unwrap_or_else(|| cosine.at(stage1.steps)),
                warmup_steps: 0,
                decay: Decay::Linear,
                floor: 0.0,
                decay_steps: stage2.steps,
            },
        });
    }
    phases
}
