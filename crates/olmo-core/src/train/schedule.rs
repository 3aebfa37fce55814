//! The learning rate of each step: linear warm-up, then a cosine (stage 1) or a line (stage 2).
//!
//! As OLMo's `CosWithWarmup` and `LinearWithWarmup` (olmo/optim.py): the first step of a stage is
//! number 1, and the last step of a linear stage has rate 0.

use serde::{Deserialize, Serialize};

/// How the rate falls after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    Cosine,
    Linear,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    pub peak: f64,
    /// Steps over which the rate rises from 0 to the peak.
    pub warmup_steps: u64,
    pub decay: Decay,
    /// Share of the peak the decay ends at.
    pub floor: f64,
    /// Number of the step at which the decay ends; the rate stays at the floor from there on.
    pub decay_steps: u64,
}

impl Schedule {
    /// The learning rate of the stage's step number `step`, counted from 1.
    pub fn at(&self, step: u64) -> f64 {
        let floor = self.peak * self.floor;
        if step < self.warmup_steps {
            return self.peak * step as f64 / self.warmup_steps as f64;
        }
        if step >= self.decay_steps {
            return floor;
        }
        let past = (step - self.warmup_steps) as f64;
        let part = past / (self.decay_steps - self.warmup_steps) as f64;
        match self.decay {
            Decay::Cosine => {
                floor + (self.peak - floor) * (1.0 + (std::f64::consts::PI * part).cos()) / 2.0
            }
            Decay::Linear => self.peak - (self.peak - floor) * part,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSINE: Schedule =
        Schedule { peak: 4.0, warmup_steps: 4, decay: Decay::Cosine, floor: 0.1, decay_steps: 12 };

    #[test]
    fn cosine_rises_turns_and_ends_at_the_floor() {
        let rates: Vec<f64> = [1, 2, 4, 8, 12, 100].map(|step| COSINE.at(step)).to_vec();
        let expected = [1.0, 2.0, 4.0, 2.2, 0.4, 0.4];
        for (rate, expected) in rates.iter().zip(expected) {
            assert!((rate - expected).abs() < 1e-12, "{rates:?}");
        }
    }

    #[test]
    fn linear_reaches_zero_at_the_last_step() {
        let linear = Schedule { decay: Decay::Linear, floor: 0.0, warmup_steps: 0, ..COSINE };
        assert_eq!(linear.at(3), 3.0);
        assert_eq!(linear.at(12), 0.0);
    }
}
