//! Keeping only tokens that are likely relative to the likeliest.

use super::{Context, LogitsProcessor, Scores, Sees};

/// Keeps the tokens at least `min_p` times as likely as the likeliest one.
///
/// Source: transformers `MinPLogitsWarper`, after Nguyen et al. 2024.
pub struct MinP {
    min_p: f32,
}

impl MinP {
    pub fn new(min_p: f64) -> Self {
        MinP { min_p: min_p as f32 }
    }
}

impl LogitsProcessor for MinP {
    fn reference(&self) -> &'static str {
        "MinPLogitsWarper"
    }

    fn sees(&self) -> Sees {
        Sees::Likely
    }

    fn process(&mut self, _: &Context, scores: &mut Scores) {
        if !scores.is_decided() {
            return scores.retain_likely_seen(self.min_p);
        }
        let softmax = scores.softmax();
        let least = self.min_p * softmax.probability(scores.max());
        // Most tokens are far too unlikely; skip the exact comparison for them.
        let bar = softmax.score(least) - 0.01;
        scores.retain(|candidate| {
            candidate.score >= bar && softmax.probability(candidate.score) >= least
        });
    }
}
