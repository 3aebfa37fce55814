//! Integers in one 512-bit register, with AVX-512 VNNI's products of bytes.

use std::arch::x86_64::*;

use super::super::super::lanes::avx512::Avx512;
use super::Integers;

// SAFETY: every function asks of its caller what `Integers` states: the CPU has AVX-512 F, BW, DQ, VL
// and VNNI, and pointers are valid. Loads and stores here demand no alignment.
impl Integers for Avx512 {
    type Bytes = __m512i;
    type Input = __m512i;
    type Dots = __m512i;
    type Pairs = __m512i;
    type Scale = __m512i;
    type Sums = __m512i;

    const WIDE: bool = true;

    #[inline(always)]
    unsafe fn load_bytes(p: *const u8) -> __m512i {
        _mm512_loadu_si512(p.cast())
    }
    #[inline(always)]
    unsafe fn store_bytes(bytes: __m512i, p: *mut u8) {
        _mm512_storeu_si512(p.cast(), bytes);
    }
    #[inline(always)]
    unsafe fn low(bytes: __m512i) -> __m512i {
        _mm512_and_si512(bytes, _mm512_set1_epi8(15))
    }
    #[inline(always)]
    unsafe fn high(bytes: __m512i) -> __m512i {
        _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), _mm512_set1_epi8(15))
    }
    #[inline(always)]
    unsafe fn or(a: __m512i, b: __m512i) -> __m512i {
        _mm512_or_si512(a, b)
    }
    #[inline(always)]
    unsafe fn bit_to_fifth(bytes: __m512i, i: usize) -> __m512i {
        _mm512_and_si512(moved(bytes, 4 - i as i32), _mm512_set1_epi8(16))
    }
    #[inline(always)]
    unsafe fn two_bits_to_fifth(bytes: __m512i, i: usize) -> __m512i {
        _mm512_and_si512(moved(bytes, 4 - 2 * i as i32), _mm512_set1_epi8(48))
    }
    #[inline(always)]
    unsafe fn flip_signs(bytes: __m512i) -> __m512i {
        _mm512_xor_si512(bytes, _mm512_set1_epi8(-128))
    }
    #[inline(always)]
    unsafe fn input(p: *const i8) -> __m512i {
        _mm512_set1_epi32(p.cast::<i32>().read_unaligned())
    }
    #[inline(always)]
    unsafe fn no_dots() -> __m512i {
        _mm512_setzero_si512()
    }
    #[inline(always)]
    unsafe fn dot<const ROWS: usize>(dots: __m512i, w: __m512i, x: __m512i) -> __m512i {
        _mm512_dpbusd_epi32(dots, w, x)
    }
    #[inline(always)]
    unsafe fn load_pairs(p: *const u8) -> __m512i {
        _mm512_cvtepi8_epi16(_mm256_loadu_si256(p.cast()))
    }
    #[inline(always)]
    unsafe fn scale_of(pairs: __m512i, which: usize) -> __m512i {
        match which {
            0 => _mm512_srai_epi32::<16>(_mm512_slli_epi32::<16>(pairs)),
            _ => _mm512_srai_epi32::<16>(pairs),
        }
    }
    #[inline(always)]
    unsafe fn scale(x: i16) -> __m512i {
        _mm512_set1_epi32(i32::from(x))
    }
    #[inline(always)]
    unsafe fn zero() -> __m512i {
        _mm512_setzero_si512()
    }
    #[inline(always)]
    unsafe fn splat_sum(x: i32) -> __m512i {
        _mm512_set1_epi32(x)
    }
    #[inline(always)]
    unsafe fn add_scaled(sums: __m512i, dots: __m512i, scale: __m512i) -> __m512i {
        _mm512_add_epi32(sums, _mm512_mullo_epi32(dots, scale))
    }
    #[inline(always)]
    unsafe fn dot_pairs(sums: __m512i, pairs: __m512i, x: __m512i) -> __m512i {
        _mm512_dpwssd_epi32(sums, pairs, x)
    }
    #[inline(always)]
    unsafe fn minus_32_times(a: __m512i, b: __m512i) -> __m512i {
        _mm512_sub_epi32(a, _mm512_slli_epi32::<5>(b))
    }
    #[inline(always)]
    unsafe fn start_signed(minus_128_times_sum: i32) -> __m512i {
        _mm512_set1_epi32(minus_128_times_sum)
    }
    /// Weights plus 128: what that is too much, the sums started without.
    #[inline(always)]
    unsafe fn dot_signed(sums: __m512i, w: __m512i, x: __m512i) -> __m512i {
        _mm512_dpbusd_epi32(sums, Self::flip_signs(w), x)
    }
    #[inline(always)]
    unsafe fn to_f32(sums: __m512i) -> Avx512 {
        _mm512_cvtepi32_ps(sums)
    }
}

/// Bits moved up by `by`, or down if it is negative; across bytes, so the result is to be masked.
///
/// # Safety
/// The CPU has AVX-512 BW.
#[inline(always)]
unsafe fn moved(bytes: __m512i, by: i32) -> __m512i {
    match by {
        0.. => _mm512_sll_epi16(bytes, _mm_cvtsi32_si128(by)),
        _ => _mm512_srl_epi16(bytes, _mm_cvtsi32_si128(-by)),
    }
}
