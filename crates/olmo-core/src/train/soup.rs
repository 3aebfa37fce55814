//! The average of several checkpoints' weights (Wortsman et al., "Model soups", 2022), with which
//! OLMo 2's anneals end.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::checkpoint::{write_model, write_whole};
use crate::config::ModelConfig;
use crate::dtype::DType;
use crate::shapes::weight_shapes;
use crate::weights::Checkpoint;
use crate::{Error, Result};

/// Writes the folder `output/name` with the mean of the checkpoints' weights in `dtype`, and with
/// config and tokenizer of the first. All must be of one shape. A folder of that name stays as it
/// is.
pub fn average(
    checkpoints: &[PathBuf],
    output: &Path,
    name: &str,
    dtype: DType,
) -> Result<PathBuf> {
    let Some(first) = checkpoints.first() else {
        return Err(Error::Internal("an average of no checkpoints was asked for".into()));
    };
    let shapes = weight_shapes(&ModelConfig::from_dir(first)?);
    let opened = checkpoints
        .iter()
        .map(|folder| {
            let mut checkpoint = Checkpoint::open(folder)?;
            checkpoint.check(&shapes)?;
            Ok(checkpoint)
        })
        .collect::<Result<Vec<_>>>()?;
    let mut weights = Vec::with_capacity(shapes.len());
    for (name, shape) in &shapes {
        let mut sum = vec![0.0f64; shape.iter().product()];
        for checkpoint in &opened {
            for (total, value) in sum.iter_mut().zip(checkpoint.get(name)?.to_f32()) {
                *total += value as f64;
            }
        }
        let mean = |total: f64| (total / opened.len() as f64) as f32;
        weights.push((name, shape, sum.into_iter().map(mean).collect::<Vec<f32>>()));
    }

    let file = first.join("config.json");
    let text = std::fs::read_to_string(&file).map_err(|error| Error::io(&file, error))?;
    let mut config: Value = serde_json::from_str(&text)
        .map_err(|error| Error::InvalidFile { file: file.clone(), problem: error.to_string() })?;
    let dtype_name = match dtype {
        DType::F32 => "float32",
        DType::F16 => "float16",
        DType::BF16 => "bfloat16",
    };
    let key = if config.get("dtype").is_some() { "dtype" } else { "torch_dtype" };
    config[key] = dtype_name.into();
    write_whole(output, name, |folder| {
        let weights = weights.iter().map(|(name, shape, w)| (name.as_str(), &shape[..], &w[..]));
        write_model(folder, &config, dtype, weights, Some(first))
    })
}
