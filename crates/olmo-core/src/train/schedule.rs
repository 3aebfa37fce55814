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

/// Steps over which a run whose optimizer starts afresh in its midst gets back to its learning rate.
const RESTART_STEPS: u64 = 50;

/// Share of the learning rate that a step gets after `step` others, by an optimizer that has made
/// `updates` of them. It is 1 but for the first steps after a checkpoint without averages: those
/// of few gradients are noise, and at the full rate every weight would follow it.
pub fn restart_factor(step: u64, updates: u64) -> f64 {
    match updates < step.min(RESTART_STEPS) {
        true => (updates + 1) as f64 / RESTART_STEPS as f64,
        false => 1.0,
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

    #[test]
    fn only_a_restart_in_the_midst_is_slowed_down() {
        assert!((0..200).all(|step| restart_factor(step, step) == 1.0));
        assert!((0..200).all(|step| restart_factor(step, 4700 + step) == 1.0));
        let factors: Vec<f64> = (0..60).map(|n| restart_factor(3000 + n, n)).collect();
        assert_eq!((factors[0], factors[24], factors[49], factors[59]), (0.02, 0.5, 1.0, 1.0));
    }
}
