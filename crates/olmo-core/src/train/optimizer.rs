//! AdamW (Loshchilov & Hutter, 2019), as torch computes it, with a limit on the gradient's norm.
//!
//! Decay follows OLMo 2's runs (`decay_norm_and_bias: true`, `decay_embeddings: false`): all
//! weights, norms too, but not the embedding table.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::backend::fused::simd::{sum, vectorized};
use crate::ops::Parameter;

/// Elements one task works on. Fixed, so that the norm does not depend on the number of threads.
const ELEMENTS: usize = 16 * 1024;

/// Parameters that do not decay.
const NO_DECAY: &str = "model.embed_tokens.weight";

/// Settings of the optimizer. The defaults are OLMo 2's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Decay rates of the averages of the gradient and of its square. Default 0.9, 0.95.
    pub betas: [f64; 2],
    /// Added to the root of the averaged square. Default 1e-8.
    pub eps: f64,
    /// Share of a weight taken away in each step, times the learning rate. Default 0.1.
    pub weight_decay: f64,
    /// The gradient of all parameters together is scaled down to this norm. Default 1.
    pub max_grad_norm: f64,
}

impl Default for OptimizerConfig {
    fn default() -> OptimizerConfig {
        OptimizerConfig { betas: [0.9, 0.95], eps: 1e-8, weight_decay: 0.1, max_grad_norm: 1.0 }
    }
}

/// Running averages of one parameter's gradient and of its square.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    pub mean: Vec<f32>,
    pub square: Vec<f32>,
}

#[derive(Debug, Clone)]
pub struct AdamW {
    config: OptimizerConfig,
    /// Updates so far.
    pub steps: u64,
    /// One a parameter, in the network's order.
    pub moments: Vec<Moments>,
}

/// The numbers one update shares between all elements.
#[derive(Clone, Copy)]
struct Update {
    /// What the clipped gradient is multiplied by.
    clip: f32,
    /// `1 − lr · weight_decay`
    keep: f32,
    /// `1 − β₁`
    mean_rate: f32,
    beta2: f32,
    /// `1 − β₂`
    square_rate: f32,
    /// `1 / sqrt(1 − β₂ᵗ)`
    root_scale: f32,
    eps: f32,
    /// `lr / (1 − β₁ᵗ)`
    rate: f32,
}

vectorized! {
    fn update_part(
        value: &mut [f32],
        gradient: &mut [f32],
        mean: &mut [f32],
        square: &mut [f32],
        update: Update,
    ) {
        let parts = value.iter_mut().zip(gradient).zip(mean).zip(square);
        for (((value, gradient), mean), square) in parts {
            let g = *gradient * update.clip;
            *mean += update.mean_rate * (g - *mean);
            *square = update.beta2 * *square + update.square_rate * g * g;
            let root = square.sqrt() * update.root_scale + update.eps;
            *value = *value * update.keep - update.rate * (*mean / root);
            *gradient = 0.0;
        }
    }
}

vectorized! {
    fn square_sum(values: &[f32]) -> f32 {
        sum([values], |[x]| x * x)
    }
}

/// Euclidean norm of all gradients together.
pub fn gradient_norm(parameters: &[Parameter]) -> f64 {
    let squares = parameters.iter().map(|parameter| {
        let parts: Vec<f32> = parameter.gradient.par_chunks(ELEMENTS).map(square_sum).collect();
        parts.into_iter().map(f64::from).sum::<f64>()
    });
    squares.sum::<f64>().sqrt()
}

impl AdamW {
    pub fn new(config: OptimizerConfig, parameters: &[Parameter]) -> AdamW {
        let zeros = |parameter: &Parameter| vec![0.0; parameter.value.len()];
        let moments =
            parameters.iter().map(|p| Moments { mean: zeros(p), square: zeros(p) }).collect();
        AdamW { config, steps: 0, moments }
    }

    /// Changes all weights by one step and clears their gradients. Returns the gradient's norm
    /// before it was clipped; if that is not finite, nothing has been changed.
    pub fn update(&mut self, parameters: &mut [Parameter], learning_rate: f64) -> f64 {
        let norm = gradient_norm(parameters);
        if !norm.is_finite() {
            return norm;
        }
        self.steps += 1;
        let OptimizerConfig { betas: [beta1, beta2], eps, weight_decay, max_grad_norm } =
            self.config;
        let correction = |beta: f64| 1.0 - beta.powf(self.steps as f64);
        let update = Update {
            clip: (max_grad_norm / (norm + 1e-6)).min(1.0) as f32,
            keep: 1.0,
            mean_rate: (1.0 - beta1) as f32,
            beta2: beta2 as f32,
            square_rate: (1.0 - beta2) as f32,
            root_scale: (1.0 / correction(beta2).sqrt()) as f32,
            eps: eps as f32,
            rate: (learning_rate / correction(beta1)) as f32,
        };
        for (parameter, moments) in parameters.iter_mut().zip(&mut self.moments) {
            let keep = match parameter.name == NO_DECAY {
                true => 1.0,
                false => (1.0 - learning_rate * weight_decay) as f32,
            };
            let update = Update { keep, ..update };
            parameter
                .value
                .par_chunks_mut(ELEMENTS)
                .zip(parameter.gradient.par_chunks_mut(ELEMENTS))
                .zip(moments.mean.par_chunks_mut(ELEMENTS))
                .zip(moments.square.par_chunks_mut(ELEMENTS))
                .for_each(|(((value, gradient), mean), square)| {
                    update_part(value, gradient, mean, square, update)
                });
        }
        norm
    }
}
