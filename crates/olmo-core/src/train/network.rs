//! A decoder that learns: the forward pass of [`model`](crate::model), turned round.

use std::iter::Sum;

use crate::cache::CacheShape;
use crate::config::ModelConfig;
use crate::model::{Batch, Decoder, Silent};
use crate::ops::Ops;
use crate::weights::Checkpoint;
use crate::{Error, Result};

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

/// Rows to learn from: a batch whose spans start at position 0, and the token that should follow
/// each of its output rows.
#[derive(Debug, Clone, Default)]
pub struct Examples {
    pub batch: Batch,
    /// `[outputs]`.
    pub targets: Vec<u32>,
}

impl Examples {
    /// Appends one instance. `documents` are the lengths of the texts in it, in order; a row attends
    /// within its own text only. Every row but the last predicts the row after it, the first of the
    /// next text included, as in OLMo.
    pub fn push(&mut self, tokens: &[u32], documents: &[usize]) {
        debug_assert_eq!(documents.iter().sum::<usize>(), tokens.len());
        let mut start = 0;
        for &length in documents {
            let end = start + length;
            let outputs = 0..length - usize::from(end == tokens.len());
            self.batch.push(&tokens[start..end], 0, &[], outputs);
            start = end;
        }
        self.targets.extend_from_slice(&tokens[1..]);
    }
}

/// Operations that remember what they did, and can go back over it.
pub trait TrainOps: Ops {
    /// Forgets the last forward pass; the next one is remembered if `record` says so.
    fn begin(&self, record: bool);

    /// Losses of the logits `[rows, vocab]`.
    fn losses(&self, logits: &Self::Tensor, targets: &[u32]) -> Result<LossSums>;

    /// The same, and adds the gradient of the scaled losses to every parameter's. Only after a
    /// recorded forward pass, and once.
    fn backward(&self, logits: Self::Tensor, targets: &[u32], scale: LossScale)
        -> Result<LossSums>;

    /// Shows all parameters, in the order in which they were loaded, and takes over what `change`
    /// makes of them.
    fn parameters(&mut self, change: &mut dyn FnMut(&mut [Parameter])) -> Result<()>;
}

/// A model in training, with its backend's types hidden.
pub trait Learner: Send {
    /// Adds the gradient of `scale`d losses on these examples to the parameters' gradients.
    fn learn(&mut self, examples: &Examples, scale: LossScale) -> Result<LossSums>;

    /// Losses only.
    fn evaluate(&mut self, examples: &Examples) -> Result<LossSums>;

    /// See [`TrainOps::parameters`].
    fn parameters(&mut self, change: &mut dyn FnMut(&mut [Parameter])) -> Result<()>;
}

pub struct Network<O: Ops> {
    ops: O,
    decoder: Decoder<O>,
    cache: O::Cache,
}

impl<O: TrainOps> Network<O> {
    pub fn load(ops: O, config: &ModelConfig, checkpoint: &Checkpoint) -> Result<Network<O>> {
        let decoder = Decoder::load(&ops, config, checkpoint, &mut |_| Ok(()))?;
        // No blocks: a training batch brings all its keys itself.
        let cache = ops.cache(&CacheShape {
            layers: config.layers.len(),
            blocks: 0,
            kv_heads: config.num_key_value_heads,
            head_dim: config.head_dim,
        })?;
        Ok(Network { ops, decoder, cache })
    }

    fn forward(&mut self, examples: &Examples, record: bool) -> Result<O::Tensor> {
        self.ops.begin(record);
        let logits =
            self.decoder.forward(&self.ops, &mut self.cache, &examples.batch, &mut Silent)?;
        logits.ok_or_else(|| Error::Internal("no row of the examples is predicted".into()))
    }
}

impl<O> Learner for Network<O>
where
    O: TrainOps + Send,
    O::Matrix: Send,
    O::Vector: Send,
    O::Cache: Send,
{
    fn learn(&mut self, examples: &Examples, scale: LossScale) -> Result<LossSums> {
        let logits = self.forward(examples, true)?;
        self.ops.backward(logits, &examples.targets, scale)
    }

    fn evaluate(&mut self, examples: &Examples) -> Result<LossSums> {
        let logits = self.forward(examples, false)?;
        self.ops.losses(&logits, &examples.targets)
    }

    fn parameters(&mut self, change: &mut dyn FnMut(&mut [Parameter])) -> Result<()> {
        self.ops.parameters(change)
    }
}
