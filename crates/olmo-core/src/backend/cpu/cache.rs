//! Storage for keys and values.

use std::ptr::with_exposed_provenance_mut;

use half::{bf16, f16};

use super::kernels::kv_block::{Floats, KvLayout, PIECE, Q8_0};
use super::workspace::{Buffer, Tensor};
use super::{CpuOps, Pass};
use crate::cache::{CacheDType, CacheShape, BLOCK_TOKENS};
use crate::dtype::DType;
use crate::error::Hint;
use crate::ops::LayerSpec;
use crate::{Error, Result};

/// Keys and values of all layers. A block of one head is contiguous: keys `[head_dim,
/// BLOCK_TOKENS]`, values `[BLOCK_TOKENS, stride]`, as the kernel reads them
/// ([`kernels::kv_block`](super::kernels::kv_block)).
pub struct Cache {
    pub(super) dtype: CacheDType,
    pub(super) shape: CacheShape,
    /// Numbers of a value's row, [`stride`] of `head_dim`. What is beyond that stays zero.
    pub(super) stride: usize,
    layers: Vec<LayerCache>,
}

struct LayerCache {
    keys: Buffer,
    values: Buffer,
}

impl Cache {
    pub fn new(shape: &CacheShape, dtype: CacheDType) -> Result<Cache> {
        dtype.check(shape.head_dim)?;
        let stride = stride(shape.head_dim);
        let zeroed = |blocks: usize, width: usize| {
            let block = dtype.bytes(BLOCK_TOKENS.saturating_mul(width));
            let bytes = blocks.saturating_mul(shape.kv_heads).saturating_mul(block);
            let what = "the cache of one layer's keys or values";
            Buffer::zeroed(bytes, what, Hint::FewerSequences)
        };
        let layer = |&blocks: &usize| {
            let (keys, values) = (zeroed(blocks, shape.head_dim)?, zeroed(blocks, stride)?);
            Ok(LayerCache { keys, values })
        };
        let layers = shape.blocks.iter().map(layer).collect::<Result<_>>()?;
        Ok(Cache { dtype, shape: shape.clone(), stride, layers })
    }

    /// Where the keys of a block of one head are. Outside the storage for a block that is.
    pub(super) fn keys(&self, layer: usize, block: u32, kv_head: usize) -> *const u8 {
        let offset = self.offset(block, kv_head, self.shape.head_dim);
        self.layers[layer].keys.as_ptr().wrapping_add(offset)
    }

    /// Where the values of a block of one head are. Outside the storage for a block that is.
    pub(super) fn values(&self, layer: usize, block: u32, kv_head: usize) -> *const u8 {
        let offset = self.offset(block, kv_head, self.stride);
        self.layers[layer].values.as_ptr().wrapping_add(offset)
    }

    /// The bytes of a block in all layers: keys of all heads, then values, layer after layer.
    pub(super) fn read_block(&self, block: u32) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for layer in 0..self.layers.len() {
            self.check_block(layer, block)?;
            let (keys, values) = self.block_bytes();
            for (start, length) in
                [(self.keys(layer, block, 0), keys), (self.values(layer, block, 0), values)]
            {
                // SAFETY: the block is inside the storage, where those of its heads follow each other.
                bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(start, length) });
            }
        }
        Ok(bytes)
    }

    /// Takes what [`Cache::read_block`] gave.
    pub(super) fn write_block(&mut self, block: u32, bytes: &[u8]) -> Result<()> {
        let (keys, values) = self.block_bytes();
        if bytes.len() != (keys + values) * self.layers.len() {
            let problem = format!("a block of {} bytes for {:?}", bytes.len(), self.shape);
            return Err(Error::Internal(problem));
        }
        for (layer, bytes) in bytes.chunks_exact(keys + values).enumerate() {
            self.check_block(layer, block)?;
            let places =
                [self.offset(block, 0, self.shape.head_dim), self.offset(block, 0, self.stride)];
            let LayerCache { keys: into_keys, values: into_values } = &mut self.layers[layer];
            let parts = bytes.split_at(keys);
            for (buffer, place, bytes) in
                [(into_keys, places[0], parts.0), (into_values, places[1], parts.1)]
            {
                // SAFETY: the block is inside the storage, which nobody else has while it is borrowed.
                unsafe {
                    let start = buffer.as_mut_ptr().add(place);
                    start.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
                }
            }
        }
        Ok(())
    }

    /// Makes a block hold what another does.
    pub(super) fn copy_block(&mut self, from: u32, into: u32) -> Result<()> {
        let (keys, values) = self.block_bytes();
        for layer in 0..self.layers.len() {
            self.check_block(layer, from)?;
            self.check_block(layer, into)?;
            let places = [self.shape.head_dim, self.stride]
                .map(|width| [from, into].map(|block| self.offset(block, 0, width)));
            let LayerCache { keys: of_keys, values: of_values } = &mut self.layers[layer];
            for (buffer, [from, into], bytes) in
                [(of_keys, places[0], keys), (of_values, places[1], values)]
            {
                let start = buffer.as_mut_ptr();
                // SAFETY: both blocks are inside the storage, which nobody else has while it is borrowed; `copy`
                // lets them be one.
                unsafe { start.add(into).copy_from(start.add(from), bytes) };
            }
        }
        Ok(())
    }

    /// Bytes of the keys and of the values of a block in one layer.
    fn block_bytes(&self) -> (usize, usize) {
        let of = |width: usize| self.shape.kv_heads * self.dtype.bytes(BLOCK_TOKENS * width);
        (of(self.shape.head_dim), of(self.stride))
    }

    fn check_block(&self, layer: usize, block: u32) -> Result<()> {
        match self.shape.blocks.get(layer) {
            Some(&blocks) if (block as usize) < blocks => Ok(()),
            _ => Err(Error::Internal(format!("block {block} of {:?}", self.shape))),
        }
    }

    /// Bytes in front of a block of one head.
    fn offset(&self, block: u32, kv_head: usize, width: usize) -> usize {
        (block as usize * self.shape.kv_heads + kv_head) * self.dtype.bytes(BLOCK_TOKENS * width)
    }

    /// One number of the key of one token of one head.
    ///
    /// # Safety
    /// The block is inside the storage.
    pub(super) unsafe fn key(
        &self,
        layer: usize,
        block: u32,
        kv_head: usize,
        token: usize,
        d: usize,
    ) -> f32 {
        let block = self.keys(layer, block, kv_head);
        let head_dim = self.shape.head_dim;
        match self.dtype {
            CacheDType::Float(DType::F32) => Floats::<f32>::read_key(block, head_dim, token, d),
            CacheDType::Float(DType::F16) => Floats::<f16>::read_key(block, head_dim, token, d),
            CacheDType::Float(DType::BF16) => Floats::<bf16>::read_key(block, head_dim, token, d),
            CacheDType::Q8_0 => Q8_0::read_key(block, head_dim, token, d),
        }
    }
}

/// Numbers from one value's beginning to the next one's: as many as the kernel takes at a time, or a multiple.
fn stride(head_dim: usize) -> usize {
    head_dim.next_multiple_of(PIECE)
}

/// Bytes that keys and values of one token take in one layer of a [`Cache`].
pub fn cache_token_bytes(kv_heads: usize, head_dim: usize, dtype: CacheDType) -> usize {
    kv_heads * (dtype.bytes(head_dim) + dtype.bytes(stride(head_dim)))
}

impl CpuOps {
    /// Puts the keys and values of all rows of a batch in their places.
    pub(super) fn store(
        &self,
        k: &Tensor,
        v: &Tensor,
        cache: &mut Cache,
        layer: LayerSpec,
        pass: &Pass,
    ) -> Result<()> {
        pass.check_rows(k)?;
        pass.check_rows(v)?;
        pass.check_cache(cache, layer)?;
        let width = cache.shape.kv_heads * cache.shape.head_dim;
        if k.width != width || v.width != width {
            return Err(Error::Internal(format!("keys of {} numbers, not {width}", k.width)));
        }
        let LayerCache { keys, values } = &mut cache.layers[layer.index];
        let (keys, values) = (keys.as_mut_ptr(), values.as_mut_ptr());
        // Numbers, which threads may share; each makes pointers of them again.
        let (keys, values) = (keys.expose_provenance(), values.expose_provenance());
        let cache = &*cache;
        self.threads.run(cache.shape.kv_heads, |kv_head, _| {
            let head = Head { cache, keys, values, kv_head };
            // SAFETY: the pass covers its rows and fits the cache, and no other task has this head.
            unsafe {
                match cache.dtype {
                    CacheDType::Float(DType::F32) => head.store::<Floats<f32>>(k, v, layer, pass),
                    CacheDType::Float(DType::F16) => head.store::<Floats<f16>>(k, v, layer, pass),
                    CacheDType::Float(DType::BF16) => head.store::<Floats<bf16>>(k, v, layer, pass),
                    CacheDType::Q8_0 => head.store::<Q8_0>(k, v, layer, pass),
                }
            }
        });
        Ok(())
    }
}

/// One head of one layer of the cache.
struct Head<'a> {
    cache: &'a Cache,
    /// Addresses of the layer's storage.
    keys: usize,
    values: usize,
    kv_head: usize,
}

impl Head<'_> {
    /// # Safety
    /// The pass fits the cache, which stores in this way, and nobody else touches this head of it.
    unsafe fn store<S: KvLayout>(&self, k: &Tensor, v: &Tensor, layer: LayerSpec, pass: &Pass) {
        let &Head { cache, keys, values, kv_head } = self;
        let (head_dim, stride) = (cache.shape.head_dim, cache.stride);
        let columns = kv_head * head_dim..(kv_head + 1) * head_dim;
        for (span, table) in pass.spans(layer) {
            for row in span.rows.clone() {
                let position = span.start + (row - span.rows.start);
                let (block, token) = (table.block(position), position % BLOCK_TOKENS);
                let keys =
                    with_exposed_provenance_mut(keys + cache.offset(block, kv_head, head_dim));
                S::write_key(keys, token, &k.row(row)[columns.clone()]);
                let values =
                    with_exposed_provenance_mut(values + cache.offset(block, kv_head, stride));
                S::write_value(values, stride, token, &v.row(row)[columns.clone()]);
            }
        }
    }
}
