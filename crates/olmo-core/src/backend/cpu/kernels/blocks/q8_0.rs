//! `q8_0` for the kernels. Header: `d` of each output (32 bytes). Integers: eight quads.

use super::activations::Activations;
use super::integers::Integers;
use super::nibbles::{put, read_half};
use super::{Format, GROUP, QUAD};
use crate::quant::{Block, BlockQ8_0};

pub struct Q8_0;

const QUADS: usize = 8;

impl Format for Q8_0 {
    type Block = BlockQ8_0;

    const HEADER: usize = 2 * GROUP;
    const INTEGERS: usize = QUADS * QUAD;

    fn pack(blocks: &[BlockQ8_0], header: &mut [u8], integers: &mut [u8]) {
        for (output, block) in blocks.iter().enumerate() {
            put(header, output, block.d.to_bytes());
            for (i, quad) in block.q.as_chunks::<4>().0.iter().enumerate() {
                put(integers, i * GROUP + output, quad.map(|q| q as u8));
            }
        }
    }

    fn read(header: &[u8], integers: &[u8], output: usize, out: &mut [f32]) {
        let mut block = BlockQ8_0 { d: read_half(header, output), q: [0; 32] };
        for (i, q) in block.q.iter_mut().enumerate() {
            *q = integers[i / 4 * QUAD + 4 * output + i % 4] as i8;
        }
        block.dequantize(out);
    }

    /// A panel has the weights, or weights plus 128, which are not negative: in one plane, or, for kernels
    /// that sum in 16 bits, in a plane of low and a plane of high halves.
    fn panel_bytes<I: Integers>() -> usize {
        match I::WIDE {
            true => QUADS * QUAD,
            false => 2 * QUADS * QUAD,
        }
    }

    #[inline(always)]
    unsafe fn unpack<I: Integers>(integers: *const u8, panel: *mut u8) {
        for i in 0..QUADS {
            let signed = I::load_bytes(integers.add(i * QUAD));
            let q = if I::SIGNED { signed } else { I::flip_signs(signed) };
            if I::WIDE {
                I::store_bytes(q, panel.add(i * QUAD));
            } else {
                I::store_bytes(I::low(q), panel.add(i * QUAD));
                I::store_bytes(I::high(q), panel.add((QUADS + i) * QUAD));
            }
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
        if PANEL && !I::SIGNED {
            for m in 0..M {
                sums[m] = [I::splat_sum(*x.sums.add(M + m)); N];
            }
            for plane in 0..if I::WIDE { 1 } else { 2 } {
                let mut dots = [[I::no_dots(); N]; M];
                for i in 0..QUADS {
                    let w = each!(n => I::load_bytes(integers[n].add((plane * QUADS + i) * QUAD)));
                    for m in 0..M {
                        let x = I::input(x.q.add((i * M + m) * 4));
                        for n in 0..N {
                            dots[m][n] = I::dot::<M>(dots[m][n], w[n], x);
                        }
                    }
                }
                let scale = I::scale(if plane == 0 { 1 } else { 16 });
                for m in 0..M {
                    for n in 0..N {
                        sums[m][n] = I::add_scaled(sums[m][n], dots[m][n], scale);
                    }
                }
            }
        } else {
            for m in 0..M {
                sums[m] = [I::start_signed(*x.sums.add(M + m)); N];
            }
            for i in 0..QUADS {
                let w = each!(n => I::load_bytes(integers[n].add(i * QUAD)));
                for m in 0..M {
                    let x = I::input(x.q.add((i * M + m) * 4));
                    for n in 0..N {
                        sums[m][n] = I::dot_signed(sums[m][n], w[n], x);
                    }
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
impl super::tests::Definition for Q8_0 {
    const SCALES: &'static [usize] = &[0];

    fn total(w: &BlockQ8_0, x: &[i64], dx: f32, total: f32) -> f32 {
        use super::tests::add_symmetric;
        add_symmetric(|i| w.q[i].into(), w.d, x, dx, total)
    }
}
