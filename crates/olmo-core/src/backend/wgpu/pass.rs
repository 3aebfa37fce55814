//! What the kernels need of a batch, brought to the device once.

use super::buffers::Pooled;
use super::gpu::Gpu;
use crate::cache::BLOCK_TOKENS;
use crate::ops::{Batch, LayerKind};
use crate::{Error, Result};

/// A batch on the device.
pub struct Pass {
    pub(super) rows: usize,
    pub(super) ids: Pooled,
    pub(super) outputs: usize,
    pub(super) chosen: Pooled,
    pub(super) kinds: Vec<KindPass>,
}

/// What the layers of one kind of attention share.
pub(super) struct KindPass {
    pub half_dim: usize,
    /// Cosines `[rows, half_dim]`, then sines.
    pub angles: Pooled,
    /// `Row` of `shaders/store.wgsl` for each row.
    pub rows: Pooled,
    /// The blocks of all sequences, one after the other.
    pub blocks: Pooled,
    /// Blocks that a cache must have for all of them to be inside.
    pub most_blocks: usize,
    /// The positions that the first span sees, and the cache's row of each.
    pub seen: Seen,
}

#[derive(Default)]
pub(super) struct Seen {
    pub first: usize,
    pub slots: Vec<usize>,
    /// Where the span starts.
    pub start: usize,
    /// The first position that each of its rows sees.
    pub first_of_row: Vec<usize>,
}

impl Pass {
    pub(super) fn new(gpu: &Gpu, batch: &Batch, kinds: &[LayerKind]) -> Result<Pass> {
        check(batch, kinds)?;
        let kind = |(index, kind): (usize, &LayerKind)| KindPass::new(gpu, batch, index, kind);
        let chosen: Vec<u32> = batch.outputs.iter().map(|&row| row as u32).collect();
        Ok(Pass {
            rows: batch.rows(),
            ids: gpu.upload(&batch.tokens)?,
            outputs: chosen.len(),
            chosen: gpu.upload(&chosen)?,
            kinds: kinds.iter().enumerate().map(kind).collect::<Result<_>>()?,
        })
    }
}

/// Kernels read where a batch says, so it has to agree with itself.
fn check(batch: &Batch, kinds: &[LayerKind]) -> Result<()> {
    let mut rows = 0;
    for span in &batch.spans {
        let covers = |(index, kind): (usize, &LayerKind)| {
            let seen = kind.attention.first_seen(span.start)..span.end();
            span.tables.get(index).is_some_and(|table| table.covers(seen))
        };
        if span.rows.start != rows || span.rows.end < rows || !kinds.iter().enumerate().all(covers)
        {
            let problem = format!("{span:?} does not fit the batch or its blocks");
            return Err(Error::Internal(problem));
        }
        rows = span.rows.end;
    }
    let angles = kinds.iter().map(|kind| kind.rope.positions()).min().unwrap_or(usize::MAX);
    let agrees = [batch.rows(), batch.positions.len()] == [rows, rows]
        && batch.positions.iter().all(|&position| (position as usize) < angles)
        && batch.outputs.iter().all(|&output| output < rows);
    match agrees {
        true => Ok(()),
        false => Err(Error::Internal("the rows of a batch do not agree".into())),
    }
}

impl KindPass {
    fn new(gpu: &Gpu, batch: &Batch, index: usize, kind: &LayerKind) -> Result<KindPass> {
        let (mut rows, mut blocks, mut seen) = (Vec::new(), Vec::new(), Seen::default());
        for span in &batch.spans {
            let table = &span.tables[index];
            let at = blocks.len();
            blocks.extend_from_slice(&table.blocks);
            let slot = |position: usize| {
                table.block(position) as usize * BLOCK_TOKENS + position % BLOCK_TOKENS
            };
            for position in span.start..span.end() {
                let first_seen = kind.attention.first_seen(position);
                let row = [slot(position), at, table.first, first_seen, position];
                rows.extend(row.map(|number| number as u32));
            }
            if span.rows.start == 0 {
                let first = kind.attention.first_seen(span.start);
                let first_of_row =
                    (span.start..span.end()).map(|row| kind.attention.first_seen(row));
                seen = Seen {
                    first,
                    slots: (first..span.end()).map(slot).collect(),
                    start: span.start,
                    first_of_row: first_of_row.collect(),
                };
            }
        }
        Ok(KindPass {
            half_dim: kind.rope.half_dim,
            angles: gpu.upload(&angles(batch, kind))?,
            rows: gpu.upload(&rows)?,
            most_blocks: blocks.iter().max().map_or(0, |&block| block as usize + 1),
            blocks: gpu.upload(&blocks)?,
            seen,
        })
    }
}

/// Cosines of all rows, then sines, as the words of the device.
fn angles(batch: &Batch, kind: &LayerKind) -> Vec<u32> {
    let of_row = |&position: &u32| kind.rope.at(position as usize);
    let cosines = batch.positions.iter().flat_map(|row| of_row(row).0);
    let sines = batch.positions.iter().flat_map(|row| of_row(row).1);
    cosines.chain(sines).map(|angle| angle.to_bits()).collect()
}
