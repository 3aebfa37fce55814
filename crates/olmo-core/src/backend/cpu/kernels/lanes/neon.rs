//! Lanes in four 128-bit registers, on any arm64.

use std::arch::aarch64::*;
use std::arch::asm;
use std::marker::PhantomData;

use half::{bf16, f16};

use super::Lanes;

/// Lanes 0–3, 4–7, 8–11 and 12–15. `P` says how bytes are multiplied, and means nothing to floats.
#[derive(Clone, Copy)]
pub struct Neon<P>(pub [float32x4_t; 4], PhantomData<P>);

impl<P> Neon<P> {
    #[inline(always)]
    pub fn new(registers: [float32x4_t; 4]) -> Self {
        Neon(registers, PhantomData)
    }
}

/// Something of each of the four registers. `$i` is a constant, so that nothing is left to unroll.
macro_rules! registers {
    (@ $i:ident $value:expr, $n:literal) => {{
        const $i: usize = $n;
        $value
    }};
    ($i:ident => $value:expr) => {
        [
            registers!(@ $i $value, 0),
            registers!(@ $i $value, 1),
            registers!(@ $i $value, 2),
            registers!(@ $i $value, 3),
        ]
    };
}
pub(in super::super) use registers;

// SAFETY: every function asks of its caller what `Lanes` states: the CPU has NEON, as every arm64 that
// Rust knows, and a pointer is valid for sixteen elements. Loads and stores here demand no alignment
// beyond an element's.
impl<P: Copy> Lanes for Neon<P> {
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Neon::new([vdupq_n_f32(x); 4])
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        Neon::new(registers!(I => vld1q_f32(p.add(4 * I))))
    }
    #[inline(always)]
    unsafe fn load_f16(p: *const f16) -> Self {
        let [a, b] = [widen_f16(vld1q_u16(p.cast())), widen_f16(vld1q_u16(p.add(8).cast()))];
        Neon::new([a[0], a[1], b[0], b[1]])
    }
    #[inline(always)]
    unsafe fn load_bf16(p: *const bf16) -> Self {
        Neon::new(
            registers!(I => vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(p.add(4 * I).cast())))),
        )
    }
    #[inline(always)]
    unsafe fn load_i8(p: *const i8) -> Self {
        let bytes = vld1q_s8(p);
        let [a, b] = [vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes)];
        Neon::new([
            vcvtq_f32_s32(vmovl_s16(vget_low_s16(a))),
            vcvtq_f32_s32(vmovl_high_s16(a)),
            vcvtq_f32_s32(vmovl_s16(vget_low_s16(b))),
            vcvtq_f32_s32(vmovl_high_s16(b)),
        ])
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        for i in 0..4 {
            vst1q_f32(p.add(4 * i), self.0[i]);
        }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Neon::new(registers!(I => vaddq_f32(self.0[I], other.0[I])))
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Neon::new(registers!(I => vsubq_f32(self.0[I], other.0[I])))
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Neon::new(registers!(I => vmulq_f32(self.0[I], other.0[I])))
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        Neon::new(registers!(I => vdivq_f32(self.0[I], other.0[I])))
    }
    #[inline(always)]
    unsafe fn fma(self, factor: Self, addend: Self) -> Self {
        Neon::new(registers!(I => vfmaq_f32(addend.0[I], self.0[I], factor.0[I])))
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        Neon::new(registers!(I => larger(self.0[I], other.0[I])))
    }
    #[inline(always)]
    unsafe fn select_lt(self, other: Self, yes: Self, no: Self) -> Self {
        Neon::new(registers!(I => vbslq_f32(vcltq_f32(self.0[I], other.0[I]), yes.0[I], no.0[I])))
    }
    #[inline(always)]
    unsafe fn low_bits_to_exponent(self) -> Self {
        let bits = registers!(I => vshlq_n_u32::<23>(vreinterpretq_u32_f32(self.0[I])));
        let one = vdupq_n_u32(1f32.to_bits());
        Neon::new(registers!(I => vreinterpretq_f32_u32(vaddq_u32(bits[I], one))))
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let x = fold(self);
        let x = vadd_f32(vget_low_f32(x), vget_high_f32(x));
        vget_lane_f32::<0>(x) + vget_lane_f32::<1>(x)
    }
    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        let x = larger(larger(self.0[0], self.0[2]), larger(self.0[1], self.0[3]));
        let x = larger(x, vextq_f32::<2>(x, x));
        vgetq_lane_f32::<0>(larger(x, vextq_f32::<1>(x, x)))
    }
    #[inline(always)]
    unsafe fn sums([a, b, c, d]: [Self; 4]) -> [f32; 4] {
        let [ab, cd] = [fold_two(fold(a), fold(b)), fold_two(fold(c), fold(d))];
        let mut sums = [0.0; 4];
        vst1q_f32(sums.as_mut_ptr(), vpaddq_f32(ab, cd));
        sums
    }
    #[inline(always)]
    unsafe fn prefetch<T>(p: *const T) {
        // The second level, as elsewhere: what is asked for is a tile away.
        asm!(
            "prfm pldl2keep, [{p}]",
            p = in(reg) p,
            options(nomem, nostack, preserves_flags),
        );
    }
}

/// `if a > b { a } else { b }`. The instruction for a maximum would give NaN, or the number, where either
/// is NaN.
#[inline(always)]
unsafe fn larger(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    vbslq_f32(vcgtq_f32(a, b), a, b)
}

/// Lanes 8–15 added to lanes 0–7, then 4–7 to 0–3.
#[inline(always)]
unsafe fn fold<P>(Neon([a, b, c, d], _): Neon<P>) -> float32x4_t {
    vaddq_f32(vaddq_f32(a, c), vaddq_f32(b, d))
}

/// The upper half of each added to its lower half: `[a a b b]`.
#[inline(always)]
unsafe fn fold_two(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    let [a, b] = [vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)];
    let (low, high) = (vzip1q_f64(a, b), vzip2q_f64(a, b));
    vaddq_f32(vreinterpretq_f32_f64(low), vreinterpretq_f32_f64(high))
}

/// Rust has no stable function for these instructions, which every arm64 has.
#[inline(always)]
unsafe fn widen_f16(halves: uint16x8_t) -> [float32x4_t; 2] {
    let (low, high): (float32x4_t, float32x4_t);
    asm!(
        "fcvtl {low:v}.4s, {halves:v}.4h",
        "fcvtl2 {high:v}.4s, {halves:v}.8h",
        low = out(vreg) low,
        high = lateout(vreg) high,
        halves = in(vreg) halves,
        options(pure, nomem, nostack, preserves_flags),
    );
    [low, high]
}
