//! Softmax cross-entropy over the vocabulary, with OLMo 2's z-loss, and its gradient.
//!
//! With `z = log Σ exp(logits)` a row's loss is `z − logit[target] + λ · z²`. The second term keeps
//! the logits from drifting (PaLM, 2022, section 5; `softmax_auxiliary_loss` in OLMo). Its gradient
//! is `softmax(logits) · (1 + 2 λ z) − onehot(target)`.

use rayon::prelude::*;

use super::simd::{exp, max, sum, vectorized};
use crate::ops::{LossScale, LossSums};

/// Rows one task works on. Fixed, so that sums do not depend on the number of threads.
const ROWS: usize = 16;

vectorized! {
    /// `log Σ exp(logits)`, and the largest logit.
    fn log_sum_exp(logits: &[f32]) -> (f32, f32) {
        let largest = max(logits);
        (largest + sum([logits], |[logit]| exp(logit - largest)).ln(), largest)
    }
}

vectorized! {
    /// Softmax times `scale`, where the logits were.
    fn softmax_row(logits: &mut [f32], log_sum_exp: f32, scale: f32) {
        for logit in logits {
            *logit = exp(*logit - log_sum_exp) * scale;
        }
    }
}

/// Losses of rows of logits `[rows, vocab]`, summed.
pub(super) fn sums(logits: &[f32], targets: &[u32], vocab: usize) -> LossSums {
    let parts: Vec<LossSums> = logits
        .par_chunks(ROWS * vocab)
        .zip(targets.par_chunks(ROWS))
        .map(|(logits, targets)| {
            let mut sums = LossSums::default();
            for (logits, &target) in logits.chunks(vocab).zip(targets) {
                let (z, _) = log_sum_exp(logits);
                sums.add_row(z, logits[target as usize]);
            }
            sums
        })
        .collect();
    parts.into_iter().sum()
}

/// The same, with the gradient of `scale.cross_entropy · Σ ce + scale.z_loss · Σ z²` left where the
/// logits were.
pub(super) fn gradient(
    logits: &mut [f32],
    targets: &[u32],
    vocab: usize,
    scale: LossScale,
) -> LossSums {
    let parts: Vec<LossSums> = logits
        .par_chunks_mut(ROWS * vocab)
        .zip(targets.par_chunks(ROWS))
        .map(|(logits, targets)| {
            let mut sums = LossSums::default();
            for (logits, &target) in logits.chunks_mut(vocab).zip(targets) {
                let (z, _) = log_sum_exp(logits);
                sums.add_row(z, logits[target as usize]);
                softmax_row(logits, z, scale.cross_entropy + 2.0 * scale.z_loss * z);
                logits[target as usize] -= scale.cross_entropy;
            }
            sums
        })
        .collect();
    parts.into_iter().sum()
}
