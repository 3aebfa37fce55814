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
///
/// A block's parts of all layers lie one after the other: of each layer the keys of all heads, then the values.
/// So a text takes new memory little by little. If each layer had a storage of its own, the first token beyond what
/// a huge page holds would need a new one in every layer, and its pass would wait until the system has cleared them all.
pub struct Cache {
    pub(super) dtype: CacheDType,
    pub(super) shape: CacheShape,
    /// Numbers of a value's row, [`stride`] of `head_dim`. What is beyond that stays zero.
    pub(super) stride: usize,
    /// One for all layers with as many blocks.
    stores: Vec<Buffer>,
    layers: Vec<LayerPlace>,
}

/// Where a layer's part of each block is.
struct LayerPlace {
    store: usize,
    /// Bytes of a block in front of the layer's part.
    start: usize,
    /// Bytes from one block to the next.
    step: usize,
}

impl Cache {
    pub fn new(shape: &CacheShape, dtype: CacheDType) -> Result<Cache> {
        dtype.check(shape.head_dim)?;
        let mut cache = Cache {
            dtype,
            shape: shape.clone(),
            stride: stride(shape.head_dim),
            stores: Vec::new(),
            layers: Vec::new(),
        };
        let part = cache.part_bytes();
        let mut sizes = shape.blocks.clone();
        sizes.sort_unstable();
        sizes.dedup();
        let layers_of =
            |blocks: usize| shape.blocks.iter().filter(|&&other| other == blocks).count();
        for &blocks in &sizes {
            let bytes = part.saturating_mul(layers_of(blocks)).saturating_mul(blocks);
            cache.stores.push(Buffer::zeroed(bytes, "the cache", Hint::FewerSequences)?);
        }
        for (layer, &blocks) in shape.blocks.iter().enumerate() {
            let before = shape.blocks[..layer].iter().filter(|&&other| other == blocks).count();
            cache.layers.push(LayerPlace {
                store: sizes.partition_point(|&size| size < blocks),
                start: before * part,
                step: layers_of(blocks) * part,
            });
        }
        Ok(cache)
    }

    /// Where the keys of a block of one head are. Outside the storage for a block that is.
    pub(super) fn keys(&self, layer: usize, block: u32, kv_head: usize) -> *const u8 {
        let start = self.stores[self.layers[layer].store].as_ptr();
        start.wrapping_add(self.keys_offset(layer, block, kv_head))
    }

    /// Where the values of a block of one head are. Outside the storage for a block that is.
    pub(super) fn values(&self, layer: usize, block: u32, kv_head: usize) -> *const u8 {
        let start = self.stores[self.layers[layer].store].as_ptr();
        start.wrapping_add(self.values_offset(layer, block, kv_head))
    }

    /// The bytes of a block in all layers: keys of all heads, then values, layer after layer.
    pub(super) fn read_block(&self, block: u32) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for layer in 0..self.layers.len() {
            self.check_block(layer, block)?;
            let start = self.keys(layer, block, 0);
            // SAFETY: the layer's part of the block is inside the storage.
            bytes
                .extend_from_slice(unsafe { std::slice::from_raw_parts(start, self.part_bytes()) });
        }
        Ok(bytes)
    }

    /// Takes what [`Cache::read_block`] gave.
    pub(super) fn write_block(&mut self, block: u32, bytes: &[u8]) -> Result<()> {
        let part = self.part_bytes();
        if bytes.len() != part * self.layers.len() {
            let problem = format!("a block of {} bytes for {:?}", bytes.len(), self.shape);
            return Err(Error::Internal(problem));
        }
        for (layer, bytes) in bytes.chunks_exact(part).enumerate() {
            self.check_block(layer, block)?;
            let place = self.keys_offset(layer, block, 0);
            let store = &mut self.stores[self.layers[layer].store];
            // SAFETY: the layer's part of the block is inside the storage, which nobody else has while it is
            // borrowed.
            unsafe { store.as_mut_ptr().add(place).copy_from_nonoverlapping(bytes.as_ptr(), part) };
        }
        Ok(())
    }

    /// Makes a block hold what another does.
    pub(super) fn copy_block(&mut self, from: u32, into: u32) -> Result<()> {
        let part = self.part_bytes();
        for layer in 0..self.layers.len() {
            self.check_block(layer, from)?;
            self.check_block(layer, into)?;
            let [from, into] = [from, into].map(|block| self.keys_offset(layer, block, 0));
            let start = self.stores[self.layers[layer].store].as_mut_ptr();
            // SAFETY: both blocks are inside the storage, which nobody else has while it is borrowed; `copy`
            // lets them be one.
            unsafe { start.add(into).copy_from(start.add(from), part) };
        }
        Ok(())
    }

    /// Bytes of the keys of a block in one layer.
    fn keys_bytes(&self) -> usize {
        self.shape.kv_heads * self.dtype.bytes(BLOCK_TOKENS * self.shape.head_dim)
    }

    /// Bytes of keys and values of a block in one layer.
    fn part_bytes(&self) -> usize {
        self.keys_bytes() + self.shape.kv_heads * self.dtype.bytes(BLOCK_TOKENS * self.stride)
    }

    fn check_block(&self, layer: usize, block: u32) -> Result<()> {
        match self.shape.blocks.get(layer) {
            Some(&blocks) if (block as usize) < blocks => Ok(()),
            _ => Err(Error::Internal(format!("block {block} of {:?}", self.shape))),
        }
    }

    /// Bytes of a store in front of the keys of a block of one head.
    fn keys_offset(&self, layer: usize, block: u32, kv_head: usize) -> usize {
        let LayerPlace { start, step, .. } = self.layers[layer];
        let within = kv_head * self.dtype.bytes(BLOCK_TOKENS * self.shape.head_dim);
        block as usize * step + start + within
    }

    /// Bytes of a store in front of the values of a block of one head.
    fn values_offset(&self, layer: usize, block: u32, kv_head: usize) -> usize {
        let within = kv_head * self.dtype.bytes(BLOCK_TOKENS * self.stride);
        self.keys_offset(layer, block, 0) + self.keys_bytes() + within
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
        let store = &mut cache.stores[cache.layers[layer.index].store];
        // A number, which threads may share; each makes a pointer of it again.
        let start = store.as_mut_ptr().expose_provenance();
        let cache = &*cache;
        self.threads.run(cache.shape.kv_heads, |kv_head, _| {
            let head = Head { cache, start, kv_head };
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

/// One head of the cache.
struct Head<'a> {
    cache: &'a Cache,
    /// Address of the store that has the layer.
    start: usize,
    kv_head: usize,
}

impl Head<'_> {
    /// # Safety
    /// The pass fits the cache, which stores in this way, and nobody else touches this head of it.
    unsafe fn store<S: KvLayout>(&self, k: &Tensor, v: &Tensor, layer: LayerSpec, pass: &Pass) {
        let &Head { cache, start, kv_head } = self;
        let (head_dim, stride) = (cache.shape.head_dim, cache.stride);
        let columns = kv_head * head_dim..(kv_head + 1) * head_dim;
        for (span, table) in pass.spans(layer) {
            for row in span.rows.clone() {
                let position = span.start + (row - span.rows.start);
                let (block, token) = (table.block(position), position % BLOCK_TOKENS);
                let keys = start + cache.keys_offset(layer.index, block, kv_head);
                let keys = with_exposed_provenance_mut(keys);
                S::write_key(keys, token, &k.row(row)[columns.clone()]);
                let values = start + cache.values_offset(layer.index, block, kv_head);
                let values = with_exposed_provenance_mut(values);
                S::write_value(values, stride, token, &v.row(row)[columns.clone()]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_all_layers_is_one_piece_of_memory() {
        let shape = CacheShape { blocks: vec![9, 4, 9, 9, 4], kv_heads: 3, head_dim: 20 };
        for dtype in [DType::F32, DType::F16].map(CacheDType::Float) {
            let cache = Cache::new(&shape, dtype).expect("memory");
            for (layers, blocks) in [(vec![0, 2, 3], 9), (vec![1, 4], 4)] {
                let part = 32 * cache_token_bytes(3, 20, dtype);
                let first = cache.keys(layers[0], 0, 0);
                for block in 0..blocks {
                    for (place, &layer) in layers.iter().enumerate() {
                        let expected = (block * layers.len() + place) * part;
                        let keys = cache.keys(layer, block as u32, 0);
                        assert_eq!(keys, first.wrapping_add(expected));
                        // Behind the keys of the three heads those heads' values, up to the end of the part.
                        let head = dtype.bytes(32 * stride(20));
                        let values = cache.values(layer, block as u32, 2);
                        assert_eq!(values, keys.wrapping_add(part - head));
                    }
                }
                let store = &cache.stores[cache.layers[layers[0]].store];
                assert!(store.bytes() >= blocks * layers.len() * part);
            }
        }
    }
}
