//! Groups of outputs in memory: first the headers of all blocks, then the integers of all blocks.

use super::{Format, GROUP};
use crate::quant::{formats, Block, BlockType};

/// The functions below, compiled for a format.
struct Layout {
    group_bytes: fn(usize) -> usize,
    pack: fn(&[u8], usize, &mut [u8]),
    read: fn(&[u8], usize, &mut [f32]),
}

impl Layout {
    const fn of<F: Format>() -> Layout {
        Layout { group_bytes: bytes_of_group::<F>, pack: pack::<F>, read: read::<F> }
    }
}

macro_rules! layouts {
    ($($format:ident: $file:ident::$block:ident, mix $scheme:ident $about:tt;)*) => {
        [$(Layout::of::<super::$format>()),*]
    };
}

/// In the order of [`BlockType::ALL`].
const LAYOUTS: [Layout; BlockType::ALL.len()] = formats!(layouts);

/// Bytes of a group with all its blocks.
pub fn group_bytes(kind: BlockType, inputs: usize) -> usize {
    (LAYOUTS[kind as usize].group_bytes)(inputs)
}

/// Packs up to sixteen rows of blocks into a group.
///
/// # Panics
/// If the sizes do not fit.
pub fn pack_group(kind: BlockType, rows: &[u8], inputs: usize, group: &mut [u8]) {
    (LAYOUTS[kind as usize].pack)(rows, inputs, group)
}

/// The numbers of one output of a group.
pub fn read_row(kind: BlockType, group: &[u8], output: usize, out: &mut [f32]) {
    (LAYOUTS[kind as usize].read)(group, output, out)
}

/// Bytes of the headers, in whole cache lines.
pub(super) fn bytes_of_headers<F: Format>(inputs: usize) -> usize {
    (inputs / F::Block::LEN * F::HEADER).next_multiple_of(64)
}

pub(super) fn bytes_of_group<F: Format>(inputs: usize) -> usize {
    bytes_of_headers::<F>(inputs) + inputs / F::Block::LEN * F::INTEGERS
}

fn pack<F: Format>(rows: &[u8], inputs: usize, group: &mut [u8]) {
    let (blocks, bytes) = (inputs / F::Block::LEN, size_of::<F::Block>());
    assert!(rows.len() <= GROUP * blocks * bytes && group.len() == bytes_of_group::<F>(inputs));
    if rows.len() < GROUP * blocks * bytes {
        group.fill(0);
    }
    let (headers, integers) = group.split_at_mut(bytes_of_headers::<F>(inputs));
    let parts = headers.chunks_exact_mut(F::HEADER).zip(integers.chunks_exact_mut(F::INTEGERS));
    let mut of_block = Vec::with_capacity(GROUP);
    for (block, (header, integers)) in parts.enumerate() {
        of_block.clear();
        of_block.extend(rows.chunks_exact(blocks * bytes).map(|row| {
            let stored = &row[block * bytes..][..bytes];
            // SAFETY: as many bytes as a block has, whose fields are integers and take any bits.
            unsafe { stored.as_ptr().cast::<F::Block>().read_unaligned() }
        }));
        F::pack(&of_block, header, integers);
    }
}

fn read<F: Format>(group: &[u8], output: usize, out: &mut [f32]) {
    let (headers, integers) = group.split_at(bytes_of_headers::<F>(out.len()));
    let parts = headers.chunks_exact(F::HEADER).zip(integers.chunks_exact(F::INTEGERS));
    for (out, (header, integers)) in out.chunks_exact_mut(F::Block::LEN).zip(parts) {
        F::read(header, integers, output, out);
    }
}
