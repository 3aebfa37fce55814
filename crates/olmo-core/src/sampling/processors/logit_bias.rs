//! Biases for tokens that a caller prefers or avoids.

use super::{Context, LogitsProcessor, Scores, Sees};

/// Adds a bias to the logits of given tokens.
///
/// Source: `logit_bias` of OpenAI's API; vLLM's `LogitBiasLogitsProcessor`. As there, and as transformers'
/// `sequence_bias`, it comes before the penalties.
pub struct LogitBias {
    biases: Vec<(u32, f32)>,
}

impl LogitBias {
    pub fn new(biases: &[(u32, f64)]) -> Self {
        LogitBias { biases: biases.iter().map(|&(id, bias)| (id, bias as f32)).collect() }
    }
}

impl LogitsProcessor for LogitBias {
    fn reference(&self) -> &'static str {
        "LogitBiasLogitsProcessor"
    }

    fn sees(&self) -> Sees {
        Sees::Any
    }

    fn process(&mut self, _: &Context, scores: &mut Scores) {
        for &(id, bias) in &self.biases {
            scores.update(id, |score| score + bias);
        }
    }
}
