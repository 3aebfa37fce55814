//! How far the distributions of a model are from those of a reference.

use super::base_file::BaseRow;
use super::statistics::{quantile, Mean, Sums};
use crate::sampling::LogSoftmax;

/// Log-probabilities of the reference below this count for nothing: they are where its file stores
/// them coarsely, and e^-16 of a probability cannot move a sum.
const LEAST_LOGPROB: f32 = -16.0;

/// A model beside a reference, over the tokens that count. Numbers and names are those that
/// llama.cpp prints.
#[derive(Debug, Clone, PartialEq)]
pub struct Divergence {
    /// Perplexity of the reference.
    pub base_perplexity: Mean,
    /// Perplexity of the model divided by that of the reference.
    pub ratio: Mean,
    /// Kullback-Leibler divergence `Σ p_base · ln(p_base / p)` a token, in nats.
    pub kl: Mean,
    pub kl_quantiles: Quantiles,
    /// Part of the tokens where both find the same token likeliest, from 0 to 1.
    pub same_top: Mean,
    /// Mean difference of the probability of the text's own token, model less reference.
    pub probability_change: Mean,
    /// Root mean square of that difference.
    pub probability_change_rms: Mean,
}

/// How KL divergences are distributed over the tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Quantiles {
    pub min: f64,
    pub median: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// Adds rows up to a [`Divergence`].
#[derive(Debug, Default)]
pub(super) struct DivergenceSums {
    surprise: Sums,
    base_surprise: Sums,
    product: f64,
    kl: Sums,
    kls: Vec<f32>,
    same_top: usize,
    change: Sums,
    change_squared: Sums,
}

impl DivergenceSums {
    /// Adds one counted token: the model's logits `[vocab]`, the reference's row, the text's token.
    pub fn add(&mut self, logits: &[f32], base: &BaseRow, token: u32) {
        let (max, log_sum) = LogSoftmax::new(logits).normalizer();
        let normalizer = f64::from(max) + log_sum;
        let mut kl = 0.0;
        let mut base_top = (0, f32::NEG_INFINITY);
        let mut base_logprob = f32::NEG_INFINITY;
        for (id, (base, &logit)) in base.logprobs().zip(logits).enumerate() {
            if base > base_top.1 {
                base_top = (id, base);
            }
            if id == token as usize {
                base_logprob = base;
            }
            if base > LEAST_LOGPROB {
                kl += f64::from(base.exp()) * (f64::from(base) - f64::from(logit) + normalizer);
            }
        }
        let top = logits.iter().position(|&x| x == max);
        self.same_top += usize::from(top == Some(base_top.0));
        self.kl.add(kl);
        self.kls.push(kl as f32);

        let surprise = normalizer - f64::from(logits[token as usize]);
        let base_surprise = -f64::from(base_logprob);
        self.surprise.add(surprise);
        self.base_surprise.add(base_surprise);
        self.product += surprise * base_surprise;
        let change = (-surprise).exp() - (-base_surprise).exp();
        self.change.add(change);
        self.change_squared.add(change * change);
    }

    pub fn finish(mut self) -> Divergence {
        let n = self.kl.count() as f64;
        let (own, base) = (self.surprise.mean(), self.base_surprise.mean());
        // The two surprises of a token go together, so their difference is surer than either.
        let covariance = match self.kl.count() {
            0 | 1 => 0.0,
            _ => (self.product / n - own.value * base.value) / (n - 1.0),
        };
        let variance = own.error.powi(2) + base.error.powi(2) - 2.0 * covariance;
        let log_ratio = Mean { value: own.value - base.value, error: variance.max(0.0).sqrt() };

        let mean_square = self.change_squared.mean();
        let rms = mean_square.value.sqrt();
        let rms_error = if rms > 0.0 { mean_square.error / (2.0 * rms) } else { 0.0 };
        let same = self.same_top as f64 / n;
        self.kls.sort_by(f32::total_cmp);
        let at = |fraction| quantile(&self.kls, fraction);
        Divergence {
            base_perplexity: base.exp(),
            ratio: log_ratio.exp(),
            kl: self.kl.mean(),
            kl_quantiles: Quantiles {
                min: at(0.0),
                median: at(0.5),
                p90: at(0.9),
                p95: at(0.95),
                p99: at(0.99),
                p999: at(0.999),
                max: at(1.0),
            },
            same_top: Mean {
                value: same,
                error: if n > 1.0 { (same * (1.0 - same) / (n - 1.0)).sqrt() } else { 0.0 },
            },
            probability_change: self.change.mean(),
            probability_change_rms: Mean { value: rms, error: rms_error },
        }
    }
}
