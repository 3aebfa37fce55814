//! Integers in two 256-bit registers, with products summed in 16 bits.

use std::arch::asm;
use std::arch::x86_64::*;

use super::super::super::lanes::avx2::Avx2;
use super::Integers;

/// Lanes 0–7 and lanes 8–15.
type Two = [__m256i; 2];

// SAFETY: every function asks of its caller what `Integers` states: the CPU has AVX2, and pointers are
// valid. Loads and stores here demand no alignment. No sum of 16 bits overflows as long as `Dots` take
// no more quads than `Integers::WIDE` says.
impl Integers for Avx2 {
    type Bytes = Two;
    type Input = __m256i;
    type Dots = Two;
    type Pairs = Two;
    type Scale = Two;
    type Sums = Two;

    const WIDE: bool = false;

    #[inline(always)]
    unsafe fn load_bytes(p: *const u8) -> Two {
        [_mm256_loadu_si256(p.cast()), _mm256_loadu_si256(p.add(32).cast())]
    }
    #[inline(always)]
    unsafe fn store_bytes(bytes: Two, p: *mut u8) {
        _mm256_storeu_si256(p.cast(), bytes[0]);
        _mm256_storeu_si256(p.add(32).cast(), bytes[1]);
    }
    #[inline(always)]
    unsafe fn low(bytes: Two) -> Two {
        let mask = _mm256_set1_epi8(15);
        [_mm256_and_si256(bytes[0], mask), _mm256_and_si256(bytes[1], mask)]
    }
    #[inline(always)]
    unsafe fn high(bytes: Two) -> Two {
        Self::low([_mm256_srli_epi16::<4>(bytes[0]), _mm256_srli_epi16::<4>(bytes[1])])
    }
    #[inline(always)]
    unsafe fn or(a: Two, b: Two) -> Two {
        [_mm256_or_si256(a[0], b[0]), _mm256_or_si256(a[1], b[1])]
    }
    #[inline(always)]
    unsafe fn bit_to_fifth(bytes: Two, i: usize) -> Two {
        let mask = _mm256_set1_epi8(16);
        [
            _mm256_and_si256(moved(bytes[0], 4 - i as i32), mask),
            _mm256_and_si256(moved(bytes[1], 4 - i as i32), mask),
        ]
    }
    #[inline(always)]
    unsafe fn two_bits_to_fifth(bytes: Two, i: usize) -> Two {
        let mask = _mm256_set1_epi8(48);
        [
            _mm256_and_si256(moved(bytes[0], 4 - 2 * i as i32), mask),
            _mm256_and_si256(moved(bytes[1], 4 - 2 * i as i32), mask),
        ]
    }
    #[inline(always)]
    unsafe fn flip_signs(bytes: Two) -> Two {
        let signs = _mm256_set1_epi8(-128);
        [_mm256_xor_si256(bytes[0], signs), _mm256_xor_si256(bytes[1], signs)]
    }
    #[inline(always)]
    unsafe fn input(p: *const i8) -> __m256i {
        _mm256_set1_epi32(p.cast::<i32>().read_unaligned())
    }
    #[inline(always)]
    unsafe fn no_dots() -> Two {
        [_mm256_setzero_si256(); 2]
    }
    #[inline(always)]
    unsafe fn dot<const ROWS: usize>(dots: Two, w: Two, x: __m256i) -> Two {
        let dots = [
            _mm256_add_epi16(dots[0], _mm256_maddubs_epi16(w[0], x)),
            _mm256_add_epi16(dots[1], _mm256_maddubs_epi16(w[1], x)),
        ];
        match ROWS {
            1 => dots,
            _ => [in_order(dots[0]), in_order(dots[1])],
        }
    }
    #[inline(always)]
    unsafe fn load_pairs(p: *const u8) -> Two {
        [
            _mm256_cvtepi8_epi16(_mm_loadu_si128(p.cast())),
            _mm256_cvtepi8_epi16(_mm_loadu_si128(p.add(16).cast())),
        ]
    }
    #[inline(always)]
    unsafe fn scale_of(pairs: Two, which: usize) -> Two {
        const FIRST: [i8; 16] = [0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13];
        let first = _mm256_broadcastsi128_si256(_mm_loadu_si128(FIRST.as_ptr().cast()));
        let places = _mm256_add_epi8(first, _mm256_set1_epi8(2 * which as i8));
        [_mm256_shuffle_epi8(pairs[0], places), _mm256_shuffle_epi8(pairs[1], places)]
    }
    #[inline(always)]
    unsafe fn scale(x: i16) -> Two {
        [_mm256_set1_epi16(x); 2]
    }
    #[inline(always)]
    unsafe fn zero() -> Two {
        [_mm256_setzero_si256(); 2]
    }
    #[inline(always)]
    unsafe fn splat_sum(x: i32) -> Two {
        [_mm256_set1_epi32(x); 2]
    }
    #[inline(always)]
    unsafe fn add_scaled(sums: Two, dots: Two, scale: Two) -> Two {
        [
            _mm256_add_epi32(sums[0], _mm256_madd_epi16(dots[0], scale[0])),
            _mm256_add_epi32(sums[1], _mm256_madd_epi16(dots[1], scale[1])),
        ]
    }
    #[inline(always)]
    unsafe fn dot_pairs(sums: Two, pairs: Two, x: __m256i) -> Two {
        [
            _mm256_add_epi32(sums[0], _mm256_madd_epi16(pairs[0], x)),
            _mm256_add_epi32(sums[1], _mm256_madd_epi16(pairs[1], x)),
        ]
    }
    #[inline(always)]
    unsafe fn minus_32_times(a: Two, b: Two) -> Two {
        [
            _mm256_sub_epi32(a[0], _mm256_slli_epi32::<5>(b[0])),
            _mm256_sub_epi32(a[1], _mm256_slli_epi32::<5>(b[1])),
        ]
    }
    #[inline(always)]
    unsafe fn start_signed(_minus_128_times_sum: i32) -> Two {
        [_mm256_setzero_si256(); 2]
    }
    #[inline(always)]
    unsafe fn dot_signed(sums: Two, w: Two, x: __m256i) -> Two {
        [dot_signed(sums[0], w[0], x), dot_signed(sums[1], w[1], x)]
    }
    #[inline(always)]
    unsafe fn to_f32(sums: Two) -> Avx2 {
        [_mm256_cvtepi32_ps(sums[0]), _mm256_cvtepi32_ps(sums[1])]
    }
}

/// Bits moved up by `by`, or down if it is negative; across bytes, so the result is to be masked.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn moved(bytes: __m256i, by: i32) -> __m256i {
    match by {
        0.. => _mm256_sll_epi16(bytes, _mm_cvtsi32_si128(by)),
        _ => _mm256_srl_epi16(bytes, _mm_cvtsi32_si128(-by)),
    }
}

/// The weight's sign goes over to the activation. Two products of 128 · 127 fit 16 bits.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn dot_signed(sums: __m256i, w: __m256i, x: __m256i) -> __m256i {
    let products = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
    _mm256_add_epi32(sums, _mm256_madd_epi16(products, _mm256_set1_epi16(1)))
}

/// The same number, of which the compiler knows nothing before this point: it adds products in the order
/// they are written in. In an order of its own it would go row by row, and copy all weights of a block to
/// the stack to have them for the next row.
///
/// # Safety
/// The CPU has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn in_order(mut x: __m256i) -> __m256i {
    // SAFETY: these are no instructions.
    asm!("/* {} */", inout(ymm_reg) x, options(nomem, nostack, preserves_flags));
    x
}
