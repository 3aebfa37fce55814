//! Tiles of any CPU: the meaning of the others.

use half::bf16;

use super::{Square, Tiles, AT_ONCE, STEP, TILE, TILE_NUMBERS};
use crate::backend::cpu::kernels::lanes::scalar::normal;

pub struct Scalar;

// SAFETY: plain Rust, which reads `steps` tiles at each pointer.
impl Tiles for Scalar {
    #[inline(always)]
    unsafe fn multiply<const R: usize>(
        w: [*const bf16; AT_ONCE],
        x: [*const bf16; R],
        steps: usize,
        sums: &mut [[Square<f32>; R]; AT_ONCE],
    ) {
        for (w, sums) in w.into_iter().zip(sums) {
            for (x, sums) in x.into_iter().zip(sums) {
                add_steps(w, [STEP, TILE_NUMBERS], x, steps, sums);
            }
        }
    }

    #[inline(always)]
    unsafe fn multiply_stored(
        w: [*const bf16; AT_ONCE],
        stride: usize,
        x: *const bf16,
        steps: usize,
        sums: &mut [[Square<f32>; 1]; AT_ONCE],
    ) {
        for (w, [sums]) in w.into_iter().zip(sums) {
            add_steps(w, [stride, STEP], x, steps, sums);
        }
    }

    #[inline(always)]
    unsafe fn transpose<T: Copy>(square: &Square<T>) -> Square<T> {
        Square(std::array::from_fn(|i| std::array::from_fn(|j| square.0[j][i])))
    }
}

/// Weights are `strides` apart, of one output and the next, and of one step and the next.
///
/// # Safety
/// The pointers are valid for `steps` tiles that lie so.
unsafe fn add_steps(
    w: *const bf16,
    strides: [usize; 2],
    x: *const bf16,
    steps: usize,
    sums: &mut Square<f32>,
) {
    *sums = Square([[0.0; TILE]; TILE]);
    for step in 0..steps {
        let x = x.add(step * TILE_NUMBERS).cast::<[[bf16; 2]; TILE]>();
        for (output, sums) in sums.0.iter_mut().enumerate() {
            let w = w.add(output * strides[0] + step * strides[1]);
            let w = w.cast::<[bf16; STEP]>().read_unaligned();
            for (row, sum) in sums.iter_mut().enumerate() {
                let mut halves = [0.0f32; 2];
                for pair in 0..STEP / 2 {
                    let x = x.add(pair).read_unaligned()[row];
                    for (i, half) in halves.iter_mut().enumerate() {
                        let (x, w) = (normal(x[i].to_f32()), normal(w[2 * pair + i].to_f32()));
                        *half = normal(x.mul_add(w, *half));
                    }
                }
                *sum = normal(*sum + normal(halves[0] + halves[1]));
            }
        }
    }
}
