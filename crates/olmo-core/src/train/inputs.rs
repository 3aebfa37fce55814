//! What a run reads, looked at before it writes anything: a misspelt path must not show after hours.

use super::config::TrainConfig;
use super::data::Mix;
use super::phase::Phase;
use super::validation::HeldOut;
use crate::Result;

/// Opens all that the run will read, and returns what it validates on.
pub fn check(config: &TrainConfig, phases: &[Phase]) -> Result<Vec<HeldOut>> {
    for phase in phases {
        open_mix(config, phase)?;
    }
    let open = |validation| HeldOut::open(validation, config.model.vocab_size);
    config.validation.as_ref().map_or(Ok(Vec::new()), open)
}

/// The instances of a phase.
pub fn open_mix(config: &TrainConfig, phase: &Phase) -> Result<Mix> {
    let instances = phase.steps.saturating_mul(config.batch_size as u64);
    let (length, vocab_size) = (config.sequence_length, config.model.vocab_size);
    Mix::open(&phase.data, length, vocab_size, phase.seed, instances)
}
