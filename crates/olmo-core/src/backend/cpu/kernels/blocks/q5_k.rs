//! `q5_k` for the kernels.
//!
//! Header: that of `q4_k`. Integers: of each sub-block 32 weights as [`fives`] has them.

use super::activations::Activations;
use super::fives;
use super::integers::Integers;
use super::nibbles::quad;
use super::q4_k::{self, finish, pack_header, read_header};
use super::{Format, GROUP, QUAD};
use crate::quant::{unpack_scales, BlockQ5K};

pub struct Q5K;

impl Format for Q5K {
    type Block = BlockQ5K;

    const HEADER: usize = q4_k::HEADER;
    const INTEGERS: usize = 8 * fives::BYTES;

    fn pack(blocks: &[BlockQ5K], header: &mut [u8], integers: &mut [u8]) {
        for (output, block) in blocks.iter().enumerate() {
            pack_header(block.d, block.dmin, |j| unpack_scales(&block.scales, j), output, header);
            for (j, integers) in integers.chunks_exact_mut(fives::BYTES).enumerate() {
                let q = &block.q[j / 2 * 32..];
                let low = |i| quad(q, i) >> (4 * (j % 2)) & 0x0f0f_0f0f;
                let high = |i| (quad(&block.high, i) >> j & 0x0101_0101) << 4;
                fives::pack(std::array::from_fn(|i| low(i) | high(i)), output, integers);
            }
        }
    }

    fn read(header: &[u8], integers: &[u8], output: usize, out: &mut [f32]) {
        let subs = out.chunks_exact_mut(32).zip(integers.chunks_exact(fives::BYTES));
        for (j, (out, integers)) in subs.enumerate() {
            let (scale, minimum) = read_header(header, output, j);
            for (i, out) in out.iter_mut().enumerate() {
                *out = scale * f32::from(fives::read(integers, output, i)) - minimum;
            }
        }
    }

    #[inline(always)]
    unsafe fn unpack<I: Integers>(integers: *const u8, panel: *mut u8) {
        for j in 0..8 {
            fives::unpack::<I>(integers.add(j * fives::BYTES), panel.add(8 * j * QUAD));
        }
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
        for pair in 0..4 {
            let scales = each!(n => I::load_pairs(header[n].add(q4_k::SCALES + pair * 2 * GROUP)));
            for odd in 0..2 {
                let j = 2 * pair + odd;
                let scales = each!(n => I::scale_of(scales[n], odd));
                let start = each!(n => fives::part::<PANEL>(integers[n], j));
                for part in 0..8 / at_once {
                    let mut dots = [[I::no_dots(); N]; M];
                    for i in part * at_once / 2..(part + 1) * at_once / 2 {
                        let w = each!(n => fives::quads::<I, PANEL>(start[n], i));
                        for half in 0..2 {
                            for m in 0..M {
                                let x = I::input(x.q.add(((8 * j + 2 * i + half) * M + m) * 4));
                                for n in 0..N {
                                    dots[m][n] = I::dot::<M>(dots[m][n], w[n][half], x);
                                }
                            }
                        }
                    }
                    for m in 0..M {
                        for n in 0..N {
                            sums[m][n] = I::add_scaled(sums[m][n], dots[m][n], scales[n]);
                        }
                    }
                }
            }
        }
        finish(header, x, &sums, totals);
    }
}

#[cfg(test)]
impl super::tests::Definition for Q5K {
    const SCALES: &'static [usize] = &[0, 2];

    fn total(w: &BlockQ5K, x: &[i64], dx: f32, total: f32) -> f32 {
        use super::tests::affine;
        let q = |i: usize| {
            let low = i64::from(w.q[i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15);
            low + 16 * i64::from(w.high[i % 32] >> (i / 32) & 1)
        };
        affine(w.d, w.dmin, &w.scales, q, x).mul_add(dx, total)
    }
}
