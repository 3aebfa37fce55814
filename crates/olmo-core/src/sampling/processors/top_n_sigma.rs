//! Keeping only tokens whose logits stand out.

use super::{Context, LogitsProcessor, Scores};

/// Keeps the tokens whose logit is at most `n` standard deviations below the greatest.
///
/// The deviation is that of all logits that are not forbidden. Temperature stretches logits and
/// deviation alike, so it does not change what is kept, wherever it is applied.
///
/// Source: `top_n_sigma` in llama.cpp's `llama-sampler.cpp`, after Tang et al. 2024
/// (arXiv 2411.07641). As there it comes before top-k.
pub struct TopNSigma {
    n: f32,
}

impl TopNSigma {
    /// `n` is above 0.
    pub fn new(n: f64) -> Self {
        TopNSigma { n: n as f32 }
    }
}

impl LogitsProcessor for TopNSigma {
    fn reference(&self) -> &'static str {
        "llama_sampler_top_n_sigma"
    }

    fn process(&mut self, _: &Context, scores: &mut Scores) {
        let possible = || {
            let all = scores.iter().map(|candidate| candidate.score);
            all.filter(|&score| score > f32::NEG_INFINITY).map(f64::from)
        };
        let count = possible().count();
        if count == 0 {
            return;
        }
        let mean = possible().sum::<f64>() / count as f64;
        let variance = possible().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count as f64;
        let least = scores.max() - self.n * variance.sqrt() as f32;
        scores.retain(|candidate| candidate.score >= least);
    }
}
