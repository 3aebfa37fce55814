//! Keeping only the k likeliest tokens.

use super::{Context, LogitsProcessor, Scores, Sees};

/// Keeps the k tokens with the largest scores, and any that tie with the last of them.
///
/// Source: transformers `TopKLogitsWarper`, after Fan et al. 2018.
pub struct TopK {
    top_k: usize,
}

impl TopK {
    /// `top_k` is at least 1.
    pub fn new(top_k: usize) -> Self {
        TopK { top_k }
    }
}

impl LogitsProcessor for TopK {
    fn reference(&self) -> &'static str {
        "TopKLogitsWarper"
    }

    fn sees(&self) -> Sees {
        Sees::Largest(self.top_k)
    }

    fn process(&mut self, _: &Context, scores: &mut Scores) {
        if self.top_k >= scores.len() {
            return;
        }
        scores.retain_largest(self.top_k);
    }
}
