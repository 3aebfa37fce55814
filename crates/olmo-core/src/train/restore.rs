//! A learner and its optimizer, out of a checkpoint.

use std::path::Path;

use super::checkpoint::STATE_FILE;
use super::config::TrainConfig;
use super::network::{Learner, Network};
use super::optimizer::AdamW;
use super::state;
#[cfg(feature = "candle")]
use crate::backend::candle::AutogradOps;
use crate::backend::fused::FusedOps;
use crate::config::ModelConfig;
use crate::device::Device;
use crate::shapes::weight_shapes;
use crate::weights::Checkpoint;
use crate::Result;

/// The weights of a checkpoint, ready to learn on the config's device.
pub fn open_learner(
    config: &TrainConfig,
    model: &ModelConfig,
    path: &Path,
) -> Result<Box<dyn Learner>> {
    let mut checkpoint = Checkpoint::open(path)?;
    checkpoint.check(&weight_shapes(model))?;
    Ok(match config.device.parse::<Device>()?.resolve() {
        Device::Cpu => Box::new(Network::load(FusedOps::new(), model, &checkpoint)?),
        #[cfg(feature = "candle")]
        device => Box::new(Network::load(AutogradOps::new(device.candle()?), model, &checkpoint)?),
        #[cfg(not(feature = "candle"))]
        device => return Err(device.left_out()),
    })
}

/// An optimizer out of a checkpoint, and what the user should know about it.
pub struct Restored {
    pub optimizer: AdamW,
    pub notes: Vec<String>,
}

/// The optimizer of a checkpoint; completes the learner's weights where the model file is rounded.
/// One that was left without its state gets a new optimizer. Keys of the config that are `settled` must be
/// as they were.
pub fn restore(
    learner: &mut dyn Learner,
    config: &TrainConfig,
    settled: &[&str],
    path: &Path,
) -> Result<Restored> {
    let mut restored = None;
    learner.parameters(&mut |parameters| {
        let mut optimizer = AdamW::new(config.optimizer, parameters);
        let notes = match path.join(STATE_FILE).is_file() {
            true => state::read(path, config, settled, parameters, &mut optimizer),
            false => Ok(vec![format!(
                "{} has no {STATE_FILE}: the optimizer's averages begin anew, and the weights are \
                 those of its model.safetensors",
                path.file_name().unwrap_or_default().to_string_lossy()
            )]),
        };
        restored = Some(notes.map(|notes| Restored { optimizer, notes }));
    })?;
    restored.expect("parameters were shown")
}
