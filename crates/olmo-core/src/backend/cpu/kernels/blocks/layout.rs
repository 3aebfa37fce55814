//! Groups of outputs in memory: first the headers of all blocks, then the integers of all blocks.

use super::{Format, GROUP, Q4K, Q4_0, Q5K, Q6K, Q8_0};
use crate::quant::{Block, BlockType};

/// Calls a generic function with the [`Format`] of a [`BlockType`].
macro_rules! with_format {
    ($block_type:expr, $function:ident::<_>($($argument:expr),*)) => {
        match $block_type {
            BlockType::Q8_0 => $function::<Q8_0>($($argument),*),
            BlockType::Q4_0 => $function::<Q4_0>($($argument),*),
            BlockType::Q4K => $function::<Q4K>($($argument),*),
            BlockType::Q5K => $function::<Q5K>($($argument),*),
            BlockType::Q6K => $function::<Q6K>($($argument),*),
        }
    };
}

/// Bytes of a group with all its blocks.
pub fn group_bytes(kind: BlockType, inputs: usize) -> usize {
    with_format!(kind, bytes_of_group::<_>(inputs))
}

/// Packs up to sixteen rows of blocks into a group.
///
/// # Panics
/// If the sizes do not fit.
pub fn pack_group(kind: BlockType, rows: &[u8], inputs: usize, group: &mut [u8]) {
    with_format!(kind, pack::<_>(rows, inputs, group))
}

/// The numbers of one output of a group.
pub fn read_row(kind: BlockType, group: &[u8], output: usize, out: &mut [f32]) {
    with_format!(kind, read::<_>(group, output, out))
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
