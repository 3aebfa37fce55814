//! `q5_k` for the kernels.
//!
//! Header: that of `q4_k`. Integers: of each sub-block 64 bytes with the fifth bits, bit `i` of which
//! belongs to quad `i`; then four times two quads of the low four bits.

use super::activations::Activations;
use super::integers::Integers;
use super::nibbles::{self, quad};
use super::q4_k::{self, finish, pack_header, read_header};
use super::{Format, GROUP, QUAD};
use crate::quant::{unpack_scales, BlockQ5K};

pub struct Q5K;

/// Bytes of a sub-block.
const SUB: usize = 5 * QUAD;

/// Quads of 5-bit weights that sums of 16 bits take.
const ROOM: usize = 4;

/// Quads `2 i` and `2 i + 1` of a sub-block.
///
/// # Safety
/// As for [`Integers`]; the bytes are there.
#[inline(always)]
unsafe fn quads<I: Integers, const PANEL: bool>(p: *const u8, i: usize) -> [I::Bytes; 2] {
    if PANEL {
        return nibbles::quads::<I, true>(p, i);
    }
    let [a, b] = nibbles::quads::<I, false>(p.add(QUAD), i);
    let high = I::load_bytes(p);
    [I::or(a, I::bit_to_fifth(high, 2 * i)), I::or(b, I::bit_to_fifth(high, 2 * i + 1))]
}

impl Format for Q5K {
    type Block = BlockQ5K;

    const HEADER: usize = q4_k::HEADER;
    const INTEGERS: usize = 8 * SUB;

    fn pack(blocks: &[BlockQ5K], header: &mut [u8], integers: &mut [u8]) {
        for (output, block) in blocks.iter().enumerate() {
            pack_header(block.d, block.dmin, |j| unpack_scales(&block.scales, j), output, header);
            for (j, integers) in integers.chunks_exact_mut(SUB).enumerate() {
                let (high, low) = integers.split_at_mut(QUAD);
                let q = &block.q[j / 2 * 32..];
                let quads = |i| quad(q, i) >> (4 * (j % 2)) & 0x0f0f_0f0f;
                nibbles::pack(std::array::from_fn(quads), output, low);
                let bits = (0..8).map(|i| (quad(&block.high, i) >> j & 0x0101_0101) << i);
                let bits: u32 = bits.fold(0, |all, bits| all | bits);
                high[4 * output..][..4].copy_from_slice(&bits.to_le_bytes());
            }
        }
    }

    fn read(header: &[u8], integers: &[u8], output: usize, out: &mut [f32]) {
        let subs = out.chunks_exact_mut(32).zip(integers.chunks_exact(SUB));
        for (j, (out, integers)) in subs.enumerate() {
            let (scale, minimum) = read_header(header, output, j);
            for (i, out) in out.iter_mut().enumerate() {
                let high = integers[4 * output + i % 4] >> (i / 4) & 1;
                let q = nibbles::read(&integers[QUAD..], output, i) | high << 4;
                *out = scale * f32::from(q) - minimum;
            }
        }
    }

    #[inline(always)]
    unsafe fn unpack<I: Integers>(integers: *const u8, panel: *mut u8) {
        for j in 0..8 {
            for i in 0..4 {
                let [a, b] = quads::<I, false>(integers.add(j * SUB), i);
                I::store_bytes(a, panel.add((8 * j + 2 * i) * QUAD));
                I::store_bytes(b, panel.add((8 * j + 2 * i + 1) * QUAD));
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
        let at_once = if I::WIDE { 8 } else { ROOM };
        let mut sums = [[I::zero(); N]; M];
        for pair in 0..4 {
            let scales = each!(n => I::load_pairs(header[n].add(q4_k::SCALES + pair * 2 * GROUP)));
            for odd in 0..2 {
                let j = 2 * pair + odd;
                let scales = each!(n => I::scale_of(scales[n], odd));
                let start = each!(n => integers[n].add(j * if PANEL { 8 * QUAD } else { SUB }));
                for part in 0..8 / at_once {
                    let mut dots = [[I::no_dots(); N]; M];
                    for i in part * at_once / 2..(part + 1) * at_once / 2 {
                        let w = each!(n => quads::<I, PANEL>(start[n], i));
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
