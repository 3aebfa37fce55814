//! Attention to the cache of keys and values.
//!
//! Queries go through their blocks in tiles with an online softmax (Milakov and Gimelshein, 2018;
//! FlashAttention, Dao et al., 2022), and finding them through a table of blocks is PagedAttention's
//! (Kwon et al., 2023). The keys of a long text are split, and what the queries accumulate over each
//! split is merged, as in Flash-Decoding (Dao et al., 2023).

use std::ops::Range;

use super::cache::Cache;
use super::kernels::attention::{panel_len, KeyBlock, Queries};
use super::workspace::{Parts, Tensor};
use super::{CpuOps, Pass};
use crate::cache::{blocks_for, BLOCK_TOKENS};
use crate::config::AttentionKind;
use crate::error::{Amount, Hint};
use crate::ops::{BlockTable, LayerSpec};
use crate::{Error, Result};

/// Queries that go through a head's blocks together, so that a block that has come into the
/// first-level cache is used for all of them.
const QUERIES: usize = 24;

/// Blocks in one split of the keys. What queries accumulate over each split is merged in the order of
/// the splits, whoever worked on them: threads can share the cache of a long text, and no result
/// depends on whether they did.
const SPLIT_BLOCKS: usize = 8;

/// With fewer tiles for each thread, every split of a tile becomes a task of its own.
const TILES_PER_THREAD: usize = 4;

/// What one query tile of one head works on.
struct Tile<'a> {
    table: &'a BlockTable,
    /// Rows of the batch.
    rows: Range<usize>,
    /// Position of the first row in its sequence.
    position: usize,
    /// The blocks of the sequence that any of its rows sees.
    blocks: Range<usize>,
    kv_head: usize,
}

impl Tile<'_> {
    /// The splits of the sequence's keys that its blocks lie in. They begin at the same positions for
    /// every tile, and so for every chunk a prompt is cut into.
    fn splits(&self) -> Range<usize> {
        self.blocks.start / SPLIT_BLOCKS..self.blocks.end.div_ceil(SPLIT_BLOCKS)
    }
}

/// One call of [`CpuOps::attend`].
struct Call<'a> {
    ops: &'a CpuOps,
    q: &'a Tensor,
    cache: &'a Cache,
    layer: LayerSpec,
    attention: AttentionKind,
    /// Positions that a query sees at most.
    window: usize,
    pass: &'a Pass<'a>,
    /// Query heads for each key head.
    group: usize,
    /// Rows of a tile.
    per_tile: usize,
    /// Tiles of all heads.
    tiles: usize,
}

impl CpuOps {
    /// Every row attends to what its sequence has in the cache, itself included.
    pub(super) fn attend(
        &self,
        q: &Tensor,
        cache: &Cache,
        layer: LayerSpec,
        pass: &Pass,
    ) -> Result<Tensor> {
        pass.check_rows(q)?;
        pass.check_cache(cache, layer)?;
        let group = group(q, cache)?;
        let per_tile = (QUERIES / group).min(pass.longest).max(1);
        let tiles = pass.spans(layer).map(|(span, _)| span.rows.len().div_ceil(per_tile));
        let tiles = tiles.sum::<usize>() * cache.shape.kv_heads;
        let attention = pass.attention(layer);
        let window = match attention {
            AttentionKind::Full => usize::MAX,
            AttentionKind::Sliding { window } => window,
        };
        let call =
            Call { ops: self, q, cache, layer, attention, window, pass, group, per_tile, tiles };
        let mut out = self.workspace.tensor(q.rows, q.width)?;
        match tiles < TILES_PER_THREAD * self.threads.count() {
            true => call.by_splits(&Parts::new(&mut out))?,
            false => call.by_tiles(&Parts::new(&mut out))?,
        }
        Ok(out)
    }
}

impl Call<'_> {
    /// Late rows look at most: they come first, so that no thread is left with one at the end.
    fn tile(&self, task: usize) -> Option<Tile<'_>> {
        let task = self.tiles - 1 - task;
        let kv_heads = self.cache.shape.kv_heads;
        let (mut tile, kv_head) = (task / kv_heads, task % kv_heads);
        for (span, table) in self.pass.spans(self.layer) {
            let tiles = span.rows.len().div_ceil(self.per_tile);
            if tile < tiles {
                let first = span.rows.start + tile * self.per_tile;
                let rows = first..span.rows.end.min(first + self.per_tile);
                let position = span.start + (first - span.rows.start);
                let first_block = self.attention.first_seen(position) / BLOCK_TOKENS;
                let blocks = first_block..blocks_for(position + rows.len());
                return Some(Tile { table, rows, position, blocks, kv_head });
            }
            tile -= tiles;
        }
        None
    }

    /// Numbers that a tile accumulates over a split: `stride` and two more for each query.
    fn partial_len(&self) -> usize {
        self.per_tile * self.group * (self.cache.stride + 2)
    }

    /// Numbers that a thread needs for the queries of a tile, and behind them for the kernel.
    fn scratch_len(&self) -> usize {
        let panel = panel_len(self.cache.shape.head_dim, self.cache.stride);
        self.packed_len() + panel
    }

    fn packed_len(&self) -> usize {
        self.per_tile * self.group * self.cache.stride
    }

    /// A task is a tile: one thread goes through all it sees.
    fn by_tiles(&self, target: &Parts<f32>) -> Result<()> {
        let (scratch_len, partial_len) = (self.scratch_len(), self.partial_len());
        let len = scratch_len + 2 * partial_len;
        let threads = &self.ops.threads;
        let mut scratch = self.ops.workspace.tensor(threads.count(), len)?;
        let scratch = Parts::new(&mut scratch);
        threads.run(self.tiles, |task, thread| {
            let Some(tile) = self.tile(task) else { return };
            // SAFETY: no other thread has this part.
            let scratch = unsafe { scratch.part(thread * len..(thread + 1) * len) };
            let (scratch, rest) = scratch.split_at_mut(scratch_len);
            let (merged, partial) = rest.split_at_mut(partial_len);
            self.pack(&tile, scratch);
            let mut splits = tile.splits();
            let Some(first) = splits.next() else { return };
            let merged = self.accumulate(&tile, first, scratch, merged);
            for split in splits {
                let partial = self.accumulate(&tile, split, scratch, partial);
                // SAFETY: both are of the same tile.
                unsafe { (self.ops.kernels.merge)(&merged, &partial) };
            }
            self.finish(&tile, &merged, target);
        });
        Ok(())
    }

    /// A task is one split of a tile; when all are done, the splits of each tile are merged.
    fn by_splits(&self, target: &Parts<f32>) -> Result<()> {
        let (scratch_len, partial_len) = (self.scratch_len(), self.partial_len());
        let (tiles, threads) = (self.tiles, &self.ops.threads);
        let splits = (0..tiles).filter_map(|task| Some(self.tile(task)?.splits().len()));
        let splits = splits.max().unwrap_or(0);
        let mut scratch = self.ops.workspace.tensor(threads.count(), scratch_len)?;
        let scratch = Parts::new(&mut scratch);
        let mut partials = self.ops.workspace.tensor(tiles * splits, partial_len)?;
        let partials = Parts::new(&mut partials);
        let place = |task: usize| task * partial_len..(task + 1) * partial_len;
        threads.run(tiles * splits, |task, thread| {
            let Some(tile) = self.tile(task / splits) else { return };
            if let Some(split) = tile.splits().nth(task % splits) {
                // SAFETY: no other thread has this part.
                let scratch =
                    unsafe { scratch.part(thread * scratch_len..(thread + 1) * scratch_len) };
                self.pack(&tile, scratch);
                // SAFETY: no other task has this part.
                let partial = unsafe { partials.part(place(task)) };
                self.accumulate(&tile, split, scratch, partial);
            }
        });
        threads.run(tiles, |task, _| {
            let Some(tile) = self.tile(task) else { return };
            // SAFETY: the splits of a tile are this task's alone now.
            let part = |index| unsafe { partials.part(place(task * splits + index)) };
            let merged = self.queries(&tile, &mut [], part(0));
            for index in 1..tile.splits().len() {
                let partial = self.queries(&tile, &mut [], part(index));
                // SAFETY: both are of the same tile.
                unsafe { (self.ops.kernels.merge)(&merged, &partial) };
            }
            self.finish(&tile, &merged, target);
        });
        Ok(())
    }

    /// Where query `i` of a tile lies: its row of the batch, and in that row its first column.
    /// The `group` heads of a row that share a key head lie side by side.
    fn place(&self, tile: &Tile, i: usize) -> (usize, usize) {
        let head = tile.kv_head * self.group + i % self.group;
        (tile.rows.start + i / self.group, head * self.cache.shape.head_dim)
    }

    /// Lays the queries of a tile together, `stride` apart.
    fn pack(&self, tile: &Tile, packed: &mut [f32]) {
        let head_dim = self.cache.shape.head_dim;
        let count = tile.rows.len() * self.group;
        for (i, packed) in packed.chunks_exact_mut(self.cache.stride).take(count).enumerate() {
            let (row, column) = self.place(tile, i);
            packed[..head_dim].copy_from_slice(&self.q.row(row)[column..column + head_dim]);
        }
    }

    /// The packed queries of a tile as kernels take them, with room for what they accumulate. Without
    /// scratch they can only be merged.
    fn queries(&self, tile: &Tile, scratch: &mut [f32], partial: &mut [f32]) -> Queries {
        let (packed, panel) = scratch.split_at_mut(self.packed_len().min(scratch.len()));
        let count = tile.rows.len() * self.group;
        let (out, rest) = partial.split_at_mut(count * self.cache.stride);
        let (highest, total) = rest.split_at_mut(count);
        Queries {
            count,
            head_dim: self.cache.shape.head_dim,
            stride: self.cache.stride,
            scale: scale(self.cache.shape.head_dim),
            q: packed.as_ptr(),
            out: out.as_mut_ptr(),
            highest: highest.as_mut_ptr(),
            total: total.as_mut_ptr(),
            panel: panel.as_mut_ptr(),
        }
    }

    /// What the packed queries of a tile accumulate over one split of their keys.
    fn accumulate(
        &self,
        tile: &Tile,
        split: usize,
        scratch: &mut [f32],
        partial: &mut [f32],
    ) -> Queries {
        let count = tile.rows.len() * self.group;
        let (out, rest) = partial.split_at_mut(count * self.cache.stride);
        out.fill(0.0);
        rest[..count].fill(f32::NEG_INFINITY);
        rest[count..2 * count].fill(0.0);
        let queries = self.queries(tile, scratch, partial);
        let (attend, layer) = (self.ops.kernels.attend(self.cache.dtype), self.layer.index);
        let blocks = (split * SPLIT_BLOCKS).max(tile.blocks.start)
            ..((split + 1) * SPLIT_BLOCKS).min(tile.blocks.end);
        for index in blocks {
            let next = (index + 1).min(tile.blocks.end - 1);
            let [block, next] = [index, next].map(|index| tile.table.block(index * BLOCK_TOKENS));
            let block = KeyBlock {
                keys: self.cache.keys(layer, block, tile.kv_head),
                values: self.cache.values(layer, block, tile.kv_head),
                next_keys: self.cache.keys(layer, next, tile.kv_head),
                next_values: self.cache.values(layer, next, tile.kv_head),
                first_seen: (tile.position + 1) as isize - (index * BLOCK_TOKENS) as isize,
                window: self.window,
                group: self.group,
            };
            // SAFETY: the pass fits the cache, so the block is inside the storage; the pointers of the
            // queries are of the sizes stated.
            unsafe { attend(&queries, &block) };
        }
        queries
    }

    /// Divides what the queries of a tile accumulated by their totals, and writes it to its place.
    fn finish(&self, tile: &Tile, merged: &Queries, target: &Parts<f32>) {
        let head_dim = self.cache.shape.head_dim;
        for i in 0..merged.count {
            let (row, column) = self.place(tile, i);
            let start = row * self.q.width + column;
            // SAFETY: no other task has these rows of these heads.
            let target = unsafe { target.part(start..start + head_dim) };
            // SAFETY: each query accumulated `head_dim` numbers and a total.
            let (out, total) = unsafe {
                let out = merged.out.add(i * merged.stride);
                (std::slice::from_raw_parts(out, head_dim), *merged.total.add(i))
            };
            target.iter_mut().zip(out).for_each(|(target, out)| *target = out / total);
        }
    }
}

impl CpuOps {
    /// Plain and slow: for looking at.
    pub(super) fn probabilities(
        &self,
        q: &Tensor,
        cache: &Cache,
        layer: LayerSpec,
        pass: &Pass,
    ) -> Result<Vec<f32>> {
        pass.check_rows(q)?;
        pass.check_cache(cache, layer)?;
        let attention = pass.attention(layer);
        let group = group(q, cache)?;
        let Some((span, table)) = pass.spans(layer).next() else { return Ok(Vec::new()) };
        let head_dim = cache.shape.head_dim;
        let (rows, end) = (span.rows.len(), span.end());
        let heads = q.width / head_dim;
        let mut all = Vec::new();
        let len = heads.saturating_mul(rows).saturating_mul(end);
        all.try_reserve_exact(len).map_err(|_| Error::NotEnoughMemory {
            what: "attention probabilities".into(),
            need: Amount::of_f32(len),
            have: None,
            hint: Hint::ShorterText,
        })?;
        all.resize(len, 0.0);
        for (index, p) in all.chunks_exact_mut(end).enumerate() {
            let (head, row) = (index / rows, index % rows);
            let q = &q.row(span.rows.start + row)[head * head_dim..][..head_dim];
            let seen = attention.first_seen(span.start + row)..span.start + row + 1;
            let p = &mut p[seen.clone()];
            for (position, p) in seen.zip(&mut *p) {
                let block = table.block(position);
                let dot = q.iter().enumerate().map(|(d, q)| {
                    let token = position % BLOCK_TOKENS;
                    // SAFETY: the pass fits the cache.
                    q * unsafe { cache.key(layer.index, block, head / group, token, d) }
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
