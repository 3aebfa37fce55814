//! Only tokens about as surprising as one can expect.

use super::mass::{crossing, Ranked};
use super::{Context, LogitsProcessor, Scores};

/// Keeps the tokens whose surprise, `-ln p`, is closest to its expectation, the entropy, until
/// their probabilities add up to `typical_p`. The likeliest token may be cut off.
///
/// Source: transformers `TypicalLogitsWarper`, after Meister et al. 2022.
pub struct TypicalP {
    typical_p: f32,
}

impl TypicalP {
    pub fn new(typical_p: f64) -> Self {
        TypicalP { typical_p: typical_p as f32 }
    }
}

impl LogitsProcessor for TypicalP {
    fn reference(&self) -> &'static str {
        "TypicalLogitsWarper"
    }

    fn process(&mut self, _: &Context, scores: &mut Scores) {
        let softmax = scores.softmax();
        let expected = scores
            .iter()
            .map(|candidate| softmax.log_probability(candidate.score))
            // A forbidden token would add 0 · ∞, which is nothing.
            .filter(|log| *log > f32::NEG_INFINITY)
            .map(|log| -f64::from(log) * f64::from(log.exp()))
            .sum::<f64>() as f32;
        let distance = |score: f32| (-softmax.log_probability(score) - expected).abs();

        let mut ranked = std::mem::take(&mut scores.ranked);
        ranked.clear();
        ranked.extend(scores.iter().zip(&scores.weights).map(|(candidate, &weight)| Ranked {
            key: distance(candidate.score),
            id: candidate.id,
            mass: softmax.of_weight(weight),
        }));
        let last = crossing(&mut ranked, 0.0, |mass| mass < self.typical_p);
        scores.ranked = ranked;
        if let Some(last) = last {
            scores.retain(|candidate| distance(candidate.score) <= last.key);
        }
    }
}
