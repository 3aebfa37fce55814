//! What a run reads, looked at before it writes anything: a misspelt path must not show after hours.

use super::config::TrainConfig;
use super::data::Mix;
use super::phase::Phase;
use super::validation::HeldOut;
use crate::Result;

/// What a run validates on, and what of its data it will not learn.
pub struct Inputs {
    pub held_out: Vec<HeldOut>,
    pub notes: Vec<String>,
}

/// Opens all that the run will read.
pub fn check(config: &TrainConfig, phases: &[Phase]) -> Result<Inputs> {
    let mut notes = Vec::new();
    for phase in phases {
        for note in open_mix(config, phase)?.notes() {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    let open = |validation| HeldOut::open(validation, config.model.vocab_size);
    let held_out = config.validation.as_ref().map_or(Ok(Vec::new()), open)?;
    Ok(Inputs { held_out, notes })
}

/// The instances of a phase.
pub fn open_mix(config: &TrainConfig, phase: &Phase) -> Result<Mix> {
    let instances = phase.steps.saturating_mul(config.batch_size as u64);
    let (length, vocab_size) = (config.sequence_length, config.model.vocab_size);
    Mix::open(&phase.data, length, vocab_size, phase.seed, instances)
}
