//! Keeping only the likeliest tokens that make up enough of the probability.

use super::mass::{crossing, Ranked};
use super::scores::Softmax;
use super::{Context, LogitsProcessor, Scores, Sees};

/// Cuts off the least likely tokens whose probabilities add up to at most `1 - top_p`; the likeliest token
/// always stays.
///
/// Among equally likely tokens, lower ids are cut off first. torch leaves this open, because its sort is
/// not stable everywhere.
///
/// Source: transformers `TopPLogitsWarper`, after Holtzman et al. 2019.
pub struct TopP {
    /// The mass that can be cut off.
    rest: f32,
}

impl TopP {
    pub fn new(top_p: f64) -> Self {
        TopP { rest: (1.0 - top_p) as f32 }
    }
}

impl LogitsProcessor for TopP {
    fn reference(&self) -> &'static str {
        "TopPLogitsWarper"
    }

    fn sees(&self) -> Sees {
        Sees::Likely
    }

    fn process(&mut self, _: &Context, scores: &mut Scores) {
        if !scores.is_decided() {
            return scores.retain_mass_seen(self.rest);
        }
        let softmax = scores.softmax();
        let below = |mass: f32| mass <= self.rest;
        let mut ranked = std::mem::take(&mut scores.ranked);
        // A vocabulary's worth of tokens, each less likely than an equal share of the mass that may
        // be cut off, can all be cut off: no need to put them in order.
        let bar = softmax.score(self.rest / scores.len() as f32);
        let mut before = rank(scores, &softmax, bar, &mut ranked);
        if !below(before as f32) {
            // Rounding put too much mass below the bar.
            before = rank(scores, &softmax, f32::NEG_INFINITY, &mut ranked);
        }
        let first = crossing(&mut ranked, before, below);
        scores.ranked = ranked;
        if let Some(first) = first {
            scores.retain(|candidate| {
                candidate.score > first.key
                    || candidate.score == first.key && candidate.id >= first.id
            });
        }
    }
}

/// Puts the tokens with scores from `bar` on into `ranked`, in no order yet. Returns the mass of the
/// others.
fn rank(scores: &Scores, softmax: &Softmax, bar: f32, ranked: &mut Vec<Ranked>) -> f64 {
    ranked.clear();
    let mut before = 0.0;
    for (candidate, &weight) in scores.iter().zip(&scores.weights) {
        let mass = softmax.of_weight(weight);
        if candidate.score < bar {
            before += f64::from(mass);
        } else {
            ranked.push(Ranked { key: candidate.score, id: candidate.id, mass });
        }
    }
    before
}
