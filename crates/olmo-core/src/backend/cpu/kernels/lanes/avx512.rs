//! Lanes in one 512-bit register.

use std::arch::x86_64::*;

use half::{bf16, f16};

use super::{Lanes, PairLanes};

pub type Avx512 = __m512;

// SAFETY: every function asks of its caller what `Lanes` states: the CPU has AVX-512 F, BW, DQ and VL, and a pointer is valid for
// sixteen elements. Loads and stores here demand no alignment beyond an element's.
impl Lanes for Avx512 {
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        _mm512_set1_ps(x)
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        _mm512_loadu_ps(p)
    }
    #[inline(always)]
    unsafe fn load_f16(p: *const f16) -> Self {
        _mm512_cvtph_ps(_mm256_loadu_si256(p.cast()))
    }
    #[inline(always)]
    unsafe fn load_bf16(p: *const bf16) -> Self {
        let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(p.cast()));
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
    }
    #[inline(always)]
    unsafe fn load_i8(p: *const i8) -> Self {
        _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(p.cast())))
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        _mm512_storeu_ps(p, self)
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        _mm512_add_ps(self, other)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        _mm512_sub_ps(self, other)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        _mm512_mul_ps(self, other)
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        _mm512_div_ps(self, other)
    }
    #[inline(always)]
    unsafe fn fma(self, factor: Self, addend: Self) -> Self {
        _mm512_fmadd_ps(self, factor, addend)
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        _mm512_max_ps(self, other)
    }
    #[inline(always)]
    unsafe fn select_lt(self, other: Self, yes: Self, no: Self) -> Self {
        _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(self, other), no, yes)
    }
    #[inline(always)]
    unsafe fn low_bits_to_exponent(self) -> Self {
        let bits = _mm512_slli_epi32::<23>(_mm512_castps_si512(self));
        let one = _mm512_castps_si512(_mm512_set1_ps(1.0));
        _mm512_castsi512_ps(_mm512_add_epi32(bits, one))
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let x = _mm256_add_ps(_mm512_castps512_ps256(self), upper(self));
        let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
        let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
        _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)))
    }
    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        let x = _mm256_max_ps(_mm512_castps512_ps256(self), upper(self));
        let x = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
        let x = _mm_max_ps(x, _mm_movehl_ps(x, x));
        _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)))
    }
    /// In quarters of a register: `a` is `[a0 a1 a2 a3]`. The first step adds `a2` to `a0` and `a3`
    /// to `a1`, the second brings all four vectors into one register, a quarter each.
    #[inline(always)]
    unsafe fn sums([a, b, c, d]: [Self; 4]) -> [f32; 4] {
        const LOW: i32 = 0b01_00_01_00;
        const HIGH: i32 = 0b11_10_11_10;
        const EVEN: i32 = 0b10_00_10_00;
        const ODD: i32 = 0b11_01_11_01;
        let ab =
            _mm512_add_ps(_mm512_shuffle_f32x4::<LOW>(a, b), _mm512_shuffle_f32x4::<HIGH>(a, b));
        let cd =
            _mm512_add_ps(_mm512_shuffle_f32x4::<LOW>(c, d), _mm512_shuffle_f32x4::<HIGH>(c, d));
        let x = _mm512_add_ps(
            _mm512_shuffle_f32x4::<EVEN>(ab, cd),
            _mm512_shuffle_f32x4::<ODD>(ab, cd),
        );
        let x = _mm512_add_ps(x, _mm512_permute_ps::<0b11_10_11_10>(x));
        let x = _mm512_add_ps(x, _mm512_permute_ps::<0b01_01_01_01>(x));
        let firsts = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
        let mut sums = [0.0; 4];
        let x = _mm512_castps512_ps128(_mm512_permutexvar_ps(firsts, x));
        _mm_storeu_ps(sums.as_mut_ptr(), x);
        sums
    }
    #[inline(always)]
    unsafe fn prefetch<T>(p: *const T) {
        _mm_prefetch::<_MM_HINT_T1>(p.cast())
    }
}

// SAFETY: as above, with AVX-512 BF16 as well and pointers that are valid for 32 elements.
impl PairLanes for Avx512 {
    type Pairs = __m512bh;

    #[inline(always)]
    unsafe fn no_pairs() -> __m512bh {
        std::mem::transmute(_mm512_setzero_si512())
    }
    #[inline(always)]
    unsafe fn load_pairs(p: *const bf16) -> __m512bh {
        std::mem::transmute(_mm512_loadu_si512(p.cast()))
    }
    #[inline(always)]
    unsafe fn store_pairs(pairs: __m512bh, p: *mut bf16) {
        _mm512_storeu_si512(p.cast(), std::mem::transmute::<__m512bh, __m512i>(pairs));
    }
    #[inline(always)]
    unsafe fn add_pairs(self, a: __m512bh, b: __m512bh) -> Self {
        _mm512_dpbf16_ps(self, a, b)
    }
}

#[inline(always)]
unsafe fn upper(x: __m512) -> __m256 {
    _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(x)))
}
