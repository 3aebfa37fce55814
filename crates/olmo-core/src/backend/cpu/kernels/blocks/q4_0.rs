//! `q4_0` for the kernels. Header: `d` of each output (32 bytes). Integers: four times two quads.

use super::activations::Activations;
use super::integers::Integers;
use super::nibbles::{self, put, quad, read_half};
use super::{Format, GROUP, QUAD};
use crate::quant::{Block, BlockQ4_0};

pub struct Q4_0;

impl Format for Q4_0 {
    type Block = BlockQ4_0;

    const HEADER: usize = 2 * GROUP;
    const INTEGERS: usize = 4 * QUAD;

    fn pack(blocks: &[BlockQ4_0], header: &mut [u8], integers: &mut [u8]) {
        for (output, block) in blocks.iter().enumerate() {
            put(header, output, block.d.to_bytes());
            let quads = |i: usize| quad(&block.q, i % 4) >> (4 * (i / 4)) & 0x0f0f_0f0f;
            nibbles::pack(std::array::from_fn(quads), output, integers);
        }
    }

    fn read(header: &[u8], integers: &[u8], output: usize, out: &mut [f32]) {
        let mut block = BlockQ4_0 { d: read_half(header, output), q: [0; 16] };
        for (i, q) in block.q.iter_mut().enumerate() {
            let half = |i| nibbles::read(integers, output, i);
            *q = half(i) | half(i + 16) << 4;
        }
        block.dequantize(out);
    }

    #[inline(always)]
    unsafe fn unpack<I: Integers>(integers: *const u8, panel: *mut u8) {
        for i in 0..4 {
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
        let mut dots = [[I::no_dots(); N]; M];
        for i in 0..4 {
            let w = each!(n => nibbles::quads::<I, PANEL>(integers[n], i));
            for half in 0..2 {
                for m in 0..M {
                    let x = I::input(x.q.add(((2 * i + half) * M + m) * 4));
                    for n in 0..N {
                        dots[m][n] = I::dot::<M>(dots[m][n], w[n][half], x);
                    }
                }
            }
        }
        let d = each!(n => I::load_f16(header[n].cast()));
        for m in 0..M {
            let (start, dx) = (I::splat_sum(*x.sums.add(m)), I::splat(*x.scales.add(m)));
            for n in 0..N {
                let sum = I::add_scaled(start, dots[m][n], I::scale(1));
                totals[m][n] = I::to_f32(sum).fma(d[n].mul(dx), totals[m][n]);
            }
        }
    }
}

#[cfg(test)]
impl super::tests::Definition for Q4_0 {
    const SCALES: &'static [usize] = &[0];

    fn total(w: &BlockQ4_0, x: &[i64], dx: f32, total: f32) -> f32 {
        use super::tests::add_symmetric;
        let q = |i: usize| i64::from(w.q[i % 16] >> (i / 16 * 4) & 15) - 8;
        add_symmetric(q, w.d, x, dx, total)
    }
}
