//! A decoder that learns: the forward pass of [`model`](crate::model), turned round.

use crate::cache::CacheShape;
use crate::config::ModelConfig;
use crate::model::{Decoder, NoProbe};
use crate::ops::{Batch, LossScale, LossSums, Ops, Parameter, TrainOps};
use crate::weights::Checkpoint;
use crate::{Error, Result};

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

    /// Appends one instance of which only some tokens are targets: no other row's logits are computed.
    pub fn push_labelled(&mut self, tokens: &[u32], documents: &[usize], is_target: &[bool]) {
        debug_assert_eq!(documents.iter().sum::<usize>(), tokens.len());
        let first = self.batch.rows();
        let mut start = 0;
        for &length in documents {
            self.batch.push(&tokens[start..start + length], 0, &[], 0..0);
            start += length;
        }
        for (index, &token) in tokens.iter().enumerate().skip(1) {
            if is_target[index] {
                self.batch.outputs.push(first + index - 1);
                self.targets.push(token);
            }
        }
    }
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
    pub fn load(mut ops: O, config: &ModelConfig, checkpoint: &Checkpoint) -> Result<Network<O>> {
        let decoder = Decoder::load(&mut ops, config, checkpoint, &mut |_| Ok(()))?;
        // No blocks: a training batch brings all its keys itself.
        let cache = ops.cache(&CacheShape {
            blocks: vec![0; config.layers.len()],
            kv_heads: config.num_key_value_heads,
            head_dim: config.head_dim,
        })?;
        Ok(Network { ops, decoder, cache })
    }

    fn forward(&mut self, examples: &Examples, record: bool) -> Result<O::Tensor> {
        self.ops.record(record);
        let logits =
            self.decoder.forward(&self.ops, &mut self.cache, &examples.batch, &mut NoProbe)?;
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
