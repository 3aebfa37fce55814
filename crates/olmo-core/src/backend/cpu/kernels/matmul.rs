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

/// Lays one row out for [`matmul`]: chunk after chunk, in a chunk row after row, each row
/// [`CHUNK`] long with zeros at its end. Rows of a tile then lie next to each other, instead of a
/// power of two apart, where they would fight for the same places in the cache.
///
/// # Safety
/// `packed` has room for [`packed_len`]; no other thread packs the same row.
pub unsafe fn pack(x: &[f32], row: usize, rows: usize, packed: *mut f32) {
    for (c, chunk) in x.chunks(CHUNK).enumerate() {
        let to = packed.add((c * rows + row) * CHUNK);
        std::ptr::copy_nonoverlapping(chunk.as_ptr(), to, chunk.len());
        let padding = chunk.len().next_multiple_of(LANES) - chunk.len();
        std::ptr::write_bytes(to.add(chunk.len()), 0, padding);
    }
}

/// Computes a block with tiles of at most `M` × `N`.
///
/// # Safety
/// As for [`Lanes`]; `product`'s pointers are valid for the sizes it states, and nobody else touches
/// its part of `y` or its panel.
#[inline(always)]
pub unsafe fn matmul<L: Lanes, E: Element, const M: usize, const N: usize>(product: &Product) {
    if product.rows <= M {
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
                len: CHUNK.min(inputs - start),
                y: y.add(output),
                y_stride,
                outputs: N,
                first: start == 0,
            };
            tile.compute_rows::<L, M, N>(rows);
        }
    }
    for output in whole..outputs {
        for start in (0..inputs).step_by(CHUNK) {
            let tile = Tile {
                x: x.add(start * rows),
                w: w.add(output * inputs + start),
                w_stride: inputs,
                len: CHUNK.min(inputs - start),
                y: y.add(output),
                y_stride,
                outputs: 1,
                first: start == 0,
            };
            tile.compute_rows::<L, M, 1>(rows);
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
            widen::<L, E>(w.add(output * inputs + start), len, panel.add(output * CHUNK));
        }
        for row in (0..rows).step_by(M) {
            for output in (0..outputs).step_by(N) {
                // Behind the last output the panel holds older weights: their sums are not stored.
                let tile = Tile {
                    x: x.add(start * rows + row * CHUNK),
                    w: panel.add(output * CHUNK).cast_const(),
                    w_stride: CHUNK,
                    len: len.next_multiple_of(LANES),
                    y: y.add(row * y_stride + output),
                    y_stride,
                    outputs: N.min(outputs - output),
                    first: start == 0,
                };
                tile.compute_rows::<L, M, N>(M.min(rows - row));
            }
        }
    }
}

/// Copies `len` weights as f32, with zeros up to whole lanes.
#[inline(always)]
unsafe fn widen<L: Lanes, E: Element>(w: *const E, len: usize, panel: *mut f32) {
    let whole = len / LANES * LANES;
    for i in (0..whole).step_by(LANES) {
        E::load::<L>(w.add(i)).store(panel.add(i));
    }
    if whole < len {
        E::load_first::<L>(w.add(whole), len - whole).store(panel.add(whole));
    }
}

/// Some rows × some outputs over one chunk.
struct Tile<E> {
    x: *const f32,
    w: *const E,
    w_stride: usize,
    len: usize,
    y: *mut f32,
    y_stride: usize,
    /// How many of the tile's outputs are stored.
    outputs: usize,
    /// Whether this is the first chunk, which starts the totals.
    first: bool,
}

impl<E: Element> Tile<E> {
    /// `rows` is at most `M`, and `M` at most 6.
    #[inline(always)]
    unsafe fn compute_rows<L: Lanes, const M: usize, const N: usize>(&self, rows: usize) {
        macro_rules! dispatch {
            ($($rows:literal)*) => {
                match rows {
                    $($rows if $rows <= M => self.compute::<L, $rows, N>(),)*
                    _ => unreachable!("tiles have at most M rows"),
                }
            };
        }
        dispatch!(1 2 3 4 5 6)
    }

    #[inline(always)]
    unsafe fn compute<L: Lanes, const M: usize, const N: usize>(&self) {
        let mut lanes = [[L::splat(0.0); N]; M];
        let whole = self.len / LANES * LANES;
        for i in (0..whole).step_by(LANES) {
            let mut w = [L::splat(0.0); N];
            for n in 0..N {
                w[n] = E::load::<L>(self.w.add(n * self.w_stride + i));
            }
            self.step(i, &w, &mut lanes);
        }
        if whole < self.len {
            let mut w = [L::splat(0.0); N];
            for n in 0..N {
                let from = self.w.add(n * self.w_stride + whole);
                w[n] = E::load_first::<L>(from, self.len - whole);
            }
            self.step(whole, &w, &mut lanes);
        }
        for m in 0..M {
            let mut sums = [0.0; N];
            reduce(&lanes[m], &mut sums);
            let y = self.y.add(m * self.y_stride);
            for (n, sum) in sums.iter().enumerate().take(self.outputs) {
                *y.add(n) = if self.first { *sum } else { *y.add(n) + sum };
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
            let x = L::load(self.x.add(m * CHUNK + i));
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
