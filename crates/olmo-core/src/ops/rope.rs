//! Rotary position embeddings (Su et al., "RoFormer", 2021) as a table of angles.

use crate::config::ModelConfig;

/// `cos` and `sin` for every position the model can be at, `[positions, head_dim / 2]` each.
#[derive(Debug, Clone)]
pub struct RopeTable {
    pub half_dim: usize,
    pub cos: Vec<f32>,
    pub sin: Vec<f32>,
}

impl RopeTable {
    /// Frequencies and angles are rounded to f32 at the same places as in transformers'
    /// `Olmo2RotaryEmbedding`: late in a text one ulp of the frequency moves the angle visibly.
    pub fn new(config: &ModelConfig) -> RopeTable {
        let half_dim = config.head_dim / 2;
        let frequencies: Vec<f32> = (0..half_dim)
            .map(|i| {
                let exponent = (2 * i) as f32 / config.head_dim as f32;
                1.0 / (config.rope_theta.powf(exponent as f64) as f32)
            })
            .collect();
        let angles = || {
            (0..config.max_position_embeddings)
                .flat_map(|position| frequencies.iter().map(move |f| (position as f32 * f) as f64))
        };
        RopeTable {
            half_dim,
            cos: angles().map(|angle| angle.cos() as f32).collect(),
            sin: angles().map(|angle| angle.sin() as f32).collect(),
        }
    }

    /// How many positions have angles.
    pub fn positions(&self) -> usize {
        self.cos.len() / self.half_dim
    }

    /// `(cos, sin)` at a position, `[head_dim / 2]` each.
    pub fn at(&self, position: usize) -> (&[f32], &[f32]) {
        let range = position * self.half_dim..(position + 1) * self.half_dim;
        (&self.cos[range.clone()], &self.sin[range])
    }
}
