//! Activations as integers: `x[i] ≈ scale · q[i]`, block by block.
//!
//! A block is as long as one of the weights it meets. Its scale is its largest magnitude over 127. A
//! block with a NaN or an infinity gets the scale NaN, so that whatever it is multiplied with shows it.

use crate::quant::Block;

/// Blocks this small in all their numbers count as zero: `1 / scale` would overflow.
const TINY: f32 = 1e-30;

/// Adding this rounds a number of moderate size to an integer, half to even, and puts it into the low
/// bits.
const ROUNDING: f32 = 12_582_912.0; // 1.5 · 2²³

/// Rows of activations in blocks, tile after tile. In a tile, its rows take turns: four inputs each, or
/// a block's scale each, or one of a block's sums each.
#[derive(Debug, Clone, Copy)]
pub struct Activations {
    pub q: *const i8,
    pub scales: *const f32,
    /// What kernels need to know of a block beside its integers, see [`sums_per_block`].
    pub sums: *const i32,
}

/// The lengths of blocks there are, each with sums of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockLen {
    /// Sums kept: −8 Σ q and −128 Σ q, which undo that a kernel took weights from 0 to 15, or to 255.
    L32,
    /// Sums kept: eight pairs of 16-bit sums, each sum of 16 inputs; then four pairs of sums of 32.
    /// The first of a pair is the low half.
    L256,
}

impl BlockLen {
    pub const COUNT: usize = 2;

    /// That of the blocks which meet weights in blocks of `len`.
    pub const fn of(len: usize) -> BlockLen {
        match len {
            32 => BlockLen::L32,
            256 => BlockLen::L256,
            _ => panic!("activations come in blocks of 32 and 256"),
        }
    }
}

/// Sums kept of a block of `len`, see [`BlockLen`].
pub const fn sums_per_block(len: usize) -> usize {
    match BlockLen::of(len) {
        BlockLen::L32 => 2,
        BlockLen::L256 => 12,
    }
}

/// Where the parts of `rows` rows start in memory for all of them, and its length; in units of 4 bytes.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    scales: usize,
    sums: usize,
    pub len: usize,
}

impl Layout {
    /// For rows of `inputs` numbers in blocks of `len`.
    pub fn new(rows: usize, inputs: usize, len: usize) -> Layout {
        let scales = (rows * inputs / 4).next_multiple_of(16);
        let sums = scales + (rows * (inputs / len)).next_multiple_of(16);
        Layout { scales, sums, len: sums + rows * (inputs / len) * sums_per_block(len) }
    }

    /// # Safety
    /// `start` points to [`Layout::len`] units.
    pub unsafe fn at(&self, start: *const f32) -> Activations {
        Activations {
            q: start.cast(),
            scales: start.add(self.scales),
            sums: start.add(self.sums).cast(),
        }
    }
}

impl Activations {
    /// The tile that starts at `row` and has `rows`, from a block on.
    ///
    /// # Safety
    /// There are such a row and such a block; rows have `inputs` numbers.
    #[inline(always)]
    pub unsafe fn at<B: Block>(
        &self,
        inputs: usize,
        row: usize,
        rows: usize,
        block: usize,
    ) -> Activations {
        let blocks = row * (inputs / B::LEN) + block * rows;
        Activations {
            q: self.q.add(blocks * B::LEN),
            scales: self.scales.add(blocks),
            sums: self.sums.add(blocks * sums_per_block(B::LEN)),
        }
    }

    /// The same tile, a block further, or behind its last.
    #[inline(always)]
    pub fn next<B: Block>(&self, rows: usize) -> Activations {
        Activations {
            q: self.q.wrapping_add(rows * B::LEN),
            scales: self.scales.wrapping_add(rows),
            sums: self.sums.wrapping_add(rows * sums_per_block(B::LEN)),
        }
    }
}

/// Quantises a row in blocks of `LEN`, 32 or 256, and lays it out as one of `rows` rows in tiles of
/// `tile`.
///
/// # Safety
/// `out` is laid out for the rows; no other thread writes the same row.
#[inline(always)]
pub unsafe fn quantize<const LEN: usize>(
    x: &[f32],
    row: usize,
    rows: usize,
    tile: usize,
    out: &Activations,
) {
    let (first, blocks) = (row / tile * tile, x.len() / LEN);
    let (in_tile, place) = (tile.min(rows - first), row % tile);
    let start = first * blocks;
    for (b, x) in x.as_chunks::<LEN>().0.iter().enumerate() {
        let (scale, q) = quantize_block(x);
        let at = start + b * in_tile;
        // SAFETY: the block is inside the rows' memory, which nobody else writes here.
        out.scales.cast_mut().add(at + place).write(scale);
        let to = out.q.cast_mut().add(at * LEN + 4 * place);
        for (i, quad) in q.as_chunks::<4>().0.iter().enumerate() {
            to.add(4 * in_tile * i).cast::<[i8; 4]>().write_unaligned(*quad);
        }
        let sums = out.sums.cast_mut().add(at * sums_per_block(LEN) + place);
        for (i, sum) in sums_of(&q).into_iter().take(sums_per_block(LEN)).enumerate() {
            sums.add(in_tile * i).write(sum);
        }
    }
}

/// Scale and integers of one block.
#[inline(always)]
pub fn quantize_block<const LEN: usize>(x: &[f32; LEN]) -> (f32, [i8; LEN]) {
    // Of numbers without their sign, the larger has the larger bits; those of NaN and infinity are
    // the largest.
    let largest = x.iter().map(|x| x.abs().to_bits()).fold(0, u32::max);
    let largest = f32::from_bits(largest);
    if !largest.is_finite() {
        return (f32::NAN, [0; LEN]);
    }
    if largest < TINY {
        return (0.0, [0; LEN]);
    }
    let inverse = 127.0 / largest;
    (largest / 127.0, x.map(|x| (x * inverse + ROUNDING).to_bits() as i8))
}

/// The sums of a block that [`sums_per_block`] tells of.
#[inline(always)]
fn sums_of<const LEN: usize>(q: &[i8; LEN]) -> [i32; 12] {
    let mut sums = [0; 12];
    let sum = |q: &[i8]| q.iter().map(|&q| i32::from(q)).sum::<i32>();
    let pair = |a: i32, b: i32| (a & 0xffff) | (b << 16);
    if LEN == 32 {
        let all = sum(q);
        (sums[0], sums[1]) = (-8 * all, -128 * all);
    } else {
        let mut of = [0; 16];
        for (of, q) in of.iter_mut().zip(q.as_chunks::<16>().0) {
            *of = sum(q);
        }
        for p in 0..8 {
            sums[p] = pair(of[2 * p], of[2 * p + 1]);
        }
        for p in 0..4 {
            sums[8 + p] = pair(of[4 * p] + of[4 * p + 1], of[4 * p + 2] + of[4 * p + 3]);
        }
    }
    sums
}
