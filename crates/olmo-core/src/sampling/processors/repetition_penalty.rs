//! A penalty for tokens that have occurred.

use std::collections::HashSet;

use super::{Context, LogitsProcessor, Scores, Sees};

/// Divides the positive and multiplies the negative logits of every token in the context, including the
/// prompt, by the penalty, once however often the token occurs.
///
/// Source: transformers `RepetitionPenaltyLogitsProcessor`, after Keskar et al. 2019 (CTRL).
pub struct RepetitionPenalty {
    penalty: f32,
    seen: HashSet<u32>,
    /// How much of the context `seen` covers.
    read: usize,
}

impl RepetitionPenalty {
    pub fn new(penalty: f64) -> Self {
        RepetitionPenalty { penalty: penalty as f32, seen: HashSet::new(), read: 0 }
    }
}

impl LogitsProcessor for RepetitionPenalty {
    fn reference(&self) -> &'static str {
        "RepetitionPenaltyLogitsProcessor"
    }

    fn sees(&self) -> Sees {
        Sees::Any
    }

    fn process(&mut self, context: &Context, scores: &mut Scores) {
        self.seen.extend(&context.ids[self.read..]);
        self.read = context.ids.len();
        let penalty = self.penalty;
        for &id in &self.seen {
            scores.update(id, |score| if score < 0.0 { score * penalty } else { score / penalty });
        }
    }
}
