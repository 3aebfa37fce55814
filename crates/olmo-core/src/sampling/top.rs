//! The largest logits of a row: what comes back from a device where the choice of a token needs no others.

use super::processors::Candidate;

/// The most that are asked for.
pub const MOST_TOP_LOGITS: usize = 64;

/// What a choice needs of the next row of logits, if it is not all of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopWanted {
    /// How many of the largest, up to [`MOST_TOP_LOGITS`].
    pub count: usize,
    /// What all logits are divided by in [`TopLogits::sum`].
    pub temperature: f32,
}

/// What is asked of all rows of a pass.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TopRequest {
    /// How many of the largest, from 1 to [`MOST_TOP_LOGITS`].
    pub count: usize,
    /// One a row.
    pub temperatures: Vec<f32>,
}

/// The largest logits of a row, and what the others add up to.
#[derive(Debug, Clone, PartialEq)]
pub struct TopLogits {
    /// Largest first, and of equals the one with the lowest id. A NaN comes before every number.
    pub candidates: Vec<Candidate>,
    /// `Σ exp((x[j] - x[0]) / temperature)` over the whole row, where `x[0]` is the largest. A device adds up in an order
    /// of its own, with exponentials of its own.
    pub sum: f32,
    /// Logits of the row.
    pub vocab_size: usize,
}

impl TopLogits {
    /// The definition.
    pub fn of(logits: &[f32], count: usize, temperature: f32) -> TopLogits {
        let key = |id: u32| match logits[id as usize] {
            x if x.is_nan() => f32::NAN,
            x => x + 0.0, // -0.0 becomes the 0.0 that it equals
        };
        let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
        ids.sort_unstable_by(|&a, &b| key(b).total_cmp(&key(a)).then(a.cmp(&b)));
        ids.truncate(count);
        let candidate = |&id: &u32| Candidate { id, score: logits[id as usize] };
        let candidates: Vec<Candidate> = ids.iter().map(candidate).collect();
        let max = candidates.first().map_or(f32::NEG_INFINITY, |first| first.score);
        let weight = |&x: &f32| match x {
            f32::NEG_INFINITY => 0.0,
            x => (f64::from(x - max) / f64::from(temperature)).exp(),
        };
        let sum = logits.iter().map(weight).sum::<f64>() as f32;
        TopLogits { candidates, sum, vocab_size: logits.len() }
    }

    /// Whether the row is that of a working model: see [`are_sound`](super::are_sound).
    pub fn are_sound(&self) -> bool {
        self.candidates.first().is_some_and(|first| first.score.is_finite())
    }
}
