//! What training asks of a backend beside the forward pass: losses, gradients and the weights that
//! learn.

use std::iter::Sum;

use super::Ops;
use crate::Result;

/// One weight of the model with its gradient, on the host and in f32 whatever the device: the
/// optimizer's accumulation and update are the same everywhere.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// The tensor's name in the checkpoint.
    pub name: String,
    pub shape: Vec<usize>,
    pub value: Vec<f32>,
    /// Sum over the micro-batches since it was last cleared; as long as `value`.
    pub gradient: Vec<f32>,
}

impl Parameter {
    pub fn new(name: &str, shape: &[usize], value: Vec<f32>) -> Parameter {
        let gradient = vec![0.0; value.len()];
        Parameter { name: name.to_owned(), shape: shape.to_vec(), value, gradient }
    }
}

/// What each summed loss is multiplied by before the gradient is taken. For means over `n` rows and
/// a z-loss of `λ`, that is `1 / n` and `λ / n`.
#[derive(Debug, Clone, Copy)]
pub struct LossScale {
    pub cross_entropy: f32,
    pub z_loss: f32,
}

/// Losses summed over rows.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LossSums {
    /// `Σ −log p(target)`, in nats.
    pub cross_entropy: f64,
    /// `Σ (log Σ exp(logits))²`, which the z-loss multiplies.
    pub z_squared: f64,
    pub rows: usize,
}

impl LossSums {
    /// Counts a row whose logits have this log-sum-exp and whose target has this logit.
    pub fn add_row(&mut self, log_sum_exp: f32, target_logit: f32) {
        self.cross_entropy += log_sum_exp as f64 - target_logit as f64;
        self.z_squared += (log_sum_exp as f64).powi(2);
        self.rows += 1;
    }
}

impl Sum for LossSums {
    fn sum<I: Iterator<Item = LossSums>>(sums: I) -> LossSums {
        sums.fold(LossSums::default(), |a, b| LossSums {
            cross_entropy: a.cross_entropy + b.cross_entropy,
            z_squared: a.z_squared + b.z_squared,
            rows: a.rows + b.rows,
        })
    }
}

/// Operations that remember what they did, and can go back over it.
pub trait TrainOps: Ops {
    /// Forgets the last forward pass; the next one is remembered if `record` says so.
    fn record(&mut self, record: bool);

    /// Losses of the logits `[rows, vocab]`.
    fn losses(&self, logits: &Self::Tensor, targets: &[u32]) -> Result<LossSums>;

    /// The same, and adds the gradient of the scaled losses to every parameter's. Only after a
    /// recorded forward pass, and once.
    fn backward(
        &mut self,
        logits: Self::Tensor,
        targets: &[u32],
        scale: LossScale,
    ) -> Result<LossSums>;

    /// Shows all parameters, in the order in which they were loaded, and takes over what `change`
    /// makes of them.
    fn parameters(&mut self, change: &mut dyn FnMut(&mut [Parameter])) -> Result<()>;
}
