//! What a run needs of memory, worked out before anything is made.

use super::config::TrainConfig;
use crate::config::ModelConfig;
use crate::error::{human_bytes, Amount, Hint};
use crate::machine::available_memory;
use crate::{Error, Result};

/// Copies of the weights in f32: themselves, the gradient, the two averages, and what a checkpoint is written
/// from, which has the weights and both averages.
const COPIES: f64 = 7.0;

/// Fails with [`Error::NotEnoughMemory`] if a run is not to be had on this machine.
///
/// It counts what surely comes, so a run that is let through may still be too large.
pub fn check(config: &TrainConfig, model: &ModelConfig) -> Result<()> {
    check_within(config, model, available_memory())
}

fn check_within(config: &TrainConfig, model: &ModelConfig, available: u64) -> Result<()> {
    let weights = COPIES * weights(model);
    let pass = pass(config, model);
    let need = weights + pass;
    if need <= available as f64 {
        return Ok(());
    }
    Err(Error::NotEnoughMemory {
        what: format!(
            "training (weights, gradient and averages: {}; a pass of {} tokens: {})",
            human_bytes(weights as u64),
            config.micro_batch_size.min(config.batch_size).saturating_mul(config.sequence_length),
            human_bytes(pass as u64),
        ),
        need: Amount::Bytes(need as u64),
        have: Some(Amount::Bytes(available)),
        hint: Hint::SmallerRun,
    })
}

/// Bytes of the weights in f32. The sizes are a file's, so their products may be beyond any integer.
fn weights(model: &ModelConfig) -> f64 {
    let [hidden, inner, vocabulary, query, key] = [
        model.hidden_size,
        model.intermediate_size,
        model.vocab_size,
        model.query_dim(),
        model.kv_dim(),
    ]
    .map(|size| size as f64);
    let layer = hidden * (2.0 * query + 2.0 * key + 3.0 * inner);
    let tables = if model.tie_word_embeddings { 1.0 } else { 2.0 };
    4.0 * (model.layers.len() as f64 * layer + tables * vocabulary * hidden)
}

/// Bytes of what a pass keeps for the way back: of each layer its inputs and products, and the logits.
fn pass(config: &TrainConfig, model: &ModelConfig) -> f64 {
    let instances = config.micro_batch_size.min(config.batch_size) as f64;
    let rows = instances * (config.sequence_length - 1) as f64;
    let hidden = model.hidden_size as f64;
    let layer = 4.0 * hidden + 2.0 * model.intermediate_size as f64;
    4.0 * rows * (model.layers.len() as f64 * layer + model.vocab_size as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, Value};
    use std::path::Path;

    fn need(change: impl Fn(&mut Value)) -> Result<()> {
        let mut json = json!({
            "model": {"vocab_size": 4096, "hidden_size": 256, "intermediate_size": 688,
                "num_hidden_layers": 5, "num_attention_heads": 4, "max_position_embeddings": 512,
                "tie_word_embeddings": true, "eos_token_id": 0, "pad_token_id": 1},
            "output": "run", "sequence_length": 512, "batch_size": 16, "micro_batch_size": 4,
            "stage1": {"data": [{"name": "a", "paths": ["a.bin"]}], "steps": 6,
                "learning_rate": 0.01},
        });
        change(&mut json);
        let file = Path::new("run.yaml");
        let config = TrainConfig::from_json(&json.to_string(), file)?;
        check_within(&config, &config.model_config(file)?, 1 << 30)
    }

    #[test]
    fn the_package_s_own_run_fits_and_others_are_refused_with_the_numbers() {
        need(|_| ()).unwrap();
        type Change = fn(&mut Value);
        let cases: [Change; 7] = [
            |j| j["model"]["hidden_size"] = 65_536.into(),
            |j| j["model"]["intermediate_size"] = (1 << 24).into(),
            |j| j["model"]["num_hidden_layers"] = 4096.into(),
            |j| j["model"]["vocab_size"] = (1 << 24).into(),
            |j| {
                j["micro_batch_size"] = 1_000_000.into();
                j["batch_size"] = 1_000_000.into();
            },
            |j| {
                j["model"]["max_position_embeddings"] = (1 << 24).into();
                j["sequence_length"] = (1 << 24).into();
            },
            |j| {
                for key in ["hidden_size", "intermediate_size", "vocab_size"] {
                    j["model"][key] = (1 << 24).into();
                }
            },
        ];
        for (index, change) in cases.into_iter().enumerate() {
            let error = need(change).unwrap_err();
            assert_eq!(error.code(), "NOT_ENOUGH_MEMORY", "case {index}: {error}");
            let text = error.to_string();
            assert!(text.contains("1.0 GiB free") && text.contains("micro_batch_size"), "{text}");
        }
    }
}
