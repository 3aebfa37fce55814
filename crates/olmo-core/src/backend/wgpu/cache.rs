//! Storage for keys and values.

use super::gpu::Gpu;
use super::slice::{Role, Slice};
use crate::cache::{CacheDType, CacheShape, BLOCK_TOKENS, CACHE_GROUP};
use crate::dtype::DType;
use crate::{Error, Result};

/// Keys and values of all layers, a buffer a layer: keys `[blocks · BLOCK_TOKENS, kv_heads · head_dim]`, then values.
pub struct Cache {
    pub(super) dtype: CacheDType,
    pub(super) shape: CacheShape,
    layers: Vec<wgpu::Buffer>,
}

impl Cache {
    pub(super) fn new(gpu: &Gpu, shape: &CacheShape, dtype: CacheDType) -> Result<Cache> {
        dtype.check(shape.head_dim)?;
        let row = row_words(dtype, shape.kv_heads * shape.head_dim);
        let layer = |&blocks: &usize| {
            let words = blocks.saturating_mul(2 * BLOCK_TOKENS).saturating_mul(row);
            gpu.buffer(words, "the cache of one layer")
        };
        let layers = shape.blocks.iter().map(layer).collect::<Result<_>>()?;
        Ok(Cache { dtype, shape: shape.clone(), layers })
    }

    pub(super) fn layer(&self, index: usize) -> &wgpu::Buffer {
        &self.layers[index]
    }

    pub(super) fn slice(&self, layer: usize) -> Slice {
        Slice::whole(&self.layers[layer], Role::Cache)
    }

    /// Numbers of one token's keys.
    pub(super) fn width(&self) -> usize {
        self.shape.kv_heads * self.shape.head_dim
    }

    /// Words of one token's keys.
    pub(super) fn row_words(&self) -> usize {
        row_words(self.dtype, self.width())
    }

    /// The word at which the values of a layer begin.
    pub(super) fn values(&self, layer: usize) -> usize {
        self.shape.blocks[layer] * BLOCK_TOKENS * self.row_words()
    }

    /// Where the keys of a block are in a layer's buffer, and where its values are, in words.
    fn places(&self, layer: usize, block: u32) -> Result<[usize; 2]> {
        let inside = (block as usize) < self.shape.blocks[layer];
        let keys = block as usize * self.block_words();
        match inside {
            true => Ok([keys, self.values(layer) + keys]),
            false => Err(Error::Internal(format!("block {block} of {:?}", self.shape))),
        }
    }

    fn block_words(&self) -> usize {
        BLOCK_TOKENS * self.row_words()
    }

    /// Keys and then values, layer after layer, as they are stored.
    pub(super) fn read_block(&self, gpu: &Gpu, block: u32) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for (layer, buffer) in self.layers.iter().enumerate() {
            for place in self.places(layer, block)? {
                let words = gpu.read(buffer, place, self.block_words())?;
                bytes.extend(words.into_iter().flat_map(u32::to_le_bytes));
            }
        }
        Ok(bytes)
    }

    /// Takes what [`Cache::read_block`] gave.
    pub(super) fn write_block(&mut self, gpu: &Gpu, block: u32, bytes: &[u8]) -> Result<()> {
        let part = 4 * self.block_words();
        if bytes.len() != 2 * part * self.layers.len() {
            let problem = format!("a block of {} bytes for {:?}", bytes.len(), self.shape);
            return Err(Error::Internal(problem));
        }
        gpu.submit()?;
        let mut parts = bytes.chunks_exact(part);
        for (layer, buffer) in self.layers.iter().enumerate() {
            for (place, bytes) in self.places(layer, block)?.into_iter().zip(&mut parts) {
                let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
                let words: Vec<u32> = bytes.chunks_exact(4).map(word).collect();
                gpu.write(buffer, 4 * place, &words)?;
            }
        }
        Ok(())
    }

    /// See [`Study::copy_block`](crate::ops::Study::copy_block).
    pub(super) fn copy_block(&self, gpu: &Gpu, from: u32, into: u32) -> Result<()> {
        for (layer, buffer) in self.layers.iter().enumerate() {
            let places = self.places(layer, from)?.into_iter().zip(self.places(layer, into)?);
            for (from, into) in places {
                gpu.copy(buffer, [from, into], self.block_words())?;
            }
        }
        Ok(())
    }

    /// The keys of one token, widened.
    pub(super) fn keys(&self, words: &[u32]) -> Vec<f32> {
        let pair = |word: &u32| [*word as u16, (*word >> 16) as u16];
        let halves = words.iter().flat_map(pair);
        match self.dtype {
            CacheDType::Float(DType::F32) => {
                words.iter().map(|&word| f32::from_bits(word)).collect()
            }
            CacheDType::Float(DType::F16) => {
                halves.map(|bits| half::f16::from_bits(bits).to_f32()).collect()
            }
            CacheDType::Float(DType::BF16) => {
                halves.map(|bits| half::bf16::from_bits(bits).to_f32()).collect()
            }
            CacheDType::Q8_0 => {
                let (integers, scales) = words.split_at(self.width() / 4);
                let scale = |group: usize| half::f16::from_bits(scales[group] as u16).to_f32();
                let q = integers.iter().flat_map(|word| word.to_le_bytes());
                q.enumerate().map(|(i, q)| scale(i / CACHE_GROUP) * f32::from(q as i8)).collect()
            }
        }
    }
}

fn row_words(dtype: CacheDType, width: usize) -> usize {
    match dtype {
        CacheDType::Float(DType::F32) => width,
        CacheDType::Float(_) => width.div_ceil(2),
        CacheDType::Q8_0 => width / 4 + width / CACHE_GROUP,
    }
}
