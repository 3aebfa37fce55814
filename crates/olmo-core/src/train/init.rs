//! Weights a run starts from: a normal distribution with deviation 0.02, cut off at three
//! deviations (`init_fn: normal`, `init_std: 0.02`, `init_cutoff_factor: 3` in OLMo 2's runs;
//! `InitMethod.normal` in OLMo-core). Norms start at 1.

use std::path::Path;

use rand_chacha::rand_core::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

use crate::config::ModelConfig;
use crate::shapes::weight_shapes;
use crate::weights::Checkpoint;
use crate::Result;

const DEVIATION: f64 = 0.02;
const CUTOFF: f64 = 3.0;

/// Name, shape and elements of every weight of a model.
pub type Weights = Vec<(String, Vec<usize>, Vec<f32>)>;

/// The weights of a checkpoint, to go on with.
pub fn loaded_weights(config: &ModelConfig, folder: &Path) -> Result<Weights> {
    let shapes = weight_shapes(config);
    let mut checkpoint = Checkpoint::open(folder)?;
    checkpoint.check(&shapes)?;
    let weights = shapes.into_iter().map(|(name, shape)| {
        let values = checkpoint.get(&name)?.to_f32();
        Ok((name, shape, values))
    });
    weights.collect()
}

/// New weights. A tensor has a random stream of its own, so its
/// numbers do not depend on the sizes of the others.
pub fn initial_weights(config: &ModelConfig, seed: u64) -> Weights {
    let shapes = weight_shapes(config).into_iter().enumerate();
    let weights = shapes.map(|(index, (name, shape))| {
        let elements = shape.iter().product();
        let values = match shape.len() {
            1 => vec![1.0; elements],
            _ => {
                let mut rng = ChaCha12Rng::seed_from_u64(seed);
                rng.set_stream(index as u64);
                (0..elements).map(|_| truncated_normal(&mut rng)).collect()
            }
        };
        (name, shape, values)
    });
    weights.collect()
}

fn truncated_normal(rng: &mut ChaCha12Rng) -> f32 {
    loop {
        let normal = normal(rng);
        if normal.abs() <= CUTOFF {
            return (normal * DEVIATION) as f32;
        }
    }
}

/// Box and Muller's transform of two uniform numbers.
fn normal(rng: &mut ChaCha12Rng) -> f64 {
    let mut uniform = || ((rng.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_have_the_recipe_s_distribution() {
        let json = r#"{"model_type": "olmo2", "hidden_act": "silu", "hidden_size": 64,
            "intermediate_size": 96, "num_attention_heads": 4, "num_hidden_layers": 2,
            "vocab_size": 1000, "max_position_embeddings": 64, "rope_theta": 10000}"#;
        let config = ModelConfig::from_json(json, "config.json".as_ref()).unwrap();
        let weights = initial_weights(&config, 1);
        for (name, _, values) in &weights {
            if name.ends_with("norm.weight") {
                assert!(values.iter().all(|&v| v == 1.0), "{name}");
                continue;
            }
            let n = values.len() as f64;
            let mean = values.iter().map(|&v| v as f64).sum::<f64>() / n;
            let deviation = (values.iter().map(|&v| (v as f64).powi(2)).sum::<f64>() / n).sqrt();
            // Cutting at three deviations leaves 0.9866 of the deviation.
            assert!(mean.abs() < 4.0 * 0.02 / n.sqrt(), "{name}: mean {mean}");
            assert!((deviation / 0.019_73 - 1.0).abs() < 4.0 / n.sqrt(), "{name}: {deviation}");
            assert!(values.iter().all(|v| v.abs() <= 0.06), "{name}");
        }
        assert_eq!(weights, initial_weights(&config, 1));
        assert_ne!(weights[0].2, initial_weights(&config, 2)[0].2);
        assert_ne!(weights[1].2[..16], weights[2].2[..16]);
    }
}
