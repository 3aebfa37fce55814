//! `y = x · wᵀ` on weights in blocks ([`crate::quant`]), with integer arithmetic.
//!
//! # What is computed
//!
//! A row of activations is quantised once ([`activations`]): `x[i] ≈ dx · qx[i]`, where `qx` goes from
//! −127 to 127 and `dx` belongs to a block of as many inputs as a block of the weights has. Then, for
//! each output:
//!
//! ```text
//! total = 0
//! for each block:
//!     q8_0, q5_0, q4_0:                                                  # q of q5_0: from −16 to 15,
//!                  total = fma(f32(Σ q·qx), d · dx, total)               # of q4_0: from −8 to 7
//!     q4_k, q5_k:  part  = fma(f32(Σⱼ scaleⱼ · Σ q·qx), d, f32(Σⱼ minimumⱼ · Σ qx) · −dmin)
//!     q6_k:        part  = f32(Σⱼ scaleⱼ · Σ q·qx) · d                   # q from −32 to 31
//!     q4_k … q6_k: total = fma(part, dx, total)
//! ```
//!
//! `j` counts a block's sub-blocks. Every sum `Σ` is one of integers, which fits 32 bits and is exact, so
//! its order is free; what is left has one order. That fixes the bits.
//!
//! # How weights lie
//!
//! Sixteen outputs are a group, so that each lane of a register has an output of its own and no sum is
//! taken across lanes. A group has first the headers of all its blocks (scales), then their integers.
//! Those come by quads: four consecutive inputs of output 0, then of output 1, and so on: 64 bytes when
//! unpacked. Formats of fewer bits keep several quads in 64 bytes; each format's file says how.
//!
//! Few rows unpack weights in registers, as they come from memory. For many rows a panel, some groups ×
//! some blocks, is unpacked once and used by all: weights of a group's panel stay in the first-level
//! cache, the rows in the second.

// Loops over the registers of a tile: their bounds are constants, and all of them unroll.
#![allow(clippy::needless_range_loop)]

/// Something of each of `N` groups. A closure would not be inlined where it matters.
macro_rules! each {
    ($n:ident => $value:expr) => {{
        let $n = 0;
        let mut all = [$value; N];
        for $n in 1..N {
            all[$n] = $value;
        }
        all
    }};
}

pub mod activations;
mod fives;
pub mod integers;
mod layout;
mod nibbles;
mod q4_0;
mod q4_k;
mod q5_0;
mod q5_k;
mod q6_k;
mod q8_0;
#[cfg(test)]
mod tests;

pub use layout::{group_bytes, pack_group, read_row};

use crate::quant::{formats, Block};
use activations::Activations;
use integers::Integers;
use layout::{bytes_of_group, bytes_of_headers};

macro_rules! export_formats {
    ($($format:ident: $file:ident::$block:ident, mix $scheme:ident $about:tt;)*) => {
        $(pub use $file::$format;)*
    };
}
formats!(export_formats);

/// Outputs in a group.
pub const GROUP: usize = 16;

/// Bytes of a quad of a group.
const QUAD: usize = 4 * GROUP;

/// Outputs of a task at most. Its panel takes up to 128 KB: with as much for the rows, half of the
/// smallest second-level cache in use.
pub const TASK_OUTPUTS: usize = 8 * GROUP;

/// Room for the panel of a task.
pub const PANEL_BYTES: usize = TASK_OUTPUTS * PANEL_GROUP / GROUP;

/// A group's part of the panel: half of the first-level cache.
const PANEL_GROUP: usize = 16 * 1024;

/// Rows times inputs of a panel that stay in the second-level cache while groups take turns.
const ROWS_BYTES: usize = 128 * 1024;

/// Up to this many tiles of rows it takes less time to unpack weights for each than to write a panel.
const FEW_TILES: usize = 2;

/// How the kernels hold the blocks of one [`crate::quant::BlockType`].
pub trait Format: 'static {
    /// The block that is packed, and that defines what the weights are.
    type Block: Block;

    /// Bytes of a group's header in one block. It starts with the scales `d`.
    const HEADER: usize;
    /// Bytes of a group's integers in one block.
    const INTEGERS: usize;

    /// Lays a block of up to sixteen outputs out. The rest of a group is zero already.
    fn pack(blocks: &[Self::Block], header: &mut [u8], integers: &mut [u8]);

    /// The numbers of one output in a packed block, as [`Block::dequantize`] gives them.
    fn read(header: &[u8], integers: &[u8], output: usize, out: &mut [f32]);

    /// Bytes of a group's block in a panel.
    fn panel_bytes<I: Integers>() -> usize {
        Self::Block::LEN * GROUP
    }

    /// Unpacks a block's integers for a panel.
    ///
    /// # Safety
    /// As for [`Integers`]; both pointers are valid for a block.
    unsafe fn unpack<I: Integers>(integers: *const u8, panel: *mut u8);

    /// Adds a block's part to the totals of `M` rows × `N` groups.
    ///
    /// # Safety
    /// As for [`Integers`]; the pointers are valid for a block, `integers` for one in a panel if
    /// `PANEL`, and `x` for one of `M` rows.
    unsafe fn add<I: Integers, const M: usize, const N: usize, const PANEL: bool>(
        header: [*const u8; N],
        integers: [*const u8; N],
        x: &Activations,
        totals: &mut [[I; N]; M],
    );
}

/// Some groups of outputs of all rows: what one task computes.
pub struct Product {
    /// All rows, in blocks of the format's length and in tiles of the kernel's rows.
    pub x: Activations,
    pub rows: usize,
    pub inputs: usize,
    /// The first group; the others follow.
    pub w: *const u8,
    /// At most [`TASK_OUTPUTS`]; whole groups, but for the matrix's last.
    pub outputs: usize,
    /// Where the first row's first output goes.
    pub y: *mut f32,
    pub y_stride: usize,
    /// Room for [`PANEL_BYTES`].
    pub panel: *mut u8,
}

/// Computes a task with tiles of at most `M` rows × `N` groups.
///
/// # Safety
/// As for [`Integers`]; `product`'s pointers are valid for the sizes it states, and nobody else touches
/// its part of `y` or its panel.
#[inline(always)]
pub unsafe fn product<I: Integers, F: Format, const M: usize, const N: usize>(product: &Product) {
    if product.rows <= FEW_TILES * M {
        few_rows::<I, F, M, N>(product);
    } else {
        many_rows::<I, F, M, N>(product);
    }
}

// SAFETY of the functions below: they are parts of `product` and share its conditions. A tile's rows,
// groups and blocks are cut from the product's own, so what it points to is inside what `product` was
// promised.

/// Weights are unpacked in registers.
#[inline(always)]
unsafe fn few_rows<I: Integers, F: Format, const M: usize, const N: usize>(product: &Product) {
    let blocks = product.inputs / F::Block::LEN;
    let group_bytes = bytes_of_group::<F>(product.inputs);
    for output in (0..product.outputs).step_by(N * GROUP) {
        let headers = groups::<N>(product, output, |group| product.w.add(group * group_bytes));
        let integers = headers.map(|headers| headers.add(bytes_of_headers::<F>(product.inputs)));
        for row in (0..product.rows).step_by(M) {
            let x = product.x.at::<F::Block>(product.inputs, row, M.min(product.rows - row), 0);
            let tile = Tile {
                x,
                headers,
                integers,
                blocks,
                y: product.y.add(row * product.y_stride + output),
                y_stride: product.y_stride,
                outputs: (product.outputs - output).min(N * GROUP),
                first: true,
            };
            tile.compute_rows::<I, F, M, N, false>(M.min(product.rows - row));
        }
    }
}

/// Weights are unpacked into the panel, some blocks of all groups, and used by all rows.
#[inline(always)]
unsafe fn many_rows<I: Integers, F: Format, const M: usize, const N: usize>(product: &Product) {
    let &Product { rows, inputs, w, outputs, y, y_stride, panel, .. } = product;
    let (len, panel_bytes) = (F::Block::LEN, F::panel_bytes::<I>());
    let (all, at_once) = (inputs / len, PANEL_GROUP / panel_bytes);
    let group_bytes = bytes_of_group::<F>(inputs);
    let some_rows = (ROWS_BYTES / (at_once * len) / M * M).max(M);
    for start in (0..all).step_by(at_once) {
        let blocks = at_once.min(all - start);
        for group in 0..outputs.div_ceil(GROUP) {
            let from = w.add(group * group_bytes + bytes_of_headers::<F>(inputs));
            for block in 0..blocks {
                let to = panel.add(group * PANEL_GROUP + block * panel_bytes);
                F::unpack::<I>(from.add((start + block) * F::INTEGERS), to);
            }
        }
        for first_row in (0..rows).step_by(some_rows) {
            let end = rows.min(first_row + some_rows);
            for output in (0..outputs).step_by(N * GROUP) {
                let headers = groups::<N>(product, output, |group| {
                    w.add(group * group_bytes + start * F::HEADER)
                });
                let integers = groups::<N>(product, output, |group| {
                    panel.add(group * PANEL_GROUP).cast_const()
                });
                for row in (first_row..end).step_by(M) {
                    let tile = Tile {
                        x: product.x.at::<F::Block>(inputs, row, M.min(rows - row), start),
                        headers,
                        integers,
                        blocks,
                        y: y.add(row * y_stride + output),
                        y_stride,
                        outputs: (outputs - output).min(N * GROUP),
                        first: start == 0,
                    };
                    tile.compute_rows::<I, F, M, N, true>(M.min(rows - row));
                }
            }
        }
    }
}

/// Something of the `N` groups from an output on. Behind the last group comes the last again, whose
/// totals are then not stored.
#[inline(always)]
unsafe fn groups<const N: usize>(
    product: &Product,
    output: usize,
    at: impl Fn(usize) -> *const u8,
) -> [*const u8; N] {
    let last = product.outputs.div_ceil(GROUP) - 1;
    std::array::from_fn(|n| at((output / GROUP + n).min(last)))
}

/// Some rows × some groups over some blocks.
struct Tile<const N: usize> {
    x: Activations,
    headers: [*const u8; N],
    integers: [*const u8; N],
    blocks: usize,
    y: *mut f32,
    y_stride: usize,
    /// How many outputs are stored.
    outputs: usize,
    /// Whether these are the first blocks, which start the totals.
    first: bool,
}

impl<const N: usize> Tile<N> {
    /// `rows` is at most `M`, and `M` at most 8.
    #[inline(always)]
    unsafe fn compute_rows<
        I: Integers,
        F: Format,
        const M: usize,
        const G: usize,
        const PANEL: bool,
    >(
        &self,
        rows: usize,
    ) {
        macro_rules! dispatch {
            ($($rows:literal)*) => {
                match rows {
                    $($rows if const { $rows <= M } => self.compute::<I, F, $rows, PANEL>(),)*
                    _ => unreachable!("tiles have at most M rows"),
                }
            };
        }
        dispatch!(1 2 3 4 5 6 7 8)
    }

    #[inline(always)]
    unsafe fn compute<I: Integers, F: Format, const M: usize, const PANEL: bool>(&self) {
        let mut totals = [[I::splat(0.0); N]; M];
        if !self.first {
            for m in 0..M {
                for n in 0..N {
                    totals[m][n] = match self.place(m, n) {
                        (y, GROUP) => I::load(y),
                        (y, outputs) => I::load_first(y, outputs),
                    };
                }
            }
        }
        let (mut headers, mut integers) = (self.headers, self.integers);
        let step = if PANEL { F::panel_bytes::<I>() } else { F::INTEGERS };
        let mut x = self.x;
        for _ in 0..self.blocks {
            F::add::<I, M, N, PANEL>(headers, integers, &x, &mut totals);
            headers = each!(n => headers[n].wrapping_add(F::HEADER));
            integers = each!(n => integers[n].wrapping_add(step));
            x = x.next::<F::Block>(M);
        }
        for m in 0..M {
            for n in 0..N {
                match self.place(m, n) {
                    (y, GROUP) => totals[m][n].store(y),
                    (y, outputs) => totals[m][n].store_first(y, outputs),
                }
            }
        }
    }

    /// Where the totals of a group in a row are kept, and how many of them.
    #[inline(always)]
    unsafe fn place(&self, m: usize, n: usize) -> (*mut f32, usize) {
        let outputs = self.outputs.saturating_sub(n * GROUP).min(GROUP);
        (self.y.wrapping_add(m * self.y_stride + n * GROUP), outputs)
    }
}
