//! A minimum length of the answer.

use super::{Context, LogitsProcessor, Scores, Sees};

/// Forbids the end tokens until `min_new_tokens` have been generated.
///
/// Source: transformers `MinNewTokensLengthLogitsProcessor`.
pub struct MinNewTokens {
    min_new_tokens: usize,
    eos: Vec<u32>,
}

impl MinNewTokens {
    pub fn new(min_new_tokens: usize, eos: &[u32]) -> Self {
        MinNewTokens { min_new_tokens, eos: eos.to_vec() }
    }
}

impl LogitsProcessor for MinNewTokens {
    fn reference(&self) -> &'static str {
        "MinNewTokensLengthLogitsProcessor"
    }

    fn forbids(&self) -> Option<&'static str> {
        Some("min_new_tokens")
    }

    fn sees(&self) -> Sees {
        Sees::Any
    }

    fn process(&mut self, context: &Context, scores: &mut Scores) {
        if context.generated() < self.min_new_tokens {
            for &id in &self.eos {
                scores.forbid(id);
            }
        }
    }
}
