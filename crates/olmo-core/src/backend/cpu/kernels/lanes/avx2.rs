//! Lanes in two 256-bit registers.

use std::arch::x86_64::*;

use half::{bf16, f16};

use super::Lanes;

/// Lanes 0–7 and lanes 8–15.
pub type Avx2 = [__m256; 2];

// SAFETY: every function asks of its caller what `Lanes` states: the CPU has AVX2, FMA and F16C, and a pointer is valid for
// sixteen elements. Loads and stores here demand no alignment beyond an element's.
impl Lanes for Avx2 {
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        [_mm256_set1_ps(x); 2]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        [_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))]
    }
    #[inline(always)]
    unsafe fn load_f16(p: *const f16) -> Self {
        [
            _mm256_cvtph_ps(_mm_loadu_si128(p.cast())),
            _mm256_cvtph_ps(_mm_loadu_si128(p.add(8).cast())),
        ]
    }
    #[inline(always)]
    unsafe fn load_bf16(p: *const bf16) -> Self {
        [widen_bf16(p), widen_bf16(p.add(8))]
    }
    #[inline(always)]
    unsafe fn load_i8(p: *const i8) -> Self {
        [widen_i8(p), widen_i8(p.add(8))]
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        _mm256_storeu_ps(p, self[0]);
        _mm256_storeu_ps(p.add(8), self[1]);
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        [_mm256_add_ps(self[0], other[0]), _mm256_add_ps(self[1], other[1])]
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        [_mm256_sub_ps(self[0], other[0]), _mm256_sub_ps(self[1], other[1])]
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        [_mm256_mul_ps(self[0], other[0]), _mm256_mul_ps(self[1], other[1])]
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        [_mm256_div_ps(self[0], other[0]), _mm256_div_ps(self[1], other[1])]
    }
    #[inline(always)]
    unsafe fn fma(self, factor: Self, addend: Self) -> Self {
        [
            _mm256_fmadd_ps(self[0], factor[0], addend[0]),
            _mm256_fmadd_ps(self[1], factor[1], addend[1]),
        ]
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        [_mm256_max_ps(self[0], other[0]), _mm256_max_ps(self[1], other[1])]
    }
    #[inline(always)]
    unsafe fn select_lt(self, other: Self, yes: Self, no: Self) -> Self {
        let less = [
            _mm256_cmp_ps::<_CMP_LT_OQ>(self[0], other[0]),
            _mm256_cmp_ps::<_CMP_LT_OQ>(self[1], other[1]),
        ];
        [_mm256_blendv_ps(no[0], yes[0], less[0]), _mm256_blendv_ps(no[1], yes[1], less[1])]
    }
    #[inline(always)]
    unsafe fn low_bits_to_exponent(self) -> Self {
        [exponent(self[0]), exponent(self[1])]
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let x = _mm256_add_ps(self[0], self[1]);
        let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
        let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
        _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)))
    }
    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        let x = _mm256_max_ps(self[0], self[1]);
        let x = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
        let x = _mm_max_ps(x, _mm_movehl_ps(x, x));
        _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)))
    }
    #[inline(always)]
    unsafe fn sums([a, b, c, d]: [Self; 4]) -> [f32; 4] {
        let ab = fold(_mm256_add_ps(a[0], a[1]), _mm256_add_ps(b[0], b[1]));
        let cd = fold(_mm256_add_ps(c[0], c[1]), _mm256_add_ps(d[0], d[1]));
        // In each half: two partial sums of a (or b), then two of c (or d).
        let x = _mm256_add_ps(
            _mm256_shuffle_ps::<0b01_00_01_00>(ab, cd),
            _mm256_shuffle_ps::<0b11_10_11_10>(ab, cd),
        );
        let x = _mm256_add_ps(x, _mm256_movehdup_ps(x)); // [a . c . b . d .]
        let (ac, bd) = (_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
        let mut sums = [0.0; 4];
        // [a c b d] → [a b c d]
        let x = _mm_shuffle_ps::<0b10_00_10_00>(ac, bd);
        _mm_storeu_ps(sums.as_mut_ptr(), _mm_shuffle_ps::<0b11_01_10_00>(x, x));
        sums
    }
    #[inline(always)]
    unsafe fn prefetch<T>(p: *const T) {
        _mm_prefetch::<_MM_HINT_T1>(p.cast())
    }
}

#[inline(always)]
unsafe fn widen_bf16(p: *const bf16) -> __m256 {
    let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(p.cast()));
    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
}

#[inline(always)]
unsafe fn widen_i8(p: *const i8) -> __m256 {
    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p.cast())))
}

#[inline(always)]
unsafe fn exponent(x: __m256) -> __m256 {
    let bits = _mm256_slli_epi32::<23>(_mm256_castps_si256(x));
    _mm256_castsi256_ps(_mm256_add_epi32(bits, _mm256_castps_si256(_mm256_set1_ps(1.0))))
}

/// The upper half of each added to its lower half: `[a a a a b b b b]`.
#[inline(always)]
unsafe fn fold(a: __m256, b: __m256) -> __m256 {
    _mm256_add_ps(_mm256_permute2f128_ps::<0x20>(a, b), _mm256_permute2f128_ps::<0x31>(a, b))
}
