//! What the kernels need of a batch, brought to the device once.

use super::buffers::Pooled;
use super::gpu::Gpu;
use super::kernels::{ATTENTION_TILE, MOST_ROWS, MOST_TILE_HEAD_DIM};
use super::slice::{Role, Slice, ALIGN_WORDS};
use crate::cache::BLOCK_TOKENS;
use crate::ops::{Batch, LayerKind};
use crate::{Error, Result};

/// A batch on the device: all of it in one buffer, so that it goes there at once.
pub struct Pass {
    buffer: Pooled,
    pub(super) rows: usize,
    pub(super) ids: Section,
    pub(super) outputs: usize,
    pub(super) chosen: Section,
    /// Whether every row is an output.
    pub(super) chooses_all: bool,
    pub(super) kinds: Vec<KindPass>,
}

/// A part of a pass's buffer, in words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section {
    first: usize,
    words: usize,
}

/// Rows or tiles that one kernel is for.
pub(super) struct Group {
    pub list: Section,
    pub count: usize,
    /// Keys that one sees: of the one that sees most, and of all together.
    pub most_keys: usize,
    pub all_keys: usize,
}

/// What the layers of one kind of attention share.
pub(super) struct KindPass {
    pub half_dim: usize,
    /// `Row` of `shaders/row.wgsl` for each row; then angles.
    pub places: Section,
    /// The word in it at which cosines `[rows, half_dim]` begin; sines follow.
    pub angles: usize,
    /// The blocks of all sequences, one after the other.
    pub blocks: Section,
    /// Blocks that a cache must have for all of them to be inside.
    pub most_blocks: usize,
    /// The rows of short spans, each of which attends for itself.
    pub few: Group,
    /// Consecutive rows of long spans, which attend together: where they begin and how many they are.
    pub tiles: Group,
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
        let mut words = Vec::new();
        let chosen: Vec<u32> = batch.outputs.iter().map(|&row| row as u32).collect();
        let ids = Section::push(&mut words, &batch.tokens);
        let chosen_section = Section::push(&mut words, &chosen);
        let kind = |(index, kind)| KindPass::new(&mut words, batch, index, kind);
        let kinds = kinds.iter().enumerate().map(kind).collect();
        Ok(Pass {
            rows: batch.rows(),
            ids,
            outputs: chosen.len(),
            chosen: chosen_section,
            chooses_all: chosen.iter().copied().eq(0..batch.rows() as u32),
            kinds,
            buffer: gpu.upload(&words)?,
        })
    }

    pub(super) fn slice(&self, section: Section) -> Slice {
        Slice::new(self.buffer.buffer(), section.first, section.words, Role::Batch)
    }
}

impl Group {
    /// Appends the words and keys of each.
    fn push(words: &mut Vec<u32>, members: &[(Vec<usize>, usize)]) -> Group {
        let list: Vec<u32> =
            members.iter().flat_map(|(list, _)| list.iter().map(|&word| word as u32)).collect();
        let keys = members.iter().map(|&(_, keys)| keys);
        Group {
            list: Section::push(words, &list),
            count: members.len(),
            most_keys: keys.clone().max().unwrap_or(0),
            all_keys: keys.sum(),
        }
    }
}

impl Section {
    /// Appends words where a kernel can begin to read.
    fn push(all: &mut Vec<u32>, words: &[u32]) -> Section {
        let first = all.len();
        all.extend_from_slice(words);
        all.resize(all.len().max(first + 1).next_multiple_of(ALIGN_WORDS), 0);
        // Whole, so that a growing text seldom changes it.
        Section { first, words: all.len() - first }
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
    fn new(words: &mut Vec<u32>, batch: &Batch, index: usize, kind: &LayerKind) -> KindPass {
        let (mut places, mut blocks, mut seen) = (Vec::new(), Vec::new(), Seen::default());
        let (mut few, mut tiles) = (Vec::new(), Vec::new());
        let is_small = 2 * kind.rope.half_dim <= MOST_TILE_HEAD_DIM;
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
                places.extend(row.map(|number| number as u32));
            }
            let tile = if is_small && span.rows.len() > MOST_ROWS { ATTENTION_TILE } else { 1 };
            for row in span.rows.clone().step_by(tile) {
                let count = tile.min(span.rows.end - row);
                let position = span.start + row - span.rows.start;
                let keys = position + count - kind.attention.first_seen(position);
                match tile {
                    1 => few.push((vec![row], keys)),
                    _ => tiles.push((vec![row, count], keys)),
                }
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
        let at = places.len();
        places.extend(angles(batch, kind));
        KindPass {
            half_dim: kind.rope.half_dim,
            places: Section::push(words, &places),
            angles: at,
            most_blocks: blocks.iter().max().map_or(0, |&block| block as usize + 1),
            blocks: Section::push(words, &blocks),
            few: Group::push(words, &few),
            tiles: Group::push(words, &tiles),
            seen,
        }
    }
}

/// Cosines of all rows, then sines, as the words of the device.
fn angles<'a>(batch: &'a Batch, kind: &'a LayerKind) -> impl Iterator<Item = u32> + 'a {
    let of_row = |&position: &u32| kind.rope.at(position as usize);
    let cosines = batch.positions.iter().flat_map(move |row| of_row(row).0);
    let sines = batch.positions.iter().flat_map(move |row| of_row(row).1);
    cosines.chain(sines).map(|angle| angle.to_bits())
}
