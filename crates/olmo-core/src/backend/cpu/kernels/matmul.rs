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
//! So it is for numbers [widened](super::factors::Widened) to f32. [Pairs](super::factors::Pairs) of bf16
//! are in lane `i / 2 % 16`, the second of a pair first.
//!
//! The lanes lie along the inputs, so weights are read as they are stored, and the same tile of
//! rows × outputs serves one row at the speed of memory and many rows at the speed of the
//! multipliers. Few rows read weights in their own dtype and widen them in registers. For many rows
//! a panel of weights is widened once and used by all.

// Loops over the registers of a tile: their bounds are constants, and all of them unroll.
#![allow(clippy::needless_range_loop)]

use super::factors::{step, Factors};
use super::lanes::{Element, Lanes};

/// Inputs between two reductions: long enough that these are rare, short enough that a tile's rows
/// and weights (six rows and four outputs: 40 KB) stay in the first-level cache.
pub const CHUNK: usize = 1024;

/// Outputs in a panel: 256 KB, half of the smallest second-level cache in use.
pub const PANEL_OUTPUTS: usize = 64;

/// Up to this many tiles of rows it takes less time to widen weights for each tile than to write
/// them to a panel.
const FEW_TILES: usize = 8;

/// How many outputs ahead of the one being widened weights are asked for.
const AHEAD: usize = 4;

/// A block of consecutive outputs of all rows: what one task computes.
pub struct Product {
    /// [`pack`]ed activations, in the dtype that they are multiplied in.
    pub x: *const u8,
    pub rows: usize,
    pub inputs: usize,
    /// The weights of the block's first output; the others follow.
    pub w: *const u8,
    pub outputs: usize,
    /// Where the first row's first output goes.
    pub y: *mut f32,
    pub y_stride: usize,
    /// Room for [`PANEL_OUTPUTS`] · [`CHUNK`] f32; in tiles for [`super::tiles::PANEL`].
    pub panel: *mut u8,
}

/// Length of the packed form of `rows` rows, in numbers.
pub fn packed_len(rows: usize, inputs: usize) -> usize {
    rows * inputs.div_ceil(CHUNK) * CHUNK
}

/// Lays one row out for [`matmul`] with tiles of `tile` rows: chunk after chunk, in a chunk tile after
/// tile, in a tile the steps of its rows in turn, with zeros behind the last input. A tile is then
/// one stream, where rows a power of two apart would fight for the same places in the cache. One row
/// of whole steps stays as it is, but for the dtype.
///
/// # Safety
/// `packed` has room for [`packed_len`]; no other thread packs the same row.
pub unsafe fn pack<T: Element>(x: &[f32], row: usize, rows: usize, tile: usize, packed: *mut T) {
    let first = row / tile * tile;
    let in_tile = tile.min(rows - first);
    for (c, chunk) in x.chunks(CHUNK).enumerate() {
        let mut to = packed.add((c * rows + first) * CHUNK + (row - first) * step::<T>());
        for inputs in chunk.chunks(step::<T>()) {
            for (i, x) in inputs.iter().enumerate() {
                to.add(i).write(T::from_f32(*x));
            }
            for i in inputs.len()..step::<T>() {
                to.add(i).write(T::ZERO);
            }
            to = to.add(in_tile * step::<T>());
        }
    }
}

/// Computes a block with tiles of at most `M` × `N`.
///
/// # Safety
/// As for [`Lanes`]; `product`'s pointers are valid for the sizes it states, and nobody else touches
/// its part of `y` or its panel.
#[inline(always)]
pub unsafe fn matmul<F: Factors, const M: usize, const N: usize>(product: &Product) {
    if product.rows == 0 {
        // Nothing to do: a batch of which nobody wants logits.
    } else if product.rows <= FEW_TILES * M {
        few_rows::<F, M, N>(product);
    } else {
        many_rows::<F, M, N>(product);
    }
}

// SAFETY of the functions below: they are parts of `matmul` and share its conditions. A tile's rows,
// outputs and inputs are cut from the product's own, so what it points to is inside what `matmul` was
// promised; `rows` of a tile is at most `M`, and only `outputs` of its sums are stored.

/// Weights are used straight from where they are stored.
#[inline(always)]
unsafe fn few_rows<F: Factors, const M: usize, const N: usize>(product: &Product) {
    let whole = product.outputs / N * N;
    for output in (0..whole).step_by(N) {
        few_rows_of::<F, M, N>(product, output);
    }
    for output in whole..product.outputs {
        few_rows_of::<F, M, 1>(product, output);
    }
}

/// `N` outputs of all rows.
#[inline(always)]
unsafe fn few_rows_of<F: Factors, const M: usize, const N: usize>(
    product: &Product,
    output: usize,
) {
    let &Product { x, rows, inputs, w, y, y_stride, .. } = product;
    let (x, w) = (x.cast::<F::Factor>(), w.cast::<F::Stored>());
    for start in (0..inputs).step_by(CHUNK) {
        for row in (0..rows).step_by(M) {
            let x = x.add(start * rows + row * CHUNK);
            let tile = Tile::<F> {
                x,
                soon: x,
                w: w.add(output * inputs + start),
                w_stride: inputs,
                w_step: 1,
                len: CHUNK.min(inputs - start),
                y: y.add(row * y_stride + output),
                y_stride,
                outputs: N,
                first: start == 0,
            };
            match row {
                0 => tile.compute_rows::<M, N, true>(M.min(rows)),
                _ => tile.compute_rows::<M, N, false>(M.min(rows - row)),
            }
        }
    }
}

/// Weights are widened into the panel, chunk by chunk, and used by all rows.
#[inline(always)]
unsafe fn many_rows<F: Factors, const M: usize, const N: usize>(product: &Product) {
    let &Product { x, rows, inputs, w, outputs, y, y_stride, panel } = product;
    let (x, w) = (x.cast::<F::Factor>(), w.cast::<F::Stored>());
    let panel = panel.cast::<F::Factor>();
    let step = step::<F::Factor>();
    for start in (0..inputs).step_by(CHUNK) {
        let len = CHUNK.min(inputs - start);
        for output in 0..outputs {
            let soon = w.wrapping_add((output + AHEAD) * inputs + start);
            let place = panel.add(output / N * N * CHUNK + output % N * step);
            widen::<F, N>(w.add(output * inputs + start), soon, len, place);
        }
        for row in (0..rows).step_by(M) {
            let tile_rows = M.min(rows - row);
            let x = x.add(start * rows + row * CHUNK);
            for output in (0..outputs).step_by(N) {
                // The first groups of outputs each bring a row of the next tile nearer: from the
                // third-level cache the rows would take as long as the sums.
                let soon = match output / N {
                    group if group < tile_rows => x.wrapping_add((tile_rows + group) * CHUNK),
                    _ => x,
                };
                // Behind the last output the panel holds older weights: their sums are not stored.
                let tile = Tile::<F::InPanel> {
                    x,
                    soon,
                    w: panel.add(output * CHUNK).cast_const(),
                    w_stride: step,
                    w_step: N,
                    len: len.next_multiple_of(step),
                    y: y.add(row * y_stride + output),
                    y_stride,
                    outputs: N.min(outputs - output),
                    first: start == 0,
                };
                tile.compute_rows::<M, N, false>(tile_rows);
            }
        }
    }
}

/// Copies `len` weights of one output as factors, with zeros up to whole steps. In a panel the steps of
/// `N` outputs take turns, so that a tile reads one stream.
#[inline(always)]
unsafe fn widen<F: Factors, const N: usize>(
    w: *const F::Stored,
    soon: *const F::Stored,
    len: usize,
    panel: *mut F::Factor,
) {
    let step = step::<F::Factor>();
    let whole = len / step * step;
    for i in (0..whole).step_by(step) {
        F::Sums::prefetch(soon.wrapping_add(i));
        F::store(F::load_stored(w.add(i)), panel.add(i * N));
    }
    if whole < len {
        F::store(F::load_stored_first(w.add(whole), len - whole), panel.add(whole * N));
    }
}

/// Some rows × some outputs over one chunk.
struct Tile<F: Factors> {
    x: *const F::Factor,
    /// A chunk to ask for meanwhile, unless the weights are.
    soon: *const F::Factor,
    w: *const F::Stored,
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

impl<F: Factors> Tile<F> {
    /// `rows` is at most `M`, and `M` at most 6. `STREAM` says that the weights come from memory, and
    /// asks for those of the next tile's outputs.
    #[inline(always)]
    unsafe fn compute_rows<const M: usize, const N: usize, const STREAM: bool>(&self, rows: usize) {
        macro_rules! dispatch {
            ($($rows:literal)*) => {
                match rows {
                    $($rows if $rows <= M => self.compute::<$rows, N, STREAM>(),)*
                    _ => unreachable!("tiles have at most M rows"),
                }
            };
        }
        dispatch!(1 2 3 4 5 6)
    }

    #[inline(always)]
    unsafe fn compute<const M: usize, const N: usize, const STREAM: bool>(&self) {
        for m in 0..M {
            F::Sums::prefetch(self.y.add(m * self.y_stride));
        }
        let step = step::<F::Factor>();
        let mut lanes = [[F::Sums::splat(0.0); N]; M];
        let whole = self.len / step * step;
        for i in (0..whole).step_by(step) {
            if !STREAM {
                F::Sums::prefetch(self.soon.wrapping_add(i));
            }
            let mut w = [F::zeros(); N];
            for n in 0..N {
                let from = self.w.add(n * self.w_stride + i * self.w_step);
                w[n] = F::load_stored(from);
                // A row of 16-bit weights is about a page, and the hardware looks ahead within pages.
                if STREAM && size_of::<F::Stored>() < size_of::<f32>() {
                    F::Sums::prefetch(from.wrapping_add(N * self.w_stride));
                }
            }
            self.step(i, &w, &mut lanes);
        }
        if whole < self.len {
            let mut w = [F::zeros(); N];
            for n in 0..N {
                let from = self.w.add(n * self.w_stride + whole * self.w_step);
                w[n] = F::load_stored_first(from, self.len - whole);
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
    unsafe fn step<const M: usize, const N: usize>(
        &self,
        i: usize,
        w: &[F::Register; N],
        lanes: &mut [[F::Sums; N]; M],
    ) {
        for m in 0..M {
            let x = F::load(self.x.add(i * M + m * step::<F::Factor>()));
            for n in 0..N {
                lanes[m][n] = F::multiply(x, w[n], lanes[m][n]);
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
