//! The whole decoder: embedding, layers, final norm, projection onto the vocabulary.

use super::layer::Layer;
use super::linear::Linear;
use super::Observe;
use crate::config::ModelConfig;
use crate::ops::{Batch, LayerKind, Ops, RopeTable};
use crate::shapes::{EMBEDDING, FINAL_NORM, OUTPUT};
use crate::weights::{Checkpoint, TensorData};
use crate::Result;

pub struct Decoder<O: Ops> {
    embedding: O::Matrix, // [vocab, hidden]
    layers: Vec<Layer<O>>,
    norm: O::Vector,    // [hidden]
    lm_head: Linear<O>, // [vocab, hidden]
    /// The kinds of attention the layers have.
    kinds: Vec<LayerKind>,
    eps: f32,
}

impl<O: Ops> Decoder<O> {
    /// Loads all weights. `progress` receives the number of layers loaded, after each.
    pub fn load(
        ops: &mut O,
        config: &ModelConfig,
        checkpoint: &Checkpoint,
        progress: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<Decoder<O>> {
        let (embedding, lm_head) = match config.tie_word_embeddings {
            true => {
                let both = ops.matrix(checkpoint.get(EMBEDDING)?)?;
                (both.clone(), both)
            }
            false => (ops.table(checkpoint.get(EMBEDDING)?)?, ops.matrix(checkpoint.get(OUTPUT)?)?),
        };
        let mut layers = Vec::with_capacity(config.layers.len());
        for index in 0..config.layers.len() {
            layers.push(Layer::load(ops, config, checkpoint, index)?);
            progress(index + 1)?;
        }
        // One table per kind, because OLMo 3 scales only the angles of full attention.
        let kinds = config.attention_kinds().into_iter();
        let kind = |attention| LayerKind { attention, rope: RopeTable::new(config) };
        Ok(Decoder {
            embedding,
            layers,
            norm: ops.vector(checkpoint.get(FINAL_NORM)?)?,
            lm_head: Linear::new(lm_head),
            kinds: kinds.map(kind).collect(),
            eps: config.rms_norm_eps as f32,
        })
    }

    /// Adds `b·a` to the named matrix, such as `model.layers.3.mlp.up_proj`, without changing it: `a` is
    /// `[rank, in]`, `b` `[out, rank]`, with the adapter's factor included. Returns false if no layer has
    /// such a matrix.
    pub fn adapt(
        &mut self,
        ops: &mut O,
        name: &str,
        a: &TensorData,
        b: &TensorData,
    ) -> Result<bool> {
        let within = name.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.'));
        let linear = within.and_then(|(index, name)| {
            self.layers.get_mut(index.parse::<usize>().ok()?)?.linear_mut(name)
        });
        match linear {
            Some(linear) => linear.adapt(ops, a, b).map(|()| true),
            None => Ok(false),
        }
    }

    /// Returns logits `[outputs, vocab]` of the rows that the batch requests, or none if it requests none,
    /// because a GPU cannot launch a kernel over nothing. Afterwards the cache holds the keys and values of
    /// all rows.
    pub fn forward(
        &self,
        ops: &O,
        cache: &mut O::Cache,
        batch: &Batch,
        observer: &mut impl Observe<O>,
    ) -> Result<Option<O::Tensor>> {
        let pass = ops.begin(batch, &self.kinds)?;
        let mut x = ops.embed(&self.embedding, &pass)?; // [rows, hidden]
        for (index, layer) in self.layers.iter().enumerate() {
            observer.hidden(ops, index, &x)?;
            x = layer.forward(ops, x, cache, &pass, observer)?; // [rows, hidden]
        }
        // Norm all rows only if an observer needs them; the logits need just the outputs.
        let is_watched = observer.wants_hidden(self.layers.len());
        if is_watched {
            x = ops.rms_norm(x, &self.norm, self.eps)?;
            observer.hidden(ops, self.layers.len(), &x)?;
        }
        if batch.outputs.is_empty() {
            return Ok(None);
        }
        let outputs = ops.select_outputs(&x, &pass)?; // [outputs, hidden]
        let outputs = match is_watched {
            true => outputs,
            false => ops.rms_norm(outputs, &self.norm, self.eps)?,
        };
        let logits = self.lm_head.forward(ops, &outputs)?; // [outputs, vocab]
        Ok(Some(logits))
    }
}
