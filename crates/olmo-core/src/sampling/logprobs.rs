//! Log-probabilities of tokens, from the model's own logits.

use super::select::{at_least, kth_largest, largest};

/// A token with its log-probability, if requested.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    pub id: u32,
    /// Natural logarithm of the probability, from the model's own logits: before temperature and every
    /// other processor. None if not requested, and for a prompt's first token.
    pub logprob: Option<f32>,
    /// The likeliest tokens with their log-probabilities, likeliest first.
    pub top: Vec<(u32, f32)>,
}

/// Whether logits are those of a working model: no NaN, no positive infinity, and at least one finite
/// number. The caller turns false into [`Error::NonFiniteLogits`](crate::Error::NonFiniteLogits).
pub fn are_sound(logits: &[f32]) -> bool {
    // NaN is not below infinity either. Without an early exit inside it, a chunk takes a few vector
    // instructions.
    let below_infinity = |chunk: &[f32]| chunk.iter().fold(true, |ok, &x| ok & (x < f32::INFINITY));
    logits.chunks(4096).all(below_infinity) && logits.iter().any(|&x| x > f32::NEG_INFINITY)
}

/// The logarithm of the softmax of one row of sound logits `[vocab]`, computed on demand.
///
/// `log_softmax(x)[i] = x[i] - max - ln(Σ exp(x[j] - max))`, with the exponentials in f32, their sum and
/// the rest in f64.
#[derive(Debug, Clone, Copy)]
pub struct LogSoftmax<'a> {
    logits: &'a [f32],
    max: f32,
    log_sum: f64,
}

impl<'a> LogSoftmax<'a> {
    pub fn new(logits: &'a [f32]) -> LogSoftmax<'a> {
        let max = largest(logits);
        let sum: f64 = logits.iter().map(|&x| f64::from((x - max).exp())).sum();
        LogSoftmax { logits, max, log_sum: sum.ln() }
    }

    /// The largest logit, and the logarithm of the sum of `exp(x[j] - max)`: what their sum takes
    /// from a logit makes it a log-probability.
    pub(crate) fn normalizer(&self) -> (f32, f64) {
        (self.max, self.log_sum)
    }

    /// Natural logarithm of a token's probability; `id` is inside the vocabulary.
    pub fn of(&self, id: u32) -> f32 {
        (f64::from(self.logits[id as usize]) - f64::from(self.max) - self.log_sum) as f32
    }

    /// The `n` likeliest tokens, likeliest first, with the lower id first among equals.
    ///
    /// Fewer if fewer tokens are possible. `buffer` is working memory.
    pub fn top(&self, n: usize, buffer: &mut Vec<f32>) -> Vec<(u32, f32)> {
        if n == 0 {
            return Vec::new();
        }
        let least = kth_largest(self.logits, n, buffer);
        let mut top: Vec<(u32, f32)> =
            at_least(self.logits, least).map(|(id, x)| (id as u32, x)).collect();
        // The sort is stable, so that equal logits stay in the order of their ids. Adding zero
        // makes -0.0 the 0.0 that it equals; `total_cmp` tells them apart.
        top.sort_by(|a, b| (b.1 + 0.0).total_cmp(&(a.1 + 0.0)));
        top.truncate(n);
        top.iter().map(|&(id, _)| (id, self.of(id))).collect()
    }

    /// A token as events report it, with its `n` likeliest alternatives.
    pub fn token(&self, id: u32, n: usize, buffer: &mut Vec<f32>) -> TokenLogprob {
        TokenLogprob { id, logprob: Some(self.of(id)), top: self.top(n, buffer) }
    }
}
