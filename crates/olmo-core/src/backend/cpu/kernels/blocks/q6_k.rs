//! `q6_k` for the kernels.
//!
//! Header, 288 bytes: `d` of each output; then, pair of sub-blocks after pair, the scales of both for
//! output 0, for output 1, and so on. Integers: of each two sub-blocks (32 inputs, eight quads) four
//! times two quads of the low four bits; then two times 64 bytes with the high two bits of four quads
//! each, bits `2 i` of which belong to quad `i`. They are weights plus 32, which are not negative.

use super::activations::Activations;
use super::integers::Integers;
use super::nibbles::{self, put, read_half};
use super::{Format, GROUP, QUAD};
use crate::quant::BlockQ6K;

pub struct Q6K;

const SCALES: usize = 2 * GROUP;

/// Bytes of two sub-blocks.
const PAIR: usize = 6 * QUAD;

/// Quads of 6-bit weights that sums of 16 bits take.
const ROOM: usize = 2;

/// Quads `2 i` and `2 i + 1` of two sub-blocks.
///
/// # Safety
/// As for [`Integers`]; the bytes are there.
#[inline(always)]
unsafe fn quads<I: Integers, const PANEL: bool>(p: *const u8, i: usize) -> [I::Bytes; 2] {
    let [a, b] = nibbles::quads::<I, PANEL>(p, i);
    if PANEL {
        return [a, b];
    }
    let high = I::load_bytes(p.add((4 + i / 2) * QUAD));
    let first = 2 * (i % 2);
    [I::or(a, I::two_bits_to_fifth(high, first)), I::or(b, I::two_bits_to_fifth(high, first + 1))]
}

impl Format for Q6K {
    type Block = BlockQ6K;

    const HEADER: usize = SCALES + 16 * GROUP;
    const INTEGERS: usize = 8 * PAIR;

    fn pack(blocks: &[BlockQ6K], header: &mut [u8], integers: &mut [u8]) {
        for (output, block) in blocks.iter().enumerate() {
            put(header, output, block.d.to_bytes());
            for (j, &scale) in block.scales.iter().enumerate() {
                header[SCALES + j / 2 * 2 * GROUP + 2 * output + j % 2] = scale as u8;
            }
            for (pair, integers) in integers.chunks_exact_mut(PAIR).enumerate() {
                let (half, k) = (pair / 4, pair % 4);
                let low = &block.low[64 * half + 32 * (k % 2)..];
                let high = &block.high[32 * half..];
                let quads = |i| nibbles::quad(low, i) >> (4 * (k / 2)) & 0x0f0f_0f0f;
                nibbles::pack(std::array::from_fn(quads), output, integers);
                for four in 0..2 {
                    let bits = (0..4).map(|i| {
                        (nibbles::quad(high, 4 * four + i) >> (2 * k) & 0x0303_0303) << (2 * i)
                    });
                    let bits: u32 = bits.fold(0, |all, bits| all | bits);
                    let place = (4 + four) * QUAD + 4 * output;
                    integers[place..][..4].copy_from_slice(&bits.to_le_bytes());
                }
            }
        }
    }

    fn read(header: &[u8], integers: &[u8], output: usize, out: &mut [f32]) {
        let d = read_half(header, output).get();
        let pairs = out.chunks_exact_mut(32).zip(integers.chunks_exact(PAIR));
        for (pair, (out, integers)) in pairs.enumerate() {
            for (i, out) in out.iter_mut().enumerate() {
                let scale = header[SCALES + pair * 2 * GROUP + 2 * output + i / 16] as i8;
                let high = integers[(4 + i / 16) * QUAD + 4 * output + i % 4] >> (i % 16 / 4 * 2);
                let q = nibbles::read(integers, output, i) | (high & 3) << 4;
                *out = d * f32::from(scale) * f32::from(q as i8 - 32);
            }
        }
    }

    #[inline(always)]
    unsafe fn unpack<I: Integers>(integers: *const u8, panel: *mut u8) {
        for pair in 0..8 {
            for i in 0..4 {
                let [a, b] = quads::<I, false>(integers.add(pair * PAIR), i);
                I::store_bytes(a, panel.add((8 * pair + 2 * i) * QUAD));
                I::store_bytes(b, panel.add((8 * pair + 2 * i + 1) * QUAD));
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
        let at_once = if I::WIDE { 4 } else { ROOM };
        let mut sums = [[I::zero(); N]; M];
        // What 32 too much in every weight amounts to: it is taken off the sums.
        let mut excess = [[I::zero(); N]; M];
        for pair in 0..8 {
            let pairs = each!(n => I::load_pairs(header[n].add(SCALES + pair * 2 * GROUP)));
            let start = each!(n => integers[n].add(pair * if PANEL { 8 * QUAD } else { PAIR }));
            for m in 0..M {
                let x = I::input(x.sums.add(pair * M + m).cast());
                for n in 0..N {
                    excess[m][n] = I::dot_pairs(excess[m][n], pairs[n], x);
                }
            }
            for odd in 0..2 {
                let scales = each!(n => I::scale_of(pairs[n], odd));
                for part in 0..4 / at_once {
                    let mut dots = [[I::no_dots(); N]; M];
                    let first = 2 * odd + part * at_once / 2;
                    for i in first..first + at_once / 2 {
                        let w = each!(n => quads::<I, PANEL>(start[n], i));
                        for half in 0..2 {
                            for m in 0..M {
                                let quad = 8 * pair + 2 * i + half;
                                let x = I::input(x.q.add((quad * M + m) * 4));
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
        let d = each!(n => I::load_f16(header[n].cast()));
        for m in 0..M {
            let dx = I::splat(*x.scales.add(m));
            for n in 0..N {
                let sum = I::minus_32_times(sums[m][n], excess[m][n]);
                totals[m][n] = I::to_f32(sum).mul(d[n]).fma(dx, totals[m][n]);
            }
        }
    }
}

#[cfg(test)]
impl super::tests::Definition for Q6K {
    const SCALES: &'static [usize] = &[208];

    fn total(w: &BlockQ6K, x: &[i64], dx: f32, total: f32) -> f32 {
        use super::tests::dot;
        let sums = x.chunks_exact(16).enumerate().map(|(j, x)| {
            i64::from(w.scales[j]) * dot(x, (16 * j..16 * (j + 1)).map(|i| w.q(i).into()))
        });
        (sums.sum::<i64>() as f32 * w.d.get()).mul_add(dx, total)
    }
}
