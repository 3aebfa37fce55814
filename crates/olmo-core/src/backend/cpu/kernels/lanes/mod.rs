//! Sixteen f32 lanes, the unit every kernel is written in.
//!
//! Kernels are written once over [`Lanes`]; a file here teaches it to one kind of CPU. Each operation
//! is an IEEE operation or a fixed sequence of them, so all implementations give the same bits, and
//! with them all kernels. The lanes are always sixteen, however many registers that takes: the
//! number decides in which order a sum is taken.
//!
//! Reductions halve: lanes 8–15 are added to lanes 0–7, then 4–7 to 0–3, and so on.

#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
#[cfg(target_arch = "aarch64")]
pub mod neon;
pub mod scalar;

use half::{bf16, f16};

use crate::dtype::DType;

pub const LANES: usize = 16;

/// A vector of [`LANES`] f32.
///
/// Beside each operation stand the intrinsics that do it: of AVX2 (AVX-512 has the same with `_mm512`,
/// unless said) and of NEON.
///
/// # Safety
///
/// For every function:
/// - The CPU has the instructions of the implementing type.
/// - The function is inlined into one that is compiled for these instructions.
/// - Pointers are valid for [`LANES`] elements; they need no alignment beyond their element's.
pub trait Lanes: Copy {
    /// `_mm256_set1_ps`, `vdupq_n_f32`
    unsafe fn splat(x: f32) -> Self;
    /// `_mm256_loadu_ps`, `vld1q_f32`
    unsafe fn load(p: *const f32) -> Self;
    /// `_mm256_cvtph_ps`; on NEON the instruction `fcvtl`
    unsafe fn load_f16(p: *const f16) -> Self;
    /// `_mm256_cvtepu16_epi32` and `_mm256_slli_epi32`, `vshll_n_u16`
    unsafe fn load_bf16(p: *const bf16) -> Self;
    /// `_mm256_cvtepi8_epi32` and `_mm256_cvtepi32_ps`, `vmovl_s8`, `vmovl_s16` and `vcvtq_f32_s32`
    unsafe fn load_i8(p: *const i8) -> Self;
    /// `_mm256_storeu_ps`, `vst1q_f32`
    unsafe fn store(self, p: *mut f32);

    /// `_mm256_add_ps`, `vaddq_f32`
    unsafe fn add(self, other: Self) -> Self;
    /// `_mm256_sub_ps`, `vsubq_f32`
    unsafe fn sub(self, other: Self) -> Self;
    /// `_mm256_mul_ps`, `vmulq_f32`
    unsafe fn mul(self, other: Self) -> Self;
    /// `_mm256_div_ps`, `vdivq_f32`
    unsafe fn div(self, other: Self) -> Self;
    /// `self · factor + addend`, rounded once: `_mm256_fmadd_ps`, `vfmaq_f32`.
    unsafe fn fma(self, factor: Self, addend: Self) -> Self;
    /// `if self > other { self } else { other }`: `other` where either is NaN. `_mm256_max_ps`; on NEON,
    /// whose maximum of a NaN is NaN, a comparison.
    unsafe fn max(self, other: Self) -> Self;
    /// `if self < other { yes } else { no }`: `_mm256_cmp_ps` and `_mm256_blendv_ps` (a mask in AVX-512),
    /// `vcltq_f32` and `vbslq_f32`.
    unsafe fn select_lt(self, other: Self, yes: Self, no: Self) -> Self;
    /// The low bits of each lane moved to the exponent, plus the bits of 1.0: `_mm256_slli_epi32` and
    /// `_mm256_add_epi32`, `vshlq_n_u32` and `vaddq_u32`.
    unsafe fn low_bits_to_exponent(self) -> Self;

    unsafe fn sum(self) -> f32;
    unsafe fn largest(self) -> f32;
    /// [`Lanes::sum`] of four vectors at once.
    unsafe fn sums(vectors: [Self; 4]) -> [f32; 4];

    /// Asks for a cache line that will be wanted soon. Any address will do, and nothing may happen.
    #[inline(always)]
    unsafe fn prefetch<T>(_p: *const T) {}

    /// `count` elements and zeros behind them.
    #[inline(always)]
    unsafe fn load_first(p: *const f32, count: usize) -> Self {
        let mut lanes = [0.0; LANES];
        std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), count);
        Self::load(lanes.as_ptr())
    }

    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, count: usize) {
        let mut lanes = [0.0; LANES];
        self.store(lanes.as_mut_ptr());
        std::ptr::copy_nonoverlapping(lanes.as_ptr(), p, count);
    }
}

/// Lanes that also multiply pairs of bf16 ([`LANES`] pairs, so twice as many numbers).
///
/// # Safety
/// As for [`Lanes`]; pointers are valid for twice as many elements.
pub trait PairLanes: Lanes {
    type Pairs: Copy;

    /// Zeros.
    unsafe fn no_pairs() -> Self::Pairs;
    unsafe fn load_pairs(p: *const bf16) -> Self::Pairs;
    unsafe fn store_pairs(pairs: Self::Pairs, p: *mut bf16);
    /// Adds to lane `i` first the product of the numbers `2 i + 1`, then that of the numbers `2 i`. Each sum
    /// is rounded once, to nearest even. Subnormal numbers count as zero, and sums that would be subnormal
    /// become it, whatever the CPU is set to: Intel's definition of `vdpbf16ps`.
    unsafe fn add_pairs(self, a: Self::Pairs, b: Self::Pairs) -> Self;
}

/// A number as weights and caches store it.
pub trait Element: Copy + Send + Sync + 'static {
    const ZERO: Self;
    const DTYPE: DType;
    fn to_f32(self) -> f32;
    fn from_f32(x: f32) -> Self;
    /// # Safety
    /// As for [`Lanes`].
    unsafe fn load<L: Lanes>(p: *const Self) -> L;
}

impl Element for f32 {
    const ZERO: f32 = 0.0;
    const DTYPE: DType = DType::F32;
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    #[inline(always)]
    fn from_f32(x: f32) -> f32 {
        x
    }
    #[inline(always)]
    unsafe fn load<L: Lanes>(p: *const f32) -> L {
        L::load(p)
    }
}

impl Element for f16 {
    const ZERO: f16 = f16::ZERO;
    const DTYPE: DType = DType::F16;
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f16::to_f32(self)
    }
    #[inline(always)]
    fn from_f32(x: f32) -> f16 {
        f16::from_f32(x)
    }
    #[inline(always)]
    unsafe fn load<L: Lanes>(p: *const f16) -> L {
        L::load_f16(p)
    }
}

impl Element for bf16 {
    const ZERO: bf16 = bf16::ZERO;
    const DTYPE: DType = DType::BF16;
    #[inline(always)]
    fn to_f32(self) -> f32 {
        bf16::to_f32(self)
    }
    #[inline(always)]
    fn from_f32(x: f32) -> bf16 {
        bf16::from_f32(x)
    }
    #[inline(always)]
    unsafe fn load<L: Lanes>(p: *const bf16) -> L {
        L::load_bf16(p)
    }
}
