//! `y = x · wᵀ`: the product every projection is.
//!
//! The order in which a dot product is summed is fixed, because a row's result must not depend on
//! what else is in the batch:
//!
//! ```text
//! total = 0
//! for each chunk of CHUNK inputs:
//!     lanes = [0; 16]
//!     for i in chunk: lanes[i % 16] = fma(x[i], w[i], lanes[i % 16])
//!     total += sum(lanes)                 # lanes beyond the end count as x = w = 0
//! ```
//!
//! The lanes lie along the inputs, so weights are read as they are stored, and the same tile of
//! rows × outputs serves one row at the speed of memory and many rows at the speed of the
//! multipliers. Few rows read weights in their own dtype and widen them in registers. For many rows
//! a panel of weights is widened once and used by all.

// Loops over the registers of a tile: their bounds are constants, and all of them unroll.
#![allow(clippy::needless_range_loop)]

use super::lanes::{Element, Lanes, LANES};

/// Inputs between two reductions: long enough that these are rare, short enough that a tile's rows
/// and weights (six rows and four outputs: 40 KB) stay in the first-level cache.
pub const CHUNK: usize = 1024;

/// Outputs in a panel: 256 KB, half of the smallest second-level cache in use.
pub const PANEL_OUTPUTS: usize = 64;

/// Numbers in a cache line.
const LINE: usize = 16;

/// A block of consecutive outputs of all rows: what one task computes.
pub struct Product {
    /// [`pack`]ed activations.
    pub x: *const f32,
    pub rows: usize,
    pub inputs: usize,
    /// The weights of the block's first output; the others follow.
    pub w: *const u8,
    pub outputs: usize,
    /// Where the first row's first output goes.
    pub y: *mut f32,
    pub y_stride: usize,
    /// Room for [`PANEL_OUTPUTS`] · [`CHUNK`].
    pub panel: *mut f32,
}

/// Length of the packed form of `rows` rows.
pub fn packed_len(rows: usize, inputs: usize) -> usize {
    rows * inputs.div_ceil(CHUNK) * CHUNK
}

/// Lays one row out for [`matmul`] with tiles of `tile` rows: chunk after chunk, in a chunk tile after
/// tile, in a tile the lanes of its rows in turn, with zeros behind the last input. A tile is then
/// one stream, where rows a power of two apart would fight for the same places in the cache. One row
/// of whole lanes stays as it is.
///
/// # Safety
/// `packed` has room for [`packed_len`]; no other thread packs the same row.
pub unsafe fn pack(x: &[f32], row: usize, rows: usize, tile: usize, packed: *mut f32) {
    let first = row / tile * tile;
    let in_tile = tile.min(rows - first);
    for (c, chunk) in x.chunks(CHUNK).enumerate() {
        let mut to = packed.add((c * rows + first) * CHUNK + (row - first) * LANES);
        for lanes in chunk.chunks(LANES) {
            let mut padded = [0.0; LANES];
            padded[..lanes.len()].copy_from_slice(lanes);
            to.cast::<[f32; LANES]>().write_unaligned(padded);
            to = to.add(in_tile * LANES);
        }
    }
}

/// Computes a block with tiles of at most `M` × `N`.
///
/// # Safety
/// As for [`Lanes`]; `product`'s pointers are valid for the sizes it states, and nobody else touches
/// its part of `y` or its panel.
#[inline(always)]
pub unsafe fn matmul<L: Lanes, E: Element, const M: usize, const N: usize>(product: &Product) {
    if product.rows == 0 {
        // Nothing to do: a batch of which nobody wants logits.
    } else if product.rows <= M {
        few_rows::<L, E, M, N>(product);
    } else {
        many_rows::<L, E, M, N>(product);
    }
}

/// Each weight is used once, straight from where it is stored.
#[inline(always)]
unsafe fn few_rows<L: Lanes, E: Element, const M: usize, const N: usize>(product: &Product) {
    let &Product { x, rows, inputs, w, outputs, y, y_stride, .. } = product;
    let w = w.cast::<E>();
    let whole = outputs / N * N;
    for output in 0..whole / N {
        let output = output * N;
        for start in (0..inputs).step_by(CHUNK) {
            let tile = Tile {
                x: x.add(start * rows),
                w: w.add(output * inputs + start),
                w_stride: inputs,
                w_step: 1,
                len: CHUNK.min(inputs - start),
                y: y.add(output),
                y_stride,
                outputs: N,
                first: start == 0,
            };
            tile.compute_rows::<L, M, N, true>(rows);
        }
    }
    for output in whole..outputs {
        for start in (0..inputs).step_by(CHUNK) {
            let tile = Tile {
                x: x.add(start * rows),
                w: w.add(output * inputs + start),
                w_stride: inputs,
                w_step: 1,
                len: CHUNK.min(inputs - start),
                y: y.add(output),
                y_stride,
                outputs: 1,
                first: start == 0,
            };
            tile.compute_rows::<L, M, 1, true>(rows);
        }
    }
}

/// Weights are widened into the panel, chunk by chunk, and used by all rows.
#[inline(always)]
unsafe fn many_rows<L: Lanes, E: Element, const M: usize, const N: usize>(product: &Product) {
    let &Product { x, rows, inputs, w, outputs, y, y_stride, panel } = product;
    let w = w.cast::<E>();
    for start in (0..inputs).step_by(CHUNK) {
        let len = CHUNK.min(inputs - start);
        for output in 0..outputs {
            let place = panel.add(output / N * N * CHUNK + output % N * LANES);
            widen::<L, E, N>(w.add(output * inputs + start), len, place);
        }
        for row in (0..rows).step_by(M) {
            // While this tile's rows are in use, the next tile's come nearer, a piece for each
            // group of outputs: from the third-level cache they would take as long as the sums.
            let tile_rows = M.min(rows - row);
            let mut soon = x.wrapping_add(start * rows + (row + tile_rows) * CHUNK);
            let piece = (tile_rows * CHUNK).div_ceil(outputs.div_ceil(N));
            for output in (0..outputs).step_by(N) {
                for i in (0..piece).step_by(LINE) {
                    L::prefetch(soon.wrapping_add(i));
                }
                soon = soon.wrapping_add(piece);
                // Behind the last output the panel holds older weights: their sums are not stored.
                let tile = Tile {
                    x: x.add(start * rows + row * CHUNK),
                    w: panel.add(output * CHUNK).cast_const(),
                    w_stride: LANES,
                    w_step: N,
                    len: len.next_multiple_of(LANES),
                    y: y.add(row * y_stride + output),
                    y_stride,
                    outputs: N.min(outputs - output),
                    first: start == 0,
                };
                tile.compute_rows::<L, M, N, false>(tile_rows);
            }
        }
    }
}

/// Copies `len` weights of one output as f32, with zeros up to whole lanes. In a panel the lanes of
/// `N` outputs take turns, so that a tile reads one stream.
#[inline(always)]
unsafe fn widen<L: Lanes, E: Element, const N: usize>(w: *const E, len: usize, panel: *mut f32) {
    let whole = len / LANES * LANES;
    for i in (0..whole).step_by(LANES) {
        E::load::<L>(w.add(i)).store(panel.add(i * N));
    }
    if whole < len {
        E::load_first::<L>(w.add(whole), len - whole).store(panel.add(whole * N));
    }
}

/// Some rows × some outputs over one chunk.
struct Tile<E> {
    x: *const f32,
    w: *const E,
    /// Between two outputs, and between two inputs.
    w_stride: usize,
    w_step: usize,
    len: usize,
    y: *mut f32,
    y_stride: usize,
    /// How many of the tile's outputs are stored.
    outputs: usize,
    /// Whether this is the first chunk, which starts the totals.
    first: bool,
}

impl<E: Element> Tile<E> {
    /// `rows` is at most `M`, and `M` at most 6. `STREAM` says that the weights come from memory, and
    /// asks for those of the next tile's outputs.
    #[inline(always)]
    unsafe fn compute_rows<L: Lanes, const M: usize, const N: usize, const STREAM: bool>(
        &self,
        rows: usize,
    ) {
        macro_rules! dispatch {
            ($($rows:literal)*) => {
                match rows {
                    $($rows if $rows <= M => self.compute::<L, $rows, N, STREAM>(),)*
                    _ => unreachable!("tiles have at most M rows"),
                }
            };
        }
        dispatch!(1 2 3 4 5 6)
    }

    #[inline(always)]
    unsafe fn compute<L: Lanes, const M: usize, const N: usize, const STREAM: bool>(&self) {
        for m in 0..M {
            L::prefetch(self.y.add(m * self.y_stride));
        }
        let mut lanes = [[L::splat(0.0); N]; M];
        let whole = self.len / LANES * LANES;
        for i in (0..whole).step_by(LANES) {
            let mut w = [L::splat(0.0); N];
            for n in 0..N {
                let from = self.w.add(n * self.w_stride + i * self.w_step);
                w[n] = E::load::<L>(from);
                // A row of 16-bit weights is about a page, and the hardware looks ahead within pages.
                if STREAM && size_of::<E>() < size_of::<f32>() {
                    L::prefetch(from.wrapping_add(N * self.w_stride));
                }
            }
            self.step(i, &w, &mut lanes);
        }
        if whole < self.len {
            let mut w = [L::splat(0.0); N];
            for n in 0..N {
                let from = self.w.add(n * self.w_stride + whole * self.w_step);
                w[n] = E::load_first::<L>(from, self.len - whole);
            }
            self.step(whole, &w, &mut lanes);
        }
        for m in 0..M {
            let mut sums = [0.0; N];
            reduce(&lanes[m], &mut sums);
            let y = self.y.add(m * self.y_stride);
            let mut totals = [0.0; N];
            if self.outputs == N {
                // As an array, which becomes one vector.
                if !self.first {
                    totals = y.cast::<[f32; N]>().read_unaligned();
                }
                for n in 0..N {
                    totals[n] += sums[n];
                }
                y.cast::<[f32; N]>().write_unaligned(totals);
            } else {
                for n in 0..self.outputs {
                    *y.add(n) = if self.first { 0.0 } else { *y.add(n) } + sums[n];
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn step<L: Lanes, const M: usize, const N: usize>(
        &self,
        i: usize,
        w: &[L; N],
        lanes: &mut [[L; N]; M],
    ) {
        for m in 0..M {
            let x = L::load(self.x.add(i * M + m * LANES));
            for n in 0..N {
                lanes[m][n] = x.fma(w[n], lanes[m][n]);
            }
        }
    }
}

#[inline(always)]
unsafe fn reduce<L: Lanes, const N: usize>(lanes: &[L; N], sums: &mut [f32; N]) {
    let mut n = 0;
    while n + 4 <= N {
        sums[n..n + 4].copy_from_slice(&L::sums([
            lanes[n],
            lanes[n + 1],
            lanes[n + 2],
            lanes[n + 3],
        ]));
        n += 4;
    }
    while n < N {
        sums[n] = lanes[n].sum();
        n += 1;
    }
}
