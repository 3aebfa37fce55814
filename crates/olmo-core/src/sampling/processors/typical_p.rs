//! Keeping only tokens about as surprising as expected.

use super::mass::{crossing, Ranked};
use super::scores::Softmax;
use super::{Context, LogitsProcessor, Scores};

/// Keeps the tokens whose surprise, `-ln p`, is closest to its expectation, the entropy, until their
/// probabilities add up to `typical_p`. This can cut off the likeliest token.
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

        let below = |mass: f32| mass < self.typical_p;
        let mut ranked = std::mem::take(&mut scores.ranked);
        // Of a vocabulary's worth of tokens, those less likely than an equal share of the rest add up to
        // no more than the rest, so the others are enough: no need to put the many in order.
        let share = (1.0 - self.typical_p) / scores.len() as f32;
        let bar = distance(softmax.score(share));
        let enough = rank(scores, &softmax, distance, bar, &mut ranked);
        if below(enough as f32) {
            // Likely tokens are as far away, or rounding was against it.
            rank(scores, &softmax, distance, f32::INFINITY, &mut ranked);
        }
        let last = crossing(&mut ranked, 0.0, below);
        scores.ranked = ranked;
        if let Some(last) = last {
            scores.retain(|candidate| distance(candidate.score) <= last.key);
        }
    }
}

/// Puts the tokens within a distance of the expectation into `ranked`, in no order yet. Returns their
/// mass.
fn rank(
    scores: &Scores,
    softmax: &Softmax,
    distance: impl Fn(f32) -> f32,
    bar: f32,
    ranked: &mut Vec<Ranked>,
) -> f64 {
    ranked.clear();
    let mut enough = 0.0;
    for (candidate, &weight) in scores.iter().zip(&scores.weights) {
        let key = distance(candidate.score);
        if key <= bar {
            let mass = softmax.of_weight(weight);
            enough += f64::from(mass);
            ranked.push(Ranked { key, id: candidate.id, mass });
        }
    }
    enough
}
