//! A decoder together with its backend and cache, with the backend's types hidden.

use std::ops::Range;

use super::probe::ProbeObserver;
use super::{Decoder, NoProbe, Probe};
use crate::cache::CacheShape;
use crate::config::ModelConfig;
use crate::ops::{Batch, Ops, Study};
use crate::sampling::{TopLogits, TopRequest};
use crate::weights::{Checkpoint, TensorData};
use crate::{Error, Result};

/// A loaded model as [`crate::engine`] sees it.
pub trait Model: Send {
    /// Runs a batch and puts the logits `[outputs, vocab]` into `logits`, in place of what it held.
    fn forward(
        &mut self,
        batch: &Batch,
        probe: &mut dyn Probe,
        logits: &mut Vec<f32>,
    ) -> Result<()>;

    /// Whether [`Model::forward_top`] brings less to the host than [`Model::forward`].
    fn finds_top(&self) -> bool {
        false
    }

    /// Runs a batch and gives the largest logits of each output. All of them stay for [`Model::read_logits`] until
    /// the next pass.
    fn forward_top(&mut self, _batch: &Batch, _request: &TopRequest) -> Result<Vec<TopLogits>> {
        Err(Error::Internal("a model that gives all logits was asked for the largest".into()))
    }

    /// Puts the logits of some outputs of [`Model::forward_top`] into `logits`, in place of what it held.
    fn read_logits(&mut self, _outputs: Range<usize>, _logits: &mut Vec<f32>) -> Result<()> {
        Err(Error::Internal("logits of no pass were asked for".into()))
    }

    /// See [`Study::read_block`].
    fn read_block(&self, block: u32) -> Result<Vec<u8>>;

    /// See [`Study::write_block`].
    fn write_block(&mut self, block: u32, bytes: &[u8]) -> Result<()>;

    /// See [`Study::copy_block`].
    fn copy_block(&mut self, from: u32, into: u32) -> Result<()> {
        let bytes = self.read_block(from)?;
        self.write_block(into, &bytes)
    }
}

pub struct Runtime<O: Ops> {
    ops: O,
    decoder: Decoder<O>,
    cache: O::Cache,
    vocab_size: usize,
    /// Logits of the last pass whose largest were asked for.
    logits: Option<O::Tensor>, // [outputs, vocab]
}

impl<O: Ops> Runtime<O> {
    /// Loads the weights and allocates a cache of `blocks` blocks.
    pub fn load(
        mut ops: O,
        config: &ModelConfig,
        checkpoint: &Checkpoint,
        blocks: usize,
        progress: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<Runtime<O>> {
        let decoder = Decoder::load(&mut ops, config, checkpoint, progress)?;
        let cache = ops.cache(&CacheShape {
            blocks: vec![blocks; config.layers.len()],
            kv_heads: config.num_key_value_heads,
            head_dim: config.head_dim,
        })?;
        Ok(Runtime { ops, decoder, cache, vocab_size: config.vocab_size, logits: None })
    }

    /// See [`Decoder::adapt`].
    pub fn adapt(&mut self, name: &str, a: &TensorData, b: &TensorData) -> Result<bool> {
        self.decoder.adapt(&mut self.ops, name, a, b)
    }
}

impl<O> Model for Runtime<O>
where
    O: Study + Send,
    O::Tensor: Send,
    O::Matrix: Send,
    O::Vector: Send,
    O::Cache: Send,
{
    fn forward(
        &mut self,
        batch: &Batch,
        probe: &mut dyn Probe,
        logits: &mut Vec<f32>,
    ) -> Result<()> {
        self.logits = None; // its memory is for this pass
        let observer = &mut ProbeObserver::new(probe);
        match self.decoder.forward(&self.ops, &mut self.cache, batch, observer)? {
            Some(output) => self.ops.read(&output, logits),
            None => {
                logits.clear();
                Ok(())
            }
        }
    }

    fn finds_top(&self) -> bool {
        O::FINDS_TOP
    }

    fn forward_top(&mut self, batch: &Batch, request: &TopRequest) -> Result<Vec<TopLogits>> {
        self.logits = None;
        let mut probe = NoProbe;
        let observer = &mut ProbeObserver::new(&mut probe);
        self.logits = self.decoder.forward(&self.ops, &mut self.cache, batch, observer)?;
        match &self.logits {
            Some(logits) => self.ops.top_logits(logits, request),
            None => Ok(Vec::new()),
        }
    }

    fn read_logits(&mut self, outputs: Range<usize>, logits: &mut Vec<f32>) -> Result<()> {
        match &self.logits {
            Some(all) => self.ops.read_rows(all, outputs, self.vocab_size, logits),
            None => Err(Error::Internal("logits of no pass were asked for".into())),
        }
    }

    fn read_block(&self, block: u32) -> Result<Vec<u8>> {
        self.ops.read_block(&self.cache, block)
    }

    fn write_block(&mut self, block: u32, bytes: &[u8]) -> Result<()> {
        self.ops.write_block(&mut self.cache, block, bytes)
    }

    fn copy_block(&mut self, from: u32, into: u32) -> Result<()> {
        self.ops.copy_block(&mut self.cache, from, into)
    }
}
