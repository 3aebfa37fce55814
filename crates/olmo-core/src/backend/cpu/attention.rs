//! The cache of keys and values, and attention to it.

use half::{bf16, f16};

use super::kernels::attention::{KeyBlock, Queries, PIECE};
use super::kernels::lanes::Element;
use super::workspace::{Buffer, Parts, Tensor};
use super::CpuOps;
use crate::cache::{CacheShape, BLOCK_TOKENS};
use crate::dtype::DType;
use crate::model::{Batch, Span};
use crate::{Error, Result};

/// Queries that go through a head's blocks together, so that a block that has come into the
/// first-level cache is used for all of them.
const QUERIES: usize = 24;

/// Keys and values of all layers. A block of one head is contiguous: keys `[head_dim,
/// BLOCK_TOKENS]`, values `[BLOCK_TOKENS, stride]`, as the kernel reads them.
pub struct Cache {
    dtype: DType,
    shape: CacheShape,
    /// `head_dim` rounded up to what the kernel takes at a time. What is beyond stays zero.
    stride: usize,
    layers: Vec<LayerCache>,
}

struct LayerCache {
    keys: Buffer,
    values: Buffer,
}

impl Cache {
    pub fn new(shape: &CacheShape, dtype: DType) -> Result<Cache> {
        let stride = shape.head_dim.next_multiple_of(PIECE);
        let zeroed = |width: usize| {
            let bytes = [shape.blocks, shape.kv_heads, BLOCK_TOKENS, width, dtype.size()]
                .into_iter()
                .fold(1usize, usize::saturating_mul);
            let hint = "allow fewer or shorter sequences at a time";
            Buffer::zeroed(bytes, "the cache of one layer's keys or values", hint)
        };
        let layers = (0..shape.layers)
            .map(|_| Ok(LayerCache { keys: zeroed(shape.head_dim)?, values: zeroed(stride)? }))
            .collect::<Result<_>>()?;
        Ok(Cache { dtype, shape: *shape, stride, layers })
    }

    /// Elements in front of a block of one head.
    fn key_offset(&self, block: u32, kv_head: usize) -> usize {
        (block as usize * self.shape.kv_heads + kv_head) * BLOCK_TOKENS * self.shape.head_dim
    }

    fn value_offset(&self, block: u32, kv_head: usize) -> usize {
        (block as usize * self.shape.kv_heads + kv_head) * BLOCK_TOKENS * self.stride
    }

    /// The offsets above stay inside the storage, and spans inside the batch.
    fn check(&self, batch: &Batch, rows: usize) -> Result<()> {
        let sound = |span: &Span| {
            let end = span.start + span.rows.len();
            span.rows.end <= rows
                && end.div_ceil(BLOCK_TOKENS) <= span.blocks.len()
                && span.blocks.iter().all(|&block| (block as usize) < self.shape.blocks)
        };
        match batch.spans.iter().find(|span| !sound(span)) {
            Some(span) => Err(Error::Internal(format!("{span:?} does not fit {:?}", self.shape))),
            None => Ok(()),
        }
    }
}

/// What one query tile of one head works on.
struct Tile<'a> {
    span: &'a Span,
    /// Rows of the batch.
    rows: std::ops::Range<usize>,
    kv_head: usize,
}

impl CpuOps {
    pub(super) fn store(
        &self,
        k: &Tensor,
        v: &Tensor,
        cache: &mut Cache,
        layer: usize,
        batch: &Batch,
    ) -> Result<()> {
        cache.check(batch, k.rows.min(v.rows))?;
        let width = cache.shape.kv_heads * cache.shape.head_dim;
        if k.width != width || v.width != width {
            return Err(Error::Internal(format!("keys of {} numbers, not {width}", k.width)));
        }
        let keys = cache.layers[layer].keys.as_mut_ptr().addr();
        let values = cache.layers[layer].values.as_mut_ptr().addr();
        let cache = &*cache;
        self.threads.run(cache.shape.kv_heads, |kv_head, _| {
            // SAFETY: the spans are checked, and no other task has this head.
            unsafe {
                match cache.dtype {
                    DType::F32 => store_head::<f32>(cache, keys, values, k, v, kv_head, batch),
                    DType::F16 => store_head::<f16>(cache, keys, values, k, v, kv_head, batch),
                    DType::BF16 => store_head::<bf16>(cache, keys, values, k, v, kv_head, batch),
                }
            }
        });
        Ok(())
    }

    /// Every row attends to what its sequence has in the cache, itself included.
    pub(super) fn attend(
        &self,
        q: &Tensor,
        cache: &Cache,
        layer: usize,
        batch: &Batch,
    ) -> Result<Tensor> {
        cache.check(batch, q.rows)?;
        let group = group(q, cache)?;
        let kv_heads = cache.shape.kv_heads;
        let per_tile = (QUERIES / group).max(1);
        let tiles = |span: &Span| span.rows.len().div_ceil(per_tile);

        let mut out = self.workspace.tensor(q.rows, q.width)?;
        let target = Parts::new(&mut out);
        let scratch_len = per_tile * group * (2 * cache.stride + 2);
        let mut scratch = self.workspace.tensor(self.threads.count(), scratch_len)?;
        let scratch = Parts::new(&mut scratch);

        let tasks = batch.spans.iter().map(tiles).sum::<usize>() * kv_heads;
        self.threads.run(tasks, |task, thread| {
            // Late rows look at most: begin with them, so that no thread is left with one at the end.
            let task = tasks - 1 - task;
            let (mut tile, kv_head) = (task / kv_heads, task % kv_heads);
            let mut spans = batch.spans.iter();
            let span = loop {
                let Some(span) = spans.next() else { return };
                if tile < tiles(span) {
                    break span;
                }
                tile -= tiles(span);
            };
            let first = span.rows.start + tile * per_tile;
            let rows = first..span.rows.end.min(first + per_tile);
            // SAFETY: no other thread has this part.
            let scratch = unsafe { scratch.part(thread * scratch_len..(thread + 1) * scratch_len) };
            self.attend_tile(q, cache, layer, &Tile { span, rows, kv_head }, scratch, &target);
        });
        Ok(out)
    }

    fn attend_tile(
        &self,
        q: &Tensor,
        cache: &Cache,
        layer: usize,
        tile: &Tile,
        scratch: &mut [f32],
        target: &Parts<f32>,
    ) {
        let &Tile { span, ref rows, kv_head } = tile;
        let (head_dim, stride) = (cache.shape.head_dim, cache.stride);
        let group = q.width / (cache.shape.kv_heads * head_dim);
        let count = rows.len() * group;
        let (packed, rest) = scratch.split_at_mut(count * stride);
        let (out, rest) = rest.split_at_mut(count * stride);
        let (highest, rest) = rest.split_at_mut(count);
        let total = &mut rest[..count];
        out.fill(0.0);
        highest.fill(f32::NEG_INFINITY);
        total.fill(0.0);

        // Where query `i` of the tile lies in a row of the batch: `group` heads side by side.
        let place = |i: usize| (rows.start + i / group, (kv_head * group + i % group) * head_dim);
        for (i, packed) in packed.chunks_exact_mut(stride).enumerate() {
            let (row, column) = place(i);
            packed[..head_dim].copy_from_slice(&q.row(row)[column..column + head_dim]);
        }
        let queries = Queries {
            count,
            head_dim,
            stride,
            scale: scale(head_dim),
            q: packed.as_ptr(),
            out: out.as_mut_ptr(),
            highest: highest.as_mut_ptr(),
            total: total.as_mut_ptr(),
        };
        let first_position = span.start + (rows.start - span.rows.start);
        let end = first_position + rows.len();
        let LayerCache { keys, values } = &cache.layers[layer];
        let (keys, values) = (keys.as_ptr(), values.as_ptr());
        let attend = self.kernels.attend(cache.dtype);
        let size = cache.dtype.size();
        let blocks = &span.blocks[..end.div_ceil(BLOCK_TOKENS)];
        for (index, &block) in blocks.iter().enumerate() {
            let next = *blocks.get(index + 1).unwrap_or(&block);
            let keys_of = |block| keys.wrapping_add(cache.key_offset(block, kv_head) * size);
            let values_of = |block| values.wrapping_add(cache.value_offset(block, kv_head) * size);
            let block = KeyBlock {
                keys: keys_of(block),
                values: values_of(block),
                next_keys: keys_of(next),
                next_values: values_of(next),
                first_seen: (first_position + 1) as isize - (index * BLOCK_TOKENS) as isize,
                group,
            };
            // SAFETY: the spans are checked, so the block is inside the storage; the pointers of
            // the queries are of the sizes stated.
            unsafe { attend(&queries, &block) };
        }
        for (i, out) in out.chunks_exact(stride).enumerate() {
            let (row, column) = place(i);
            let start = row * q.width + column;
            // SAFETY: no other task has these rows of these heads.
            let target = unsafe { target.part(start..start + head_dim) };
            target.iter_mut().zip(out).for_each(|(target, out)| *target = out / total[i]);
        }
    }

    /// Plain and slow: for looking at.
    pub(super) fn probabilities(
        &self,
        q: &Tensor,
        cache: &Cache,
        layer: usize,
        batch: &Batch,
    ) -> Result<Vec<f32>> {
        cache.check(batch, q.rows)?;
        let group = group(q, cache)?;
        let Some(span) = batch.spans.first() else { return Ok(Vec::new()) };
        let head_dim = cache.shape.head_dim;
        let (rows, end) = (span.rows.len(), span.start + span.rows.len());
        let heads = q.width / head_dim;
        let mut all = Vec::new();
        let len = heads.saturating_mul(rows).saturating_mul(end);
        all.try_reserve_exact(len).map_err(|_| Error::NotEnoughMemory {
            what: "attention probabilities".into(),
            needed: format!("{len} numbers"),
            available: "less".into(),
            hint: "look at a shorter text".into(),
        })?;
        all.resize(len, 0.0);
        for (index, p) in all.chunks_exact_mut(end).enumerate() {
            let (head, row) = (index / rows, index % rows);
            let q = &q.row(span.rows.start + row)[head * head_dim..][..head_dim];
            let p = &mut p[..span.start + row + 1];
            for (position, p) in p.iter_mut().enumerate() {
                let block = span.blocks[position / BLOCK_TOKENS];
                let offset = cache.key_offset(block, head / group) + position % BLOCK_TOKENS;
                let keys = cache.layers[layer].keys.as_ptr();
                let dot = q.iter().enumerate().map(|(d, q)| {
                    // SAFETY: the spans are checked.
                    let key = unsafe { element(keys, cache.dtype, offset + d * BLOCK_TOKENS) };
                    q * key
                });
                *p = dot.sum::<f32>() * scale(head_dim);
            }
            let highest = p.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            p.iter_mut().for_each(|p| *p = (*p - highest).exp());
            let total: f32 = p.iter().sum();
            p.iter_mut().for_each(|p| *p /= total);
        }
        Ok(all)
    }
}

fn scale(head_dim: usize) -> f32 {
    1.0 / (head_dim as f32).sqrt()
}

/// Query heads for each key head.
fn group(q: &Tensor, cache: &Cache) -> Result<usize> {
    let width = cache.shape.kv_heads * cache.shape.head_dim;
    match q.width.is_multiple_of(width) && q.width > 0 {
        true => Ok(q.width / width),
        false => Err(Error::Internal(format!("queries of {} numbers, keys of {width}", q.width))),
    }
}

/// # Safety
/// There is such an element.
unsafe fn element(start: *const u8, dtype: DType, index: usize) -> f32 {
    match dtype {
        DType::F32 => *start.cast::<f32>().add(index),
        DType::F16 => (*start.cast::<f16>().add(index)).to_f32(),
        DType::BF16 => (*start.cast::<bf16>().add(index)).to_f32(),
    }
}

/// Puts one head of all rows of the batch in its place.
///
/// # Safety
/// `keys` and `values` are the addresses of one layer of the cache, the batch fits it, and nobody
/// else touches this head of it.
unsafe fn store_head<E: Element>(
    cache: &Cache,
    keys: usize,
    values: usize,
    k: &Tensor,
    v: &Tensor,
    kv_head: usize,
    batch: &Batch,
) {
    let (keys, values) = (keys as *mut E, values as *mut E);
    let head_dim = cache.shape.head_dim;
    let columns = kv_head * head_dim..(kv_head + 1) * head_dim;
    for span in &batch.spans {
        for row in span.rows.clone() {
            let position = span.start + (row - span.rows.start);
            let (block, token) = (span.blocks[position / BLOCK_TOKENS], position % BLOCK_TOKENS);
            let keys = keys.add(cache.key_offset(block, kv_head) + token);
            for (d, k) in k.row(row)[columns.clone()].iter().enumerate() {
                *keys.add(d * BLOCK_TOKENS) = E::from_f32(*k);
            }
            let values = values.add(cache.value_offset(block, kv_head) + token * cache.stride);
            for (d, v) in v.row(row)[columns.clone()].iter().enumerate() {
                *values.add(d) = E::from_f32(*v);
            }
        }
    }
}
