//! `y = x · wᵀ` in bf16 on CPUs that multiply matrices: one instruction multiplies the weights of sixteen
//! outputs with the activations of sixteen rows.
//!
//! As in [`super::matmul`], the order of a sum is fixed, but it is the instruction's: Intel's definition of
//! `tdpbf16ps`. A chunk's sum is one number, not sixteen lanes:
//!
//! ```text
//! total = 0
//! for each chunk of CHUNK inputs:
//!     sum = 0
//!     for each step of STEP inputs in chunk:
//!         even = odd = 0
//!         for i in 0, 2, 4 … STEP - 2:
//!             even = fma(x[i], w[i], even)
//!             odd = fma(x[i + 1], w[i + 1], odd)
//!         sum += even + odd               # inputs beyond the end count as x = w = 0
//!     total += sum
//! ```
//!
//! Activations are rounded to bf16. But for `total`, subnormal numbers count as zero, and results that would
//! be subnormal become it.
//!
//! For many rows, weights are copied to a panel, where the tile of a step is 1 KB without a gap: rows of weights lie a
//! power of two apart, and sixteen of them would fight for the same places in the cache. Few rows use them once, where
//! they are stored. [`pack`] lays activations out once for all outputs.

#[cfg(target_arch = "x86_64")]
pub mod amx;
pub mod scalar;

use std::ops::Range;

use half::bf16;

use super::matmul::Product;

/// Rows of a tile, and its outputs.
pub const TILE: usize = 16;
/// Inputs of a tile.
pub const STEP: usize = 32;
/// Outputs of a panel: 512 KB, a quarter of the second-level cache. More are multiplied panel after panel.
pub const PANEL_OUTPUTS: usize = 128;
/// Inputs of a panel. Afterwards sums are stored, which takes as long as a few steps.
pub const CHUNK: usize = 2048;
/// Tiles of outputs that are multiplied at once, and at most as many of rows: then each tile that is loaded is used twice.
const AT_ONCE: usize = 2;
const TILE_NUMBERS: usize = TILE * STEP;

/// How many outputs ahead of the one being copied weights are asked for.
const AHEAD: usize = 4;

/// Outputs that are multiplied at once.
const BLOCK: usize = AT_ONCE * TILE;

/// Numbers of f32 that a panel has room for.
pub const PANEL: usize = PANEL_OUTPUTS * CHUNK * size_of::<bf16>() / size_of::<f32>();
const _: () = assert!(PANEL_OUTPUTS.is_multiple_of(BLOCK));

/// A tile of sums, `[TILE][TILE]`; or of pairs of bf16.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct Square<T>(pub [[T; TILE]; TILE]);

/// A CPU's tiles.
///
/// # Safety
///
/// For every function:
/// - The CPU has the instructions of the implementing type, and the system lets this process use them.
/// - The function is inlined into one that is compiled for these instructions.
pub trait Tiles {
    /// Sums of `steps` tiles of weights, `[outputs][STEP]`, and of activations, `[STEP / 2][rows][2]`: for each
    /// group of outputs and each of rows a square `[outputs][rows]`. `R` is at most [`AT_ONCE`].
    ///
    /// # Safety
    /// Each pointer is valid for `steps` tiles, one after the other.
    unsafe fn multiply<const R: usize>(
        w: [*const bf16; AT_ONCE],
        x: [*const bf16; R],
        steps: usize,
        sums: &mut [[Square<f32>; R]; AT_ONCE],
    );

    /// The same for one tile of rows, with weights where they are stored: `stride` of them from one output to the next.
    ///
    /// # Safety
    /// `x` is as above; the weights of each output are valid for `steps` steps.
    unsafe fn multiply_stored(
        w: [*const bf16; AT_ONCE],
        stride: usize,
        x: *const bf16,
        steps: usize,
        sums: &mut [[Square<f32>; 1]; AT_ONCE],
    );

    /// Four-byte numbers with rows and columns exchanged.
    unsafe fn transpose<T: Copy>(square: &Square<T>) -> Square<T>;

    /// Asks for a cache line that will be wanted soon. Any address will do, and nothing may happen.
    #[inline(always)]
    unsafe fn prefetch<T>(_p: *const T) {}
}

/// Length of the packed form of `rows` rows, in numbers.
pub fn packed_len(rows: usize, inputs: usize) -> usize {
    rows.next_multiple_of(TILE) * inputs.next_multiple_of(STEP)
}

/// Lays the rows of one tile out for [`matmul`]: chunk after chunk, in a chunk tile after tile, in a tile step
/// after step, with zeros behind the last input. `x` is all rows, `[rows, inputs]`.
///
/// # Safety
/// As for [`Tiles`]; `packed` has room for [`packed_len`], and no other thread packs the tile whose first row
/// is `first`.
#[inline(always)]
pub unsafe fn pack<T: Tiles>(x: &[f32], inputs: usize, first: usize, packed: *mut bf16) {
    let rows = x.len() / inputs;
    let padded = rows.next_multiple_of(TILE);
    let count = TILE.min(rows - first);
    for start in (0..inputs).step_by(CHUNK) {
        let len = CHUNK.min(inputs - start);
        let mut to = packed.add(start * padded + first * len.next_multiple_of(STEP));
        for step in (0..len).step_by(STEP) {
            let mut tile = Square([[[bf16::ZERO; 2]; TILE]; TILE]);
            for (row, pairs) in tile.0.iter_mut().take(count).enumerate() {
                let from = (first + row) * inputs + start + step;
                let x = &x[from..][..STEP.min(len - step)];
                for (pair, x) in pairs.as_flattened_mut().iter_mut().zip(x) {
                    *pair = bf16::from_f32(*x);
                }
            }
            // SAFETY: `packed` has room for all steps of all tiles.
            to.cast::<Square<[bf16; 2]>>().write_unaligned(T::transpose(&tile));
            to = to.add(TILE_NUMBERS);
        }
    }
}

/// Computes a block of outputs of all rows. `product.x` is [`pack`]ed.
///
/// # Safety
/// As for [`Tiles`]; `product`'s pointers are valid for the sizes it states, `product.panel` for [`PANEL`] numbers,
/// and nobody else touches its part of `y` or its panel.
#[inline(always)]
pub unsafe fn matmul<T: Tiles>(product: &Product) {
    let &Product { rows, inputs, outputs, .. } = product;
    // The last step of a row would otherwise go on into the next.
    let stored = match rows > 0 && rows <= TILE && inputs.is_multiple_of(STEP) {
        true => outputs / BLOCK * BLOCK,
        false => 0,
    };
    for output in (0..stored).step_by(BLOCK) {
        for start in (0..inputs).step_by(CHUNK) {
            Chunk::new(product, start).compute_stored::<T>(output..output + BLOCK);
        }
    }
    for output in (stored..outputs).step_by(PANEL_OUTPUTS) {
        for start in (0..inputs).step_by(CHUNK) {
            Chunk::new(product, start).compute::<T>(output..outputs.min(output + PANEL_OUTPUTS));
        }
    }
}

/// Some inputs of a product.
struct Chunk<'a> {
    product: &'a Product,
    start: usize,
    steps: usize,
}

// SAFETY of the functions below: they are parts of `matmul` and share its conditions. Rows and outputs are cut
// from the product's own; the panel and the packed activations have room for whole tiles of them.

impl Chunk<'_> {
    fn new(product: &Product, start: usize) -> Chunk<'_> {
        Chunk { product, start, steps: CHUNK.min(product.inputs - start).div_ceil(STEP) }
    }

    /// The packed activations of the tile of rows from `row` on.
    #[inline(always)]
    unsafe fn x(&self, row: usize) -> *const bf16 {
        let padded = self.product.rows.next_multiple_of(TILE);
        let chunk = self.product.x.cast::<bf16>().add(self.start * padded);
        // Behind the last tile nothing is read.
        chunk.wrapping_add(row * self.steps * STEP)
    }

    /// Where the panel has the weights of the tile of outputs from its `output`th on.
    fn panel(&self, output: usize) -> *mut bf16 {
        self.product.panel.cast::<bf16>().wrapping_add(output * self.steps * STEP)
    }

    /// The tiles of a block of outputs in the panel.
    fn w(&self, output: usize) -> [*const bf16; AT_ONCE] {
        std::array::from_fn(|tile| self.panel(output + tile * TILE).cast_const())
    }

    /// A block of outputs of all rows, which are those of one tile. They wait for memory, and it is read once.
    #[inline(always)]
    unsafe fn compute_stored<T: Tiles>(&self, outputs: Range<usize>) {
        let &Product { w, inputs: stride, .. } = self.product;
        let w = w.cast::<bf16>().add(outputs.start * stride + self.start);
        let w = std::array::from_fn(|tile| w.wrapping_add(tile * TILE * stride));
        let mut sums = [[Square([[0.0; TILE]; TILE])]; AT_ONCE];
        T::multiply_stored(w, stride, self.x(0), self.steps, &mut sums);
        self.store_all::<T, 1>(&sums, 0, outputs);
    }

    /// Some outputs of all rows, with their weights in the panel.
    #[inline(always)]
    unsafe fn compute<T: Tiles>(&self, outputs: Range<usize>) {
        let rows = self.product.rows;
        if rows > 0 {
            self.fill_panel::<T>(outputs.clone());
        }
        for row in (0..rows).step_by(AT_ONCE * TILE) {
            for output in outputs.clone().step_by(BLOCK) {
                let w = self.w(output - outputs.start);
                let block = output..outputs.end.min(output + BLOCK);
                match rows - row > TILE {
                    true => self.compute_block::<T, 2>(w, row, block),
                    false => self.compute_block::<T, 1>(w, row, block),
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn fill_panel<T: Tiles>(&self, outputs: Range<usize>) {
        let &Product { w, inputs, .. } = self.product;
        let w = w.cast::<bf16>().add(outputs.start * inputs + self.start);
        let len = (self.steps * STEP).min(inputs - self.start);
        let whole = len / STEP * STEP;
        for output in 0..outputs.len() {
            let from = w.add(output * inputs);
            let soon = w.wrapping_add((output + AHEAD) * inputs);
            let to = self.panel(output / TILE * TILE).add(output % TILE * STEP);
            for i in (0..whole).step_by(STEP) {
                T::prefetch(soon.wrapping_add(i));
                let step = from.add(i).cast::<[bf16; STEP]>().read_unaligned();
                to.add(i * TILE).cast::<[bf16; STEP]>().write_unaligned(step);
            }
            if whole < len {
                let mut step = [bf16::ZERO; STEP];
                std::ptr::copy_nonoverlapping(from.add(whole), step.as_mut_ptr(), len - whole);
                to.add(whole * TILE).cast::<[bf16; STEP]>().write_unaligned(step);
            }
        }
    }

    /// `R` tiles of rows from `row` on. What is beyond the last row or output is computed from whatever lies there,
    /// and not stored.
    #[inline(always)]
    unsafe fn compute_block<T: Tiles, const R: usize>(
        &self,
        w: [*const bf16; AT_ONCE],
        row: usize,
        outputs: Range<usize>,
    ) {
        let mut x = [self.x(row); R];
        for (tile, x) in x.iter_mut().enumerate() {
            *x = self.x(row + tile * TILE);
        }
        let mut sums = [[Square([[0.0; TILE]; TILE]); R]; AT_ONCE];
        T::multiply(w, x, self.steps, &mut sums);
        self.store_all::<T, R>(&sums, row, outputs);
    }

    #[inline(always)]
    unsafe fn store_all<T: Tiles, const R: usize>(
        &self,
        sums: &[[Square<f32>; R]; AT_ONCE],
        row: usize,
        outputs: Range<usize>,
    ) {
        let &Product { rows, y, y_stride, .. } = self.product;
        for (output, sums) in outputs.clone().step_by(TILE).zip(sums) {
            for (row, sums) in (row..rows).step_by(TILE).zip(sums) {
                let size = [TILE.min(rows - row), TILE.min(outputs.end - output)];
                let y = y.add(row * y_stride + output);
                store::<T>(sums, size, y, y_stride, self.start == 0);
            }
        }
    }
}

/// Adds sums `[outputs][rows]` to the totals, or starts these.
#[inline(always)]
unsafe fn store<T: Tiles>(
    sums: &Square<f32>,
    [rows, outputs]: [usize; 2],
    y: *mut f32,
    y_stride: usize,
    first: bool,
) {
    let sums = T::transpose(sums);
    for (row, sums) in sums.0.iter().take(rows).enumerate() {
        let y = y.add(row * y_stride);
        if outputs == TILE {
            let y = y.cast::<[f32; TILE]>();
            let mut totals = if first { [0.0; TILE] } else { y.read_unaligned() };
            totals.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
            y.write_unaligned(totals);
        } else {
            for (output, sum) in sums.iter().take(outputs).enumerate() {
                let y = y.add(output);
                *y = if first { 0.0 } else { *y } + sum;
            }
        }
    }
}
