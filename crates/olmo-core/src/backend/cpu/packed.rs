//! Weights in blocks as the kernels want them, packed once when they are loaded.

use std::sync::Mutex;

use super::kernels::blocks::{group_bytes, pack_group, read_row, GROUP};
use super::threads::Threads;
use super::workspace::{Buffer, Parts};
use crate::dtype::TensorType;
use crate::error::Hint;
use crate::quant::BlockType;
use crate::weights::{read_f32, TensorData};
use crate::Result;

/// A matrix `[outputs, inputs]` in groups of outputs; see [`super::kernels::blocks`].
#[derive(Debug)]
pub struct Packed {
    kind: BlockType,
    inputs: usize,
    buffer: Buffer,
}

/// Bytes that a matrix in blocks takes. Scales lie apart and groups are whole, so it is a little more than
/// in a file.
pub fn packed_bytes(kind: BlockType, outputs: usize, inputs: usize) -> usize {
    group_bytes(kind, inputs).saturating_mul(outputs.div_ceil(GROUP))
}

impl Packed {
    /// Packs a tensor of whole blocks, which is quantised first if it is not in such blocks. One group is
    /// in work on each thread, so hardly more memory is needed than the result takes.
    pub fn new(weight: &TensorData, kind: BlockType, threads: &Threads) -> Result<Packed> {
        let (outputs, inputs) = (weight.shape[0], weight.shape[1]);
        let bytes = group_bytes(kind, inputs);
        let whole = packed_bytes(kind, outputs, inputs);
        let mut buffer = zeroed(weight, whole, TensorType::Block(kind))?;
        // SAFETY: so many bytes were allocated, are zeroed, and nobody else knows them yet.
        let all = unsafe { std::slice::from_raw_parts_mut(buffer.as_mut_ptr(), whole) };
        let all = Parts::new(all);
        each_rows(weight, kind, GROUP, threads, |group, rows| {
            // SAFETY: no other task has this group.
            let group = unsafe { all.part(group * bytes..(group + 1) * bytes) };
            pack_group(kind, rows, inputs, group);
        })?;
        Ok(Packed { kind, inputs, buffer })
    }

    /// The group that an output is the first of; the others follow.
    pub fn group_of(&self, output: usize) -> *const u8 {
        assert!(output.is_multiple_of(GROUP));
        let start = output / GROUP * group_bytes(self.kind, self.inputs);
        assert!(start < self.buffer.bytes());
        self.buffer.as_ptr().wrapping_add(start)
    }

    /// The numbers of one output.
    pub fn read_row(&self, output: usize, out: &mut [f32]) {
        assert_eq!(out.len(), self.inputs);
        let group = self.group_of(output / GROUP * GROUP);
        let bytes = group_bytes(self.kind, self.inputs);
        // SAFETY: the group is inside the buffer, and all of it was written.
        let group = unsafe { std::slice::from_raw_parts(group, bytes) };
        read_row(self.kind, group, output % GROUP, out);
    }
}

/// The rows of a tensor in blocks as files have them.
pub fn quantized(weight: &TensorData, kind: BlockType, threads: &Threads) -> Result<Buffer> {
    let row_bytes = kind.bytes(weight.shape[1]).unwrap_or(0);
    let bytes = weight.shape[0].saturating_mul(row_bytes);
    let mut buffer = zeroed(weight, bytes, TensorType::Block(kind))?;
    // SAFETY: so many bytes were allocated, are zeroed, and nobody else knows them yet.
    let all = unsafe { std::slice::from_raw_parts_mut(buffer.as_mut_ptr(), bytes) };
    let all = Parts::new(all);
    each_rows(weight, kind, GROUP, threads, |task, rows| {
        let start = task * GROUP * row_bytes;
        // SAFETY: no other task has these rows.
        unsafe { all.part(start..start + rows.len()) }.copy_from_slice(rows);
    })?;
    Ok(buffer)
}

/// Memory for a tensor.
pub fn zeroed(weight: &TensorData, bytes: usize, as_type: TensorType) -> Result<Buffer> {
    let what = format!("tensor `{}` in {}", weight.name, as_type.name());
    Buffer::zeroed(bytes, &what, Hint::StoredDType(weight.dtype.name()))
}

/// Calls `body` with each group of rows, in blocks, and the group's index; on all threads.
fn each_rows(
    weight: &TensorData,
    kind: BlockType,
    at_once: usize,
    threads: &Threads,
    body: impl Fn(usize, &[u8]) + Sync,
) -> Result<()> {
    let inputs = weight.shape[1];
    let bytes = kind.bytes(inputs).ok_or_else(|| {
        weight.error(format!("has rows of {inputs}, which are not whole blocks of {}", kind.name()))
    })?;
    let stored = weight.bytes().chunks((at_once * row_bytes(weight)).max(1));
    let stored: Vec<&[u8]> = stored.collect();
    let failed = Mutex::new(None);
    threads.run(stored.len(), |task, _| {
        if weight.dtype == TensorType::Block(kind) {
            return body(task, stored[task]);
        }
        let rows = stored[task].chunks_exact(row_bytes(weight));
        let (mut numbers, mut blocks) = (vec![0.0; inputs], vec![0; rows.len() * bytes]);
        for (stored, blocks) in rows.zip(blocks.chunks_exact_mut(bytes)) {
            read_f32(weight.dtype, stored, &mut numbers);
            if let Err(problem) = kind.quantize(&numbers, None, blocks) {
                *failed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(problem);
            }
        }
        body(task, &blocks);
    });
    match failed.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
        Some(problem) => {
            Err(weight.error(format!("{problem}, so it cannot be stored in {}", kind.name())))
        }
        None => Ok(()),
    }
}

fn row_bytes(weight: &TensorData) -> usize {
    weight.bytes().len() / weight.shape[0].max(1)
}
