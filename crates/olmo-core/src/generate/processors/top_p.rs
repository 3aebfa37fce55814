//! Only the likeliest tokens that make up enough of the probability.

use super::mass::{crossing, Ranked};
use super::{Context, LogitsProcessor, Scores};

/// Cuts off the least likely tokens whose probabilities add up to at most `1 - top_p`; the
/// likeliest token always stays.
///
/// Of equally likely tokens those with lower ids go first. torch leaves that open: its sort is not
/// stable everywhere.
///
/// Source: transformers `TopPLogitsWarper`, after Holtzman et al. 2019.
pub struct TopP {
    /// The mass that may be cut off.
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

    fn process(&mut self, _: &Context, scores: &mut Scores) {
        let softmax = scores.softmax();
        let mut ranked = std::mem::take(&mut scores.ranked);
        ranked.clear();
        ranked.extend(scores.iter().map(|candidate| Ranked {
            key: candidate.score,
            id: candidate.id,
            mass: softmax.probability(candidate.score),
        }));
        let first = crossing(&mut ranked, |mass| mass <= self.rest);
        scores.ranked = ranked;
        if let Some(first) = first {
            scores.retain(|candidate| {
                candidate.score > first.key
                    || candidate.score == first.key && candidate.id >= first.id
            });
        }
    }
}
