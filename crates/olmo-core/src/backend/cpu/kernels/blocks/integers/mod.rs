//! Integers in sixteen lanes, beside the floats of [`Lanes`]: what kernels on quantised weights are
//! written in. All results are exact, so all implementations give the same.

#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512vnni;
#[cfg(target_arch = "aarch64")]
pub mod neon;
pub mod scalar;

use super::super::lanes::Lanes;

/// The operations on integers.
///
/// Weights and activations come by quads: four consecutive inputs, a byte each, in every lane. A lane is
/// an output, so weights are loaded, and activations are the same in all lanes.
///
/// Beside operations stand the intrinsics that do them: of AVX2, of AVX-512 VNNI where it has another, and
/// of NEON.
///
/// # Safety
///
/// For every function:
/// - The CPU has the instructions of the implementing type.
/// - The function is inlined into one that is compiled for these instructions.
/// - Pointers are valid for what is loaded or stored; they need no alignment.
pub trait Integers: Lanes {
    /// A quad of weights: four bytes a lane.
    type Bytes: Copy;
    /// A quad of activations, or a pair of 16-bit numbers: the same in all lanes.
    type Input: Copy;
    /// Sums of products of a few quads.
    type Dots: Copy;
    /// Two 16-bit numbers a lane.
    type Pairs: Copy;
    /// A 16-bit factor a lane, as `Dots` are multiplied with.
    type Scale: Copy;
    /// An i32 a lane.
    type Sums: Copy;

    /// Whether [`Integers::Dots`] take all quads that have one scale, as sums of 32 bits do: eight of 4-bit,
    /// 5-bit or 8-bit weights, or four of 6-bit ones. Else they have 16 bits and take eight quads of 4-bit
    /// weights (15 · 127 · 2 · 8 = 30480), four of 5-bit and two of 6-bit ones.
    const WIDE: bool;
    /// Whether [`Integers::dot_signed`] is as quick as [`Integers::dot`]. A panel of `q8_0` then has signed
    /// weights, and `dot` meets none of more than six bits.
    const SIGNED: bool = false;

    /// `_mm256_loadu_si256`, `vld1q_u8`
    unsafe fn load_bytes(p: *const u8) -> Self::Bytes;
    /// `_mm256_storeu_si256`, `vst1q_u8`
    unsafe fn store_bytes(bytes: Self::Bytes, p: *mut u8);
    /// The low four bits of each byte: `_mm256_and_si256`, `vandq_u8`.
    unsafe fn low(bytes: Self::Bytes) -> Self::Bytes;
    /// The high four bits of each byte, moved down: `_mm256_srli_epi16` and a mask, `vshrq_n_u8`.
    unsafe fn high(bytes: Self::Bytes) -> Self::Bytes;
    /// `_mm256_or_si256`, `vorrq_u8`
    unsafe fn or(a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// Bit `i` of each byte, moved to bit 4, and nothing else.
    unsafe fn bit_to_fifth(bytes: Self::Bytes, i: usize) -> Self::Bytes;
    /// Bits `2 i` and `2 i + 1` of each byte, moved to bits 4 and 5, and nothing else.
    unsafe fn two_bits_to_fifth(bytes: Self::Bytes, i: usize) -> Self::Bytes;
    /// Signed bytes plus 128: `_mm256_xor_si256`, `veorq_u8`.
    unsafe fn flip_signs(bytes: Self::Bytes) -> Self::Bytes;

    /// Four bytes, in all lanes.
    unsafe fn input(p: *const i8) -> Self::Input;

    unsafe fn no_dots() -> Self::Dots;
    /// Adds, in each lane, the four products of unsigned weights and signed activations. `ROWS` is how
    /// many rows the weights are used for in turn. `_mm256_maddubs_epi16`, `_mm512_dpbusd_epi32`; on arm64
    /// `sdot`, or products widened to 16 bits.
    unsafe fn dot<const ROWS: usize>(
        dots: Self::Dots,
        w: Self::Bytes,
        x: Self::Input,
    ) -> Self::Dots;

    /// Two signed bytes of lane 0, of lane 1, and so on: 32 bytes.
    unsafe fn load_pairs(p: *const u8) -> Self::Pairs;
    /// The first (0) or the second (1) of each pair.
    unsafe fn scale_of(pairs: Self::Pairs, which: usize) -> Self::Scale;
    /// `_mm256_set1_epi16`, `_mm512_set1_epi32`, `vdupq_n_s32`
    unsafe fn scale(x: i16) -> Self::Scale;

    /// `_mm256_setzero_si256`, `vdupq_n_s32`
    unsafe fn zero() -> Self::Sums;
    /// `_mm256_set1_epi32`, `vdupq_n_s32`
    unsafe fn splat_sum(x: i32) -> Self::Sums;
    /// `sums + dots · scale`: `_mm256_madd_epi16` and `_mm256_add_epi32`, `_mm512_mullo_epi32`, `vmlaq_s32`.
    unsafe fn add_scaled(sums: Self::Sums, dots: Self::Dots, scale: Self::Scale) -> Self::Sums;
    /// Adds, in each lane, the products of the two numbers of `pairs` with the two of `x`:
    /// `_mm256_madd_epi16`, `_mm512_dpwssd_epi32`.
    unsafe fn dot_pairs(sums: Self::Sums, pairs: Self::Pairs, x: Self::Input) -> Self::Sums;
    /// `a − 32 b`: `_mm256_slli_epi32` and `_mm256_sub_epi32`, `vshlq_n_s32` and `vsubq_s32`.
    unsafe fn minus_32_times(a: Self::Sums, b: Self::Sums) -> Self::Sums;
    /// What [`Integers::dot_signed`] starts from: its activations' sum is known, times −128.
    unsafe fn start_signed(minus_128_times_sum: i32) -> Self::Sums;
    /// Adds, in each lane, the four products of signed weights and activations.
    unsafe fn dot_signed(sums: Self::Sums, w: Self::Bytes, x: Self::Input) -> Self::Sums;
    /// `_mm256_cvtepi32_ps`, `vcvtq_f32_s32`
    unsafe fn to_f32(sums: Self::Sums) -> Self;
}
