//! The whole decoder: embedding, layers, final norm, projection onto the vocabulary.

use super::layer::Layer;
use super::Probe;
use crate::config::ModelConfig;
use crate::ops::Ops;
use crate::ops::{Batch, RopeTable};
use crate::shapes::{EMBEDDING, FINAL_NORM, OUTPUT};
use crate::weights::Checkpoint;
use crate::Result;

pub struct Decoder<O: Ops> {
    embedding: O::Matrix, // [vocab, hidden]
    layers: Vec<Layer<O>>,
    norm: O::Vector,    // [hidden]
    lm_head: O::Matrix, // [vocab, hidden]
    rope: RopeTable,
    eps: f32,
}

impl<O: Ops> Decoder<O> {
    /// Takes over all weights. `progress` hears the number of layers loaded, after each.
    pub fn load(
        ops: &O,
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
        Ok(Decoder {
            embedding,
            layers,
            norm: ops.vector(checkpoint.get(FINAL_NORM)?)?,
            lm_head,
            rope: RopeTable::new(config),
            eps: config.rms_norm_eps as f32,
        })
    }

    /// Logits `[outputs, vocab]` of the rows the batch asks for, if it asks for any: a GPU launches no
    /// kernel over nothing. All rows' keys and values are in the cache afterwards.
    pub fn forward(
        &self,
        ops: &O,
        cache: &mut O::Cache,
        batch: &Batch,
        probe: &mut dyn Probe,
    ) -> Result<Option<O::Tensor>> {
        let mut look = Look { probe, values: Vec::new() };
        let mut x = ops.embed(&self.embedding, &batch.tokens)?;
        for (index, layer) in self.layers.iter().enumerate() {
            look.at(ops, index, &x)?;
            x = layer.forward(ops, x, &self.rope, cache, batch, look.probe)?;
        }
        // Norm all rows only if somebody looks: the logits need just the outputs.
        if look.probe.wants_hidden() {
            x = ops.rms_norm(x, &self.norm, self.eps)?;
            look.at(ops, self.layers.len(), &x)?;
        }
        if batch.outputs.is_empty() {
            return Ok(None);
        }
        let rows = ops.select_rows(&x, &batch.outputs)?;
        let rows = match look.probe.wants_hidden() {
            true => rows,
            false => ops.rms_norm(rows, &self.norm, self.eps)?,
        };
        let [logits] = ops.project(&rows, [&self.lm_head])?;
        Ok(Some(logits))
    }
}

/// A probe and the buffer its numbers pass through.
struct Look<'a> {
    probe: &'a mut dyn Probe,
    values: Vec<f32>,
}

impl Look<'_> {
    fn at<O: Ops>(&mut self, ops: &O, index: usize, x: &O::Tensor) -> Result<()> {
        if self.probe.wants_hidden() {
            ops.read(x, &mut self.values)?;
            self.probe.hidden(index, &self.values);
        }
        Ok(())
    }
}
