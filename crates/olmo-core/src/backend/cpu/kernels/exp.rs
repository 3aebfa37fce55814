//! The exponential function, sixteen at a time, to about one unit in the last place.

use super::lanes::Lanes;

/// Below, the result is 0; it would be less than the smallest normal number.
const LOWEST: f32 = -87.33;
/// Above, the argument is taken to be this: the result stays finite.
const HIGHEST: f32 = 88.0;

/// Adding it rounds to a whole number, which then stands in the low bits.
const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³

/// ln 2 in two parts; products of the first with whole numbers up to 128 are exact.
const LN2_HIGH: f32 = 355.0 / 512.0;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// Minimax polynomial of exp on ±ln 2 / 2 after `1 + r`, as in Cephes' `expf` (Moshier, 1989).
const POLYNOMIAL: [f32; 6] =
    [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_6e-1, 0.5];

/// `exp(x) = 2ⁿ · exp(r)` with `n = round(x / ln 2)` and `r = x - n · ln 2`. NaN stays NaN.
///
/// # Safety
/// As for [`Lanes`].
#[inline(always)]
pub unsafe fn exp<L: Lanes>(x: L) -> L {
    let (lowest, highest) = (L::splat(LOWEST), L::splat(HIGHEST));
    // The order of the arguments lets a NaN in x through.
    let clamped = lowest.max(highest.select_lt(x, highest, x));
    let shifted = clamped.fma(L::splat(std::f32::consts::LOG2_E), L::splat(ROUND));
    let n = shifted.sub(L::splat(ROUND));
    let r = n.fma(L::splat(-LN2_HIGH), clamped);
    let r = n.fma(L::splat(-LN2_LOW), r);
    let mut p = L::splat(POLYNOMIAL[0]);
    for coefficient in &POLYNOMIAL[1..] {
        p = p.fma(r, L::splat(*coefficient));
    }
    let p = p.fma(r.mul(r), r).add(L::splat(1.0));
    x.select_lt(lowest, L::splat(0.0), p.mul(shifted.low_bits_to_exponent()))
}
