//! Only the k likeliest tokens.

use super::{Context, LogitsProcessor, Scores};
use crate::generate::select::kth_largest;

/// Keeps the k tokens with the largest scores, and any that equal the last of them.
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

    fn process(&mut self, _: &Context, scores: &mut Scores) {
        if self.top_k >= scores.len() {
            return;
        }
        let mut selection = std::mem::take(&mut scores.selection);
        let values = scores.iter().map(|candidate| candidate.score);
        let least = kth_largest(values, self.top_k, &mut selection);
        scores.selection = selection;
        scores.retain(|candidate| candidate.score >= least);
    }
}
