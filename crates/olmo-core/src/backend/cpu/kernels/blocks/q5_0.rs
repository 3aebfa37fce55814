//! `q5_0` for the kernels. Header: `d` of each output (32 bytes). Integers: 32 weights as [`fives`] has
//! them.

use super::activations::Activations;
use super::fives;
use super::integers::Integers;
use super::nibbles::{put, read_half};
use super::{Format, GROUP};
use crate::quant::BlockQ5_0;

pub struct Q5_0;

impl Format for Q5_0 {
    type Block = BlockQ5_0;

    const HEADER: usize = 2 * GROUP;
    const INTEGERS: usize = fives::BYTES;

    fn pack(blocks: &[BlockQ5_0], header: &mut [u8], integers: &mut [u8]) {
        for (output, block) in blocks.iter().enumerate() {
            put(header, output, block.d.to_bytes());
            let bytes = |i: usize| std::array::from_fn(|j| block.q(4 * i + j));
            let quads = std::array::from_fn(|i| u32::from_le_bytes(bytes(i)));
            fives::pack(quads, output, integers);
        }
    }

    fn read(header: &[u8], integers: &[u8], output: usize, out: &mut [f32]) {
        let d = read_half(header, output).get();
        for (i, out) in out.iter_mut().enumerate() {
            *out = d * (f32::from(fives::read(integers, output, i)) - 16.0);
        }
    }

    #[inline(always)]
    unsafe fn unpack<I: Integers>(integers: *const u8, panel: *mut u8) {
        fives::unpack::<I>(integers, panel);
    }

    #[inline(always)]
    unsafe fn add<I: Integers, const M: usize, const N: usize, const PANEL: bool>(
        header: [*const u8; N],
        integers: [*const u8; N],
        x: &Activations,
        totals: &mut [[I; N]; M],
    ) {
        let at_once = fives::at_once::<I>();
        let mut sums = [[I::zero(); N]; M];
        for m in 0..M {
            // −16 Σ q, as weights are taken from 0 to 31.
            sums[m] = [I::splat_sum(2 * *x.sums.add(m)); N];
        }
        for part in 0..8 / at_once {
            let mut dots = [[I::no_dots(); N]; M];
            for i in part * at_once / 2..(part + 1) * at_once / 2 {
                let w = each!(n => fives::quads::<I, PANEL>(integers[n], i));
                for half in 0..2 {
                    for m in 0..M {
                        let x = I::input(x.q.add(((2 * i + half) * M + m) * 4));
                        for n in 0..N {
                            dots[m][n] = I::dot::<M>(dots[m][n], w[n][half], x);
                        }
                    }
                }
            }
            for m in 0..M {
                for n in 0..N {
                    sums[m][n] = I::add_scaled(sums[m][n], dots[m][n], I::scale(1));
                }
            }
        }
        let d = each!(n => I::load_f16(header[n].cast()));
        for m in 0..M {
            let dx = I::splat(*x.scales.add(m));
            for n in 0..N {
                totals[m][n] = I::to_f32(sums[m][n]).fma(d[n].mul(dx), totals[m][n]);
            }
        }
    }
}

#[cfg(test)]
impl super::tests::Definition for Q5_0 {
    const SCALES: &'static [usize] = &[0];

    fn total(w: &BlockQ5_0, x: &[i64], dx: f32, total: f32) -> f32 {
        use super::tests::add_symmetric;
        add_symmetric(|i| i64::from(w.q(i)) - 16, w.d, x, dx, total)
    }
}
