//! A learner and its optimizer, out of a checkpoint.

use std::path::Path;

use super::config::TrainConfig;
use super::fused::FusedOps;
use super::network::{Learner, Network};
use super::optimizer::AdamW;
use super::state;
use crate::backend::candle::AutogradOps;
use crate::config::ModelConfig;
use crate::device::Device;
use crate::model::weight_shapes;
use crate::weights::Checkpoint;
use crate::Result;

/// The weights of a checkpoint, ready to learn on the config's device.
pub fn open_learner(
    config: &TrainConfig,
    model: &ModelConfig,
    path: &Path,
) -> Result<Box<dyn Learner>> {
    let checkpoint = Checkpoint::open(path)?;
    checkpoint.check(&weight_shapes(model))?;
    Ok(match config.device.parse::<Device>()?.resolve() {
        Device::Cpu => Box::new(Network::load(FusedOps::new(), model, &checkpoint)?),
        device => Box::new(Network::load(AutogradOps::new(device.candle()?), model, &checkpoint)?),
    })
}

/// The optimizer of a checkpoint; completes the learner's weights where the model file is rounded.
pub fn restore(learner: &mut dyn Learner, config: &TrainConfig, path: &Path) -> Result<AdamW> {
    let mut restored = None;
    learner.parameters(&mut |parameters| {
        let mut optimizer = AdamW::new(config.optimizer, parameters);
        let read = state::read(path, config, parameters, &mut optimizer);
        restored = Some(read.map(|()| optimizer));
    })?;
    restored.expect("parameters were shown")
}
