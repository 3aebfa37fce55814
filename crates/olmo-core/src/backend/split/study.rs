//! Looking inside a model on two backends, and blocks of both caches as one.

use super::{astray, Cache, Pass, SplitOps, Tensor};
use crate::ops::{LayerSpec, Receive, Study};
use crate::{Error, Result};

impl<A: Study, B: Study + Receive> Study for SplitOps<A, B> {
    fn attention_probabilities(
        &self,
        q: &Tensor<A, B>,
        cache: &Cache<A, B>,
        layer: LayerSpec,
        pass: &Pass<'_, A, B>,
    ) -> Result<Vec<f32>> {
        match q {
            Tensor::First(q) if layer.index < self.layers => {
                self.first.attention_probabilities(&q.x, &cache.first, layer, &pass.first)
            }
            Tensor::Last(q) => {
                let layer = self.after(layer)?;
                self.last.attention_probabilities(q, &cache.last, layer, &pass.last)
            }
            Tensor::First(_) => Err(astray()),
        }
    }

    /// The first backend's, then the last's.
    fn read_block(&self, cache: &Cache<A, B>, block: u32) -> Result<Vec<u8>> {
        let mut bytes = self.first.read_block(&cache.first, block)?;
        bytes.extend(self.last.read_block(&cache.last, block)?);
        Ok(bytes)
    }

    fn write_block(&self, cache: &mut Cache<A, B>, block: u32, bytes: &[u8]) -> Result<()> {
        let first = self.first.read_block(&cache.first, block)?.len();
        let Some((first, last)) = bytes.split_at_checked(first) else {
            return Err(Error::Internal(format!("a block of {} bytes is too short", bytes.len())));
        };
        self.first.write_block(&mut cache.first, block, first)?;
        self.last.write_block(&mut cache.last, block, last)
    }

    fn copy_block(&self, cache: &mut Cache<A, B>, from: u32, into: u32) -> Result<()> {
        self.first.copy_block(&mut cache.first, from, into)?;
        self.last.copy_block(&mut cache.last, from, into)
    }
}
