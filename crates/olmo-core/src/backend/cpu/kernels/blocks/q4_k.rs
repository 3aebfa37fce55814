//! `q4_k` for the kernels.
//!
//! Header, 320 bytes: `d` of each output, `−dmin` of each; then, pair of sub-blocks after pair, the
//! scales of both for output 0, for output 1, and so on, a byte each; the minima in the same way.
//! Integers: of each sub-block four times two quads.

use super::activations::Activations;
use super::integers::Integers;
use super::nibbles::{self, put, quad, read_half};
use super::{Format, GROUP, QUAD};
use crate::quant::{unpack_scales, BlockQ4K, Half};

pub struct Q4K;

/// Where in the header things start.
pub(super) const DMIN: usize = 2 * GROUP;
pub(super) const SCALES: usize = 4 * GROUP;
pub(super) const MINIMA: usize = SCALES + 8 * GROUP;
pub(super) const HEADER: usize = MINIMA + 8 * GROUP;

/// Fills one output's place in a header.
pub(super) fn pack_header(
    d: Half,
    dmin: Half,
    scales: impl Fn(usize) -> (u8, u8),
    output: usize,
    header: &mut [u8],
) {
    put(header, output, d.to_bytes());
    put(&mut header[DMIN..], output, dmin.negated().to_bytes());
    for j in 0..8 {
        let (scale, minimum) = scales(j);
        let place = j / 2 * 2 * GROUP + 2 * output + j % 2;
        (header[SCALES + place], header[MINIMA + place]) = (scale, minimum);
    }
}

/// `(d · scale, dmin · minimum)` of an output's sub-block.
pub(super) fn read_header(header: &[u8], output: usize, j: usize) -> (f32, f32) {
    let place = j / 2 * 2 * GROUP + 2 * output + j % 2;
    let (d, dmin) = (read_half(header, output), read_half(&header[DMIN..], output).negated());
    (d.get() * f32::from(header[SCALES + place]), dmin.get() * f32::from(header[MINIMA + place]))
}

/// Takes the scaled sums of a block's products, and adds the block's part to the totals.
///
/// # Safety
/// As for [`Format::add`].
#[inline(always)]
pub(super) unsafe fn finish<I: Integers, const M: usize, const N: usize>(
    header: [*const u8; N],
    x: &Activations,
    sums: &[[I::Sums; N]; M],
    totals: &mut [[I; N]; M],
) {
    let mut minima = [[I::zero(); N]; M];
    for pair in 0..4 {
        let w = each!(n => I::load_pairs(header[n].add(MINIMA + pair * 2 * GROUP)));
        for m in 0..M {
            let x = I::input(x.sums.add((8 + pair) * M + m).cast());
            for n in 0..N {
                minima[m][n] = I::dot_pairs(minima[m][n], w[n], x);
            }
        }
    }
    let d = each!(n => I::load_f16(header[n].cast()));
    let dmin = each!(n => I::load_f16(header[n].add(DMIN).cast()));
    for m in 0..M {
        let dx = I::splat(*x.scales.add(m));
        for n in 0..N {
            let minimum = I::to_f32(minima[m][n]).mul(dmin[n]);
            let part = I::to_f32(sums[m][n]).fma(d[n], minimum);
            totals[m][n] = part.fma(dx, totals[m][n]);
        }
    }
}

impl Format for Q4K {
    type Block = BlockQ4K;

    const HEADER: usize = HEADER;
    const INTEGERS: usize = 32 * QUAD;

    fn pack(blocks: &[BlockQ4K], header: &mut [u8], integers: &mut [u8]) {
        for (output, block) in blocks.iter().enumerate() {
            pack_header(block.d, block.dmin, |j| unpack_scales(&block.scales, j), output, header);
            for (j, integers) in integers.chunks_exact_mut(4 * QUAD).enumerate() {
                let q = &block.q[j / 2 * 32..];
                let quads = |i| quad(q, i) >> (4 * (j % 2)) & 0x0f0f_0f0f;
                nibbles::pack(std::array::from_fn(quads), output, integers);
            }
        }
    }

    fn read(header: &[u8], integers: &[u8], output: usize, out: &mut [f32]) {
        let subs = out.chunks_exact_mut(32).zip(integers.chunks_exact(4 * QUAD));
        for (j, (out, integers)) in subs.enumerate() {
            let (scale, minimum) = read_header(header, output, j);
            for (i, out) in out.iter_mut().enumerate() {
                *out = scale * f32::from(nibbles::read(integers, output, i)) - minimum;
            }
        }
    }

    #[inline(always)]
    unsafe fn unpack<I: Integers>(integers: *const u8, panel: *mut u8) {
        for i in 0..32 {
            let [a, b] = nibbles::quads::<I, false>(integers, i);
            I::store_bytes(a, panel.add(2 * i * QUAD));
            I::store_bytes(b, panel.add((2 * i + 1) * QUAD));
        }
    }

    #[inline(always)]
    unsafe fn add<I: Integers, const M: usize, const N: usize, const PANEL: bool>(
        header: [*const u8; N],
        integers: [*const u8; N],
        x: &Activations,
        totals: &mut [[I; N]; M],
    ) {
        let mut sums = [[I::zero(); N]; M];
        for pair in 0..4 {
            let scales = each!(n => I::load_pairs(header[n].add(SCALES + pair * 2 * GROUP)));
            for odd in 0..2 {
                let j = 2 * pair + odd;
                let mut dots = [[I::no_dots(); N]; M];
                for i in 0..4 {
                    let w = each!(n => nibbles::quads::<I, PANEL>(integers[n], 4 * j + i));
                    for half in 0..2 {
                        for m in 0..M {
                            let x = I::input(x.q.add(((8 * j + 2 * i + half) * M + m) * 4));
                            for n in 0..N {
                                dots[m][n] = I::dot::<M>(dots[m][n], w[n][half], x);
                            }
                        }
                    }
                }
                let scales = each!(n => I::scale_of(scales[n], odd));
                for m in 0..M {
                    for n in 0..N {
                        sums[m][n] = I::add_scaled(sums[m][n], dots[m][n], scales[n]);
                    }
                }
            }
        }
        finish(header, x, &sums, totals);
    }
}

#[cfg(test)]
impl super::tests::Definition for Q4K {
    const SCALES: &'static [usize] = &[0, 2];

    fn total(w: &BlockQ4K, x: &[i64], dx: f32, total: f32) -> f32 {
        use super::tests::affine;
        let q = |i: usize| i64::from(w.q[i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15);
        affine(w.d, w.dmin, &w.scales, q, x).mul_add(dx, total)
    }
}
