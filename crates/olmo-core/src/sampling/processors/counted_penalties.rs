//! Penalties for tokens of the answer: once, or for each occurrence.

use std::collections::HashMap;

use super::{Context, LogitsProcessor, Scores, Sees};

/// Subtracts `frequency` times its count, and `presence` once, from the logit of every generated token. The
/// prompt does not count.
///
/// Source: `frequency_penalty` and `presence_penalty` of OpenAI's API; `apply_penalties` of vLLM, which as
/// here applies them after the repetition penalty.
pub struct CountedPenalties {
    frequency: f32,
    presence: f32,
    counts: HashMap<u32, u32>,
    /// How many generated tokens `counts` covers.
    read: usize,
}

impl CountedPenalties {
    pub fn new(frequency: f64, presence: f64) -> Self {
        let (frequency, presence) = (frequency as f32, presence as f32);
        CountedPenalties { frequency, presence, counts: HashMap::new(), read: 0 }
    }
}

impl LogitsProcessor for CountedPenalties {
    fn reference(&self) -> &'static str {
        "apply_penalties"
    }

    fn sees(&self) -> Sees {
        Sees::Any
    }

    fn process(&mut self, context: &Context, scores: &mut Scores) {
        let generated = &context.ids[context.prompt_length..];
        for &id in &generated[self.read..] {
            *self.counts.entry(id).or_default() += 1;
        }
        self.read = generated.len();
        for (&id, &count) in &self.counts {
            let penalty = self.frequency * count as f32;
            scores.update(id, |score| score - penalty - self.presence);
        }
    }
}
