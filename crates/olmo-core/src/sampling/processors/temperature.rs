//! The temperature of the distribution.

use super::{Context, LogitsProcessor, Scores, Sees};

/// Divides every logit.
///
/// Source: transformers `TemperatureLogitsWarper`.
pub struct Temperature {
    temperature: f32,
}

impl Temperature {
    pub fn new(temperature: f64) -> Self {
        Temperature { temperature: temperature as f32 }
    }
}

impl LogitsProcessor for Temperature {
    fn reference(&self) -> &'static str {
        "TemperatureLogitsWarper"
    }

    fn sees(&self) -> Sees {
        Sees::Any
    }

    fn process(&mut self, _: &Context, scores: &mut Scores) {
        let temperature = self.temperature;
        scores.update_all(|score| score / temperature);
    }
}
