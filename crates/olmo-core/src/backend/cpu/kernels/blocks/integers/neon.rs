//! Integers in four 128-bit registers: on any arm64, and with the dot products of newer ones.

use std::arch::aarch64::*;
use std::arch::asm;

use super::super::super::lanes::neon::{registers, Neon};
use super::Integers;

/// Lanes 0–3, 4–7, 8–11 and 12–15.
type Bytes = [uint8x16_t; 4];
type Sums = [int32x4_t; 4];

/// How bytes are multiplied. Weights are signed here: unsigned ones have at most six bits.
///
/// # Safety
/// As for [`Integers`].
pub trait Products: Copy {
    /// See [`Integers`].
    type Input: Copy;
    type Dots: Copy;

    unsafe fn input(p: *const i8) -> Self::Input;
    /// The same as two 16-bit numbers, in lanes 0 and 1.
    unsafe fn pair(x: Self::Input) -> int16x4_t;
    unsafe fn no_dots() -> Self::Dots;
    unsafe fn dot(dots: Self::Dots, w: Bytes, x: Self::Input) -> Self::Dots;
    /// All that was added, in each lane.
    unsafe fn total(dots: Self::Dots) -> Sums;
    unsafe fn dot_signed(sums: Sums, w: Bytes, x: Self::Input) -> Sums;
}

/// Products of bytes in 16 bits each, for any arm64.
#[derive(Clone, Copy)]
pub struct Widening;

// SAFETY: as for the implementation of `Integers` below.
impl Products for Widening {
    type Input = int8x16_t;
    /// A sum for each input of a quad: lanes 0 and 1, 2 and 3, and so on. Eight products of 5-bit weights
    /// fit (31 · 127 · 8 = 31496), and four of 6-bit ones (63 · 127 · 4 = 32004).
    type Dots = [int16x8_t; 8];

    #[inline(always)]
    unsafe fn input(p: *const i8) -> int8x16_t {
        opaque(vreinterpretq_s8_s32(vdupq_n_s32(p.cast::<i32>().read_unaligned())))
    }
    #[inline(always)]
    unsafe fn pair(x: int8x16_t) -> int16x4_t {
        vreinterpret_s16_s8(vget_low_s8(x))
    }
    #[inline(always)]
    unsafe fn no_dots() -> [int16x8_t; 8] {
        [vdupq_n_s16(0); 8]
    }
    #[inline(always)]
    unsafe fn dot(mut dots: [int16x8_t; 8], w: Bytes, x: int8x16_t) -> [int16x8_t; 8] {
        for i in 0..4 {
            let w = vreinterpretq_s8_u8(w[i]);
            dots[2 * i] = vmlal_s8(dots[2 * i], vget_low_s8(w), vget_low_s8(x));
            dots[2 * i + 1] = vmlal_high_s8(dots[2 * i + 1], w, x);
        }
        dots
    }
    #[inline(always)]
    unsafe fn total(dots: [int16x8_t; 8]) -> Sums {
        registers!(I => vpaddq_s32(vpaddlq_s16(dots[2 * I]), vpaddlq_s16(dots[2 * I + 1])))
    }
    /// Two products of −128 · 127 fit 16 bits.
    #[inline(always)]
    unsafe fn dot_signed(sums: Sums, w: Bytes, x: int8x16_t) -> Sums {
        registers!(I => {
            let w = vreinterpretq_s8_u8(w[I]);
            let low = vmull_s8(vget_low_s8(w), vget_low_s8(x));
            vpadalq_s16(sums[I], vpaddq_s16(low, vmull_high_s8(w, x)))
        })
    }
}

/// The same bytes, of which the compiler knows nothing before this point. Knowing that both halves are the
/// same it would multiply with the lower half only, and move the upper half of the weights down for that.
///
/// # Safety
/// The CPU has NEON.
#[inline(always)]
unsafe fn opaque(mut x: int8x16_t) -> int8x16_t {
    asm!("/* {x:v} */", x = inout(vreg) x, options(pure, nomem, nostack, preserves_flags));
    x
}

/// `sdot`, the instruction for quads, of CPUs that have `dotprod`.
#[derive(Clone, Copy)]
pub struct DotProduct;

// SAFETY: as for the implementation of `Integers` below; the CPU has the extension.
impl Products for DotProduct {
    /// Four bytes in a register's first lane: the instruction can spread them itself.
    type Input = f32;
    type Dots = Sums;

    #[inline(always)]
    unsafe fn input(p: *const i8) -> f32 {
        p.cast::<f32>().read_unaligned()
    }
    #[inline(always)]
    unsafe fn pair(x: f32) -> int16x4_t {
        vreinterpret_s16_f32(vdup_n_f32(x))
    }
    #[inline(always)]
    unsafe fn no_dots() -> Sums {
        [vdupq_n_s32(0); 4]
    }
    #[inline(always)]
    unsafe fn dot(dots: Sums, w: Bytes, x: f32) -> Sums {
        registers!(I => sdot(dots[I], w[I], x))
    }
    #[inline(always)]
    unsafe fn total(dots: Sums) -> Sums {
        dots
    }
    #[inline(always)]
    unsafe fn dot_signed(sums: Sums, w: Bytes, x: f32) -> Sums {
        Self::dot(sums, w, x)
    }
}

/// Rust has no stable function for this instruction.
///
/// # Safety
/// The CPU has `dotprod`.
#[inline(always)]
unsafe fn sdot(mut sums: int32x4_t, w: uint8x16_t, x: f32) -> int32x4_t {
    // SAFETY: it touches no memory, and of the flags none.
    asm!(
        ".arch_extension dotprod",
        "sdot {sums:v}.4s, {w:v}.16b, {x:v}.4b[0]",
        sums = inout(vreg) sums,
        w = in(vreg) w,
        x = in(vreg) x,
        options(pure, nomem, nostack, preserves_flags),
    );
    sums
}

// SAFETY: every function asks of its caller what `Integers` states: the CPU has NEON and what `P` needs,
// and pointers are valid. Loads and stores here demand no alignment.
impl<P: Products> Integers for Neon<P> {
    type Bytes = Bytes;
    type Input = P::Input;
    type Dots = P::Dots;
    /// The first of each pair, and the second: lanes 0–7 and lanes 8–15.
    type Pairs = [[int16x8_t; 2]; 2];
    type Scale = Sums;
    type Sums = Sums;

    const WIDE: bool = true;
    const SIGNED: bool = true;

    #[inline(always)]
    unsafe fn load_bytes(p: *const u8) -> Bytes {
        registers!(I => vld1q_u8(p.add(16 * I)))
    }
    #[inline(always)]
    unsafe fn store_bytes(bytes: Bytes, p: *mut u8) {
        for i in 0..4 {
            vst1q_u8(p.add(16 * i), bytes[i]);
        }
    }
    #[inline(always)]
    unsafe fn low(bytes: Bytes) -> Bytes {
        registers!(I => vandq_u8(bytes[I], vdupq_n_u8(15)))
    }
    #[inline(always)]
    unsafe fn high(bytes: Bytes) -> Bytes {
        registers!(I => vshrq_n_u8::<4>(bytes[I]))
    }
    #[inline(always)]
    unsafe fn or(a: Bytes, b: Bytes) -> Bytes {
        registers!(I => vorrq_u8(a[I], b[I]))
    }
    #[inline(always)]
    unsafe fn bit_to_fifth(bytes: Bytes, i: usize) -> Bytes {
        registers!(I => vandq_u8(moved(bytes[I], 4 - i as i8), vdupq_n_u8(16)))
    }
    #[inline(always)]
    unsafe fn two_bits_to_fifth(bytes: Bytes, i: usize) -> Bytes {
        registers!(I => vandq_u8(moved(bytes[I], 4 - 2 * i as i8), vdupq_n_u8(48)))
    }
    #[inline(always)]
    unsafe fn flip_signs(bytes: Bytes) -> Bytes {
        registers!(I => veorq_u8(bytes[I], vdupq_n_u8(128)))
    }
    #[inline(always)]
    unsafe fn input(p: *const i8) -> P::Input {
        P::input(p)
    }
    #[inline(always)]
    unsafe fn no_dots() -> P::Dots {
        P::no_dots()
    }
    #[inline(always)]
    unsafe fn dot<const ROWS: usize>(dots: P::Dots, w: Bytes, x: P::Input) -> P::Dots {
        P::dot(dots, w, x)
    }
    #[inline(always)]
    unsafe fn load_pairs(p: *const u8) -> [[int16x8_t; 2]; 2] {
        let int8x16x2_t(first, second) = vld2q_s8(p.cast());
        [
            [vmovl_s8(vget_low_s8(first)), vmovl_high_s8(first)],
            [vmovl_s8(vget_low_s8(second)), vmovl_high_s8(second)],
        ]
    }
    #[inline(always)]
    unsafe fn scale_of(pairs: [[int16x8_t; 2]; 2], which: usize) -> Sums {
        let [a, b] = pairs[which];
        [
            vmovl_s16(vget_low_s16(a)),
            vmovl_high_s16(a),
            vmovl_s16(vget_low_s16(b)),
            vmovl_high_s16(b),
        ]
    }
    #[inline(always)]
    unsafe fn scale(x: i16) -> Sums {
        [vdupq_n_s32(i32::from(x)); 4]
    }
    #[inline(always)]
    unsafe fn zero() -> Sums {
        [vdupq_n_s32(0); 4]
    }
    #[inline(always)]
    unsafe fn splat_sum(x: i32) -> Sums {
        [vdupq_n_s32(x); 4]
    }
    #[inline(always)]
    unsafe fn add_scaled(sums: Sums, dots: P::Dots, scale: Sums) -> Sums {
        let dots = P::total(dots);
        registers!(I => vmlaq_s32(sums[I], dots[I], scale[I]))
    }
    #[inline(always)]
    unsafe fn dot_pairs(sums: Sums, pairs: [[int16x8_t; 2]; 2], x: P::Input) -> Sums {
        let x = P::pair(x);
        let sums = add_products::<0>(sums, pairs[0], x);
        add_products::<1>(sums, pairs[1], x)
    }
    #[inline(always)]
    unsafe fn minus_32_times(a: Sums, b: Sums) -> Sums {
        registers!(I => vsubq_s32(a[I], vshlq_n_s32::<5>(b[I])))
    }
    #[inline(always)]
    unsafe fn start_signed(_minus_128_times_sum: i32) -> Sums {
        [vdupq_n_s32(0); 4]
    }
    #[inline(always)]
    unsafe fn dot_signed(sums: Sums, w: Bytes, x: P::Input) -> Sums {
        P::dot_signed(sums, w, x)
    }
    #[inline(always)]
    unsafe fn to_f32(sums: Sums) -> Self {
        Neon::new(registers!(I => vcvtq_f32_s32(sums[I])))
    }
}

/// The bits of each byte moved up by `by`, or down if it is negative.
///
/// # Safety
/// The CPU has NEON.
#[inline(always)]
unsafe fn moved(bytes: uint8x16_t, by: i8) -> uint8x16_t {
    vshlq_u8(bytes, vdupq_n_s8(by))
}

/// `sums + a · x[LANE]`
///
/// # Safety
/// The CPU has NEON.
#[inline(always)]
unsafe fn add_products<const LANE: i32>(sums: Sums, [a, b]: [int16x8_t; 2], x: int16x4_t) -> Sums {
    [
        vmlal_lane_s16::<LANE>(sums[0], vget_low_s16(a), x),
        vmlal_high_lane_s16::<LANE>(sums[1], a, x),
        vmlal_lane_s16::<LANE>(sums[2], vget_low_s16(b), x),
        vmlal_high_lane_s16::<LANE>(sums[3], b, x),
    ]
}
