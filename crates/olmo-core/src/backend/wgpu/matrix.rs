//! Weights as the kernels read them: integers of a row in their order, wide loads, scales behind them.
//!
//! `shaders/weights/` has one file a type that says how a row lies in words; [`Layout`] is the same for the host.

use std::sync::Arc;

use half::{bf16, f16};
use rayon::prelude::*;

use super::gpu::Gpu;
use super::slice::{Role, Slice};
use crate::dtype::{DType, TensorType};
use crate::quant::BlockType;
use crate::weights::{read_f32, TensorData};
use crate::{Error, Result};

/// Weights that a kernel reads at a time.
pub(super) const UNIT: usize = 8;

/// A matrix `[outputs, inputs]`.
#[derive(Clone)]
pub struct Matrix {
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    pub(super) layout: Layout,
    pub(super) parts: Arc<[Part]>,
}

/// Consecutive outputs, as many as a kernel can see in one buffer.
pub(super) struct Part {
    pub first: usize,
    pub outputs: usize,
    pub buffer: wgpu::Buffer,
    /// The word at which they begin.
    pub word: usize,
}

/// How a row of weights lies in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub kind: TensorType,
    /// Units of a row.
    pub units: usize,
    pub row_words: usize,
}

impl Layout {
    pub fn new(kind: TensorType, inputs: usize) -> Layout {
        let units = inputs.div_ceil(UNIT);
        let row_words = match kind {
            TensorType::Float(DType::F32) => 8 * units,
            TensorType::Float(_) => 4 * units,
            TensorType::Block(BlockType::Q8_0) => 2 * units + units.div_ceil(8),
            TensorType::Block(BlockType::Q4_0) => units + units.div_ceil(8),
            TensorType::Block(BlockType::Q5_0) => units + units / 4 + units.div_ceil(8),
            TensorType::Block(BlockType::Q4K) => units + units / 32 * 4,
            TensorType::Block(BlockType::Q5K) => units + units / 4 + units / 32 * 4,
            TensorType::Block(BlockType::Q6K) => units + units / 2 + units / 32 * 5,
        };
        // Rows begin where sixteen bytes can be loaded at a time.
        Layout { kind, units, row_words: row_words.next_multiple_of(4) }
    }
}

impl Matrix {
    /// Brings a weight to the device in this type, which it is converted to if it is stored in another.
    pub(super) fn new(gpu: &Gpu, weight: &TensorData, kind: TensorType) -> Result<Matrix> {
        let (outputs, inputs, layout) = checked(weight, kind)?;
        let at_once = (gpu.most_bytes() / 4 / layout.row_words.max(1)).max(1);
        let part = |first: usize| {
            let outputs = at_once.min(outputs - first);
            let words = packed(weight, layout, first..first + outputs)?;
            let buffer = gpu.upload_to_stay(&words, &format!("tensor `{}`", weight.name))?;
            Ok(Part { first, outputs, buffer, word: 0 })
        };
        let parts = (0..outputs).step_by(at_once).map(part).collect::<Result<_>>()?;
        weight.release();
        Ok(Matrix { outputs, inputs, layout, parts })
    }

    /// Brings rows of so many numbers to the device in this type.
    pub(super) fn of_numbers(
        gpu: &Gpu,
        kind: TensorType,
        numbers: &[f32],
        inputs: usize,
    ) -> Result<Matrix> {
        let (outputs, layout) = (numbers.len() / inputs, Layout::new(kind, inputs));
        let mut words = vec![0; outputs * layout.row_words];
        let rows = words.chunks_exact_mut(layout.row_words).zip(numbers.chunks_exact(inputs));
        for (words, row) in rows {
            pack_numbers(layout, row, words).map_err(Error::Internal)?;
        }
        let buffer = gpu.upload_to_stay(&words, "weights to try")?;
        let part = Part { first: 0, outputs, buffer, word: 0 };
        Ok(Matrix { outputs, inputs, layout, parts: Arc::new([part]) })
    }

    /// Brings weights that share their input to the device: in one buffer if a kernel can see all of it, so that it
    /// can multiply them together.
    pub(super) fn together(
        gpu: &Gpu,
        weights: &[&TensorData],
        kind: impl Fn(&TensorData) -> TensorType,
    ) -> Result<Vec<Matrix>> {
        let shapes = weights.iter().map(|weight| checked(weight, kind(weight)));
        let shapes = shapes.collect::<Result<Vec<_>>>()?;
        let words = shapes.iter().map(|(outputs, _, layout)| outputs * layout.row_words);
        let words = words.fold(0, usize::saturating_add);
        if words > gpu.most_bytes() / 4 {
            let each = weights.iter().map(|weight| Matrix::new(gpu, weight, kind(weight)));
            return each.collect();
        }
        let names: Vec<&str> = weights.iter().map(|weight| weight.name.as_str()).collect();
        let buffer = gpu.buffer(words, &format!("tensors `{}`", names.join("`, `")))?;
        let mut word = 0;
        let bring = |(weight, (outputs, inputs, layout)): (&&TensorData, (_, _, Layout))| {
            let words = packed(weight, layout, 0..outputs)?;
            gpu.write(&buffer, 4 * word, &words)?;
            weight.release();
            let part = Part { first: 0, outputs, buffer: buffer.clone(), word };
            word += words.len();
            Ok(Matrix { outputs, inputs, layout, parts: Arc::new([part]) })
        };
        weights.iter().zip(shapes).map(bring).collect()
    }
}

impl Part {
    /// The words of a part of a matrix.
    pub(super) fn words(&self, layout: Layout) -> usize {
        self.outputs * layout.row_words
    }

    /// Its buffer, of which a kernel reads this part.
    pub(super) fn slice(&self, layout: Layout) -> Slice {
        Slice::whole(&self.buffer, Role::Weights).moving(self.words(layout))
    }
}

/// Outputs, inputs and layout of a weight that can be brought to the device in this type.
fn checked(weight: &TensorData, kind: TensorType) -> Result<(usize, usize, Layout)> {
    let [outputs, inputs] = weight.shape[..] else {
        let problem = format!("has shape {:?}, but a matrix is needed", weight.shape);
        return Err(weight.error(problem));
    };
    let bytes = weight.bytes().len();
    if weight.dtype.bytes(inputs).and_then(|row| row.checked_mul(outputs)) != Some(bytes) {
        return Err(weight.error(format!("has {bytes} bytes for {outputs} × {inputs}")));
    }
    if kind.bytes(inputs).is_none() {
        let problem = "has rows of";
        let of = kind.name();
        return Err(weight.error(format!("{problem} {inputs}, which are not whole blocks of {of}")));
    }
    Ok((outputs, inputs, Layout::new(kind, inputs)))
}

/// Some rows of a weight in their layout.
fn packed(weight: &TensorData, layout: Layout, rows: std::ops::Range<usize>) -> Result<Vec<u32>> {
    let mut words = vec![0; rows.len() * layout.row_words];
    let stored_row = weight.bytes().len() / weight.shape[0].max(1);
    let stored = weight.bytes()[rows.start * stored_row..rows.end * stored_row]
        .par_chunks(stored_row.max(1));
    let pack = |(words, stored): (&mut [u32], &[u8])| pack_row(weight, layout, stored, words);
    words.par_chunks_mut(layout.row_words.max(1)).zip(stored).try_for_each(pack)?;
    Ok(words)
}

fn pack_row(weight: &TensorData, layout: Layout, stored: &[u8], words: &mut [u32]) -> Result<()> {
    match layout.kind {
        TensorType::Block(kind) if weight.dtype == layout.kind => {
            pack_blocks(kind, layout.units, stored, words);
            Ok(())
        }
        _ => {
            let mut row = vec![0.0; weight.shape[1]];
            read_f32(weight.dtype, stored, &mut row);
            pack_numbers(layout, &row, words).map_err(|problem| weight.error(problem))
        }
    }
}

/// Fails with the problem if they cannot be stored in this type.
fn pack_numbers(layout: Layout, row: &[f32], words: &mut [u32]) -> std::result::Result<(), String> {
    match layout.kind {
        TensorType::Float(dtype) => pack_floats(dtype, row, words),
        TensorType::Block(kind) => {
            let mut blocks = vec![0; kind.bytes(row.len()).unwrap_or(0)];
            kind.quantize(row, None, &mut blocks).map_err(|problem| {
                format!("{problem}, so it cannot be stored in {}", kind.name())
            })?;
            pack_blocks(kind, layout.units, &blocks, words);
        }
    }
    Ok(())
}

fn pack_floats(dtype: DType, row: &[f32], words: &mut [u32]) {
    match dtype {
        DType::F32 => words.iter_mut().zip(row).for_each(|(word, x)| *word = x.to_bits()),
        DType::F16 => pack_pairs(row, words, |x| f16::from_f32(x).to_bits()),
        DType::BF16 => pack_pairs(row, words, |x| bf16::from_f32(x).to_bits()),
    }
}

fn pack_pairs(row: &[f32], words: &mut [u32], bits: impl Fn(f32) -> u16) {
    for (word, pair) in words.iter_mut().zip(row.chunks(2)) {
        let half = |i: usize| pair.get(i).map_or(0, |&x| u32::from(bits(x)));
        *word = half(0) | half(1) << 16;
    }
}

/// Puts the low bits of integers first, then what is beyond four bits, then scales.
fn pack_blocks(kind: BlockType, units: usize, blocks: &[u8], words: &mut [u32]) {
    let low_bits = if kind == BlockType::Q8_0 { 8 } else { 4 };
    let high_bits = match kind {
        BlockType::Q8_0 | BlockType::Q4_0 | BlockType::Q4K => 0,
        BlockType::Q5_0 | BlockType::Q5K => 1,
        BlockType::Q6K => 2,
    };
    let (low, rest) = words.split_at_mut(units * low_bits / 4);
    let (high, scales) = rest.split_at_mut(units * high_bits / 4);
    for (index, block) in blocks.chunks_exact(kind.block_bytes()).enumerate() {
        for i in 0..kind.block_len() {
            let (q, place) = (integer(kind, block, i), index * kind.block_len() + i);
            put(low, low_bits, place, q & ((1 << low_bits) - 1));
            if high_bits > 0 {
                put(high, high_bits, place, q >> low_bits);
            }
        }
        pack_scales(kind, index, block, scales);
    }
}

/// Sets number `place` of those that have so many bits each.
fn put(words: &mut [u32], bits: usize, place: usize, value: u32) {
    words[place * bits / 32] |= value << (place * bits % 32);
}

/// Integer `i` of a block as it is stored, without a sign.
fn integer(kind: BlockType, block: &[u8], i: usize) -> u32 {
    let nibble = |at: usize, upper: bool| u32::from(block[at] >> (4 * u8::from(upper)) & 15);
    let bit = |at: usize, bit: usize| u32::from(block[at] >> bit & 1);
    match kind {
        BlockType::Q8_0 => u32::from(block[2 + i]),
        BlockType::Q4_0 => nibble(2 + i % 16, i >= 16),
        BlockType::Q5_0 => nibble(6 + i % 16, i >= 16) | bit(2 + i / 8, i % 8) << 4,
        BlockType::Q4K => nibble(16 + i / 64 * 32 + i % 32, i / 32 % 2 == 1),
        BlockType::Q5K => {
            nibble(48 + i / 64 * 32 + i % 32, i / 32 % 2 == 1) | bit(16 + i % 32, i / 32) << 4
        }
        BlockType::Q6K => {
            let (half, k, l) = (i / 128, i % 128 / 32, i % 32);
            let high = u32::from(block[128 + 32 * half + l] >> (2 * k) & 3);
            nibble(64 * half + 32 * (k % 2) + l, k >= 2) | high << 4
        }
    }
}

fn pack_scales(kind: BlockType, index: usize, block: &[u8], scales: &mut [u32]) {
    let word = |at: usize| u32::from_le_bytes(block[at..at + 4].try_into().expect("four bytes"));
    let half = |at: usize| u32::from(u16::from_le_bytes([block[at], block[at + 1]]));
    match kind {
        BlockType::Q8_0 | BlockType::Q4_0 | BlockType::Q5_0 => put(scales, 16, index, half(0)),
        BlockType::Q4K | BlockType::Q5K => {
            (0..4).for_each(|i| scales[4 * index + i] = word(4 * i));
        }
        BlockType::Q6K => {
            (0..4).for_each(|i| scales[5 * index + i] = word(192 + 4 * i));
            scales[5 * index + 4] = half(208);
        }
    }
}
