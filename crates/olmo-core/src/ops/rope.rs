//! Rotary position embeddings (Su et al., "RoFormer", 2021) as a table of angles.

use std::sync::OnceLock;

use crate::config::ModelConfig;

/// Positions whose angles are computed together, when the first of them is asked for: a config may
/// name a context far beyond what any text will have.
const CHUNK: usize = 256;

/// `cos` and `sin` for every position the model can be at, `[head_dim / 2]` each.
#[derive(Debug, Clone)]
pub struct RopeTable {
    pub half_dim: usize,
    /// `[head_dim / 2]`, in radians a position.
    frequencies: Vec<f32>,
    positions: usize,
    chunks: Vec<OnceLock<Angles>>,
}

/// `[CHUNK, head_dim / 2]` each.
#[derive(Debug, Clone)]
struct Angles {
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl RopeTable {
    /// Frequencies and angles are rounded to f32 at the same places as in transformers'
    /// `Olmo2RotaryEmbedding`: late in a text one ulp of the frequency moves the angle visibly.
    pub fn new(config: &ModelConfig) -> RopeTable {
        let frequencies = (0..config.head_dim / 2)
            .map(|i| {
                let exponent = (2 * i) as f32 / config.head_dim as f32;
                1.0 / (config.rope_theta.powf(exponent as f64) as f32)
            })
            .collect();
        RopeTable::of_frequencies(frequencies, config.max_position_embeddings)
    }

    /// The table of these frequencies `[head_dim / 2]`, in radians a position.
    pub fn of_frequencies(frequencies: Vec<f32>, positions: usize) -> RopeTable {
        RopeTable {
            half_dim: frequencies.len(),
            frequencies,
            positions,
            chunks: vec![OnceLock::new(); positions.div_ceil(CHUNK)],
        }
    }

    /// How many positions have angles.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// `(cos, sin)` at a position, `[head_dim / 2]` each.
    pub fn at(&self, position: usize) -> (&[f32], &[f32]) {
        let (chunk, row) = (position / CHUNK, position % CHUNK);
        let Angles { cos, sin } = self.chunks[chunk].get_or_init(|| self.angles(chunk));
        let range = row * self.half_dim..(row + 1) * self.half_dim;
        (&cos[range.clone()], &sin[range])
    }

    fn angles(&self, chunk: usize) -> Angles {
        let first = chunk * CHUNK;
        let angles = || {
            (first..first + CHUNK).flat_map(|position| {
                self.frequencies.iter().map(move |f| (position as f32 * f) as f64)
            })
        };
        Angles {
            cos: angles().map(|angle| angle.cos() as f32).collect(),
            sin: angles().map(|angle| angle.sin() as f32).collect(),
        }
    }
}
