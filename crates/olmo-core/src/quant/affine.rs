//! What `q4_k` and `q5_k` have in common: eight sub-blocks of 32 weights, each with a scale and a
//! minimum, and these again in integers of 6 bits.

use super::lanes::{nearest_int, transpose, Groups, Lanes, LANES};
use super::search::{positive, with_minimum, Steps};
use super::{scales, Half};

/// Weights in a block, and in a sub-block.
const LEN: usize = 256;
const GROUP: usize = 32;

/// A block before its integers are packed: `w[i] = d · scale[i / 32] · q[i] − dmin · minimum[i / 32]`.
pub struct Affine {
    pub d: Half,
    pub dmin: Half,
    pub scales: [u8; 12],
    pub q: [u8; LEN],
}

impl Affine {
    /// Chooses scales, minima and integers from 0 to `most` for a block of weights.
    ///
    /// Without `importance`, a weight's share in the error is its size plus the sub-block's typical
    /// size, `steps` are searched, and the scales are rounded. With it, the share is the importance
    /// times the root of the weight's square plus twice the block's mean square, a finer grid is
    /// searched, and the scales' integers are fitted as well.
    ///
    /// Source: `quantize_row_q4_K_ref`, `quantize_row_q4_K_impl` and their twins for `q5_K` in
    /// `ggml-quants.c` of llama.cpp.
    #[inline(always)]
    pub fn quantize(
        weights: &[f32],
        importance: Option<&[f32]>,
        most: i32,
        steps: Steps,
    ) -> Affine {
        let x: Groups<GROUP> = transpose(weights);
        let (found, packed) = match importance {
            None => {
                let w = shares(&x);
                let found = with_minimum(&x, &w, most, steps);
                let packed = round(&found.scale.0, &found.minimum.0);
                (found, packed)
            }
            Some(importance) => {
                let w = important_shares(weights, &x, &transpose(importance));
                let mut sums = Lanes::ZERO;
                for &w in &w {
                    sums = sums + w;
                }
                let found = with_minimum(&x, &w, most, FINE);
                let packed = fit(&found.scale.0, &found.minimum.0, &sums.0);
                (found, packed)
            }
        };
        let Packed { d, dmin, scales } = packed;
        let mut q = [0; LEN];
        for (j, (q, x)) in q.chunks_exact_mut(GROUP).zip(weights.chunks_exact(GROUP)).enumerate() {
            let (scale, minimum) = scales::unpack(&scales, j);
            let scale = d.get() * f32::from(scale);
            let minimum = dmin.get() * f32::from(minimum);
            if scale == 0.0 {
                for (q, &x) in q.iter_mut().zip(x) {
                    *q = found.q(j, x, most);
                }
            } else {
                for (q, &x) in q.iter_mut().zip(x) {
                    *q = nearest_int((x + minimum) / scale).max(0).min(most) as u8;
                }
            }
        }
        Affine { d, dmin, scales, q }
    }
}

/// What is searched where weights have an importance.
const FINE: Steps = Steps { first: -0.9, step: 0.05, last: 36 };

#[inline(always)]
fn shares(x: &Groups<GROUP>) -> Groups<GROUP> {
    let mut squares = Lanes::ZERO;
    for &x in x {
        squares = squares + x * x;
    }
    let typical = (squares / Lanes::splat(GROUP as f32)).map(f32::sqrt);
    let mut shares = *x;
    for share in &mut shares {
        *share = typical + share.map(f32::abs);
    }
    shares
}

#[inline(always)]
fn important_shares(
    weights: &[f32],
    x: &Groups<GROUP>,
    importance: &Groups<GROUP>,
) -> Groups<GROUP> {
    let squares = weights.iter().fold(0.0, |sum, x| sum + x * x);
    let spread = Lanes::splat(2.0 * squares / LEN as f32);
    let mut shares = *importance;
    for (share, &x) in shares.iter_mut().zip(x) {
        *share = *share * (spread + x * x).map(f32::sqrt);
    }
    shares
}

struct Packed {
    d: Half,
    dmin: Half,
    scales: [u8; 12],
}

/// The largest scale, and the largest minimum, become 63; the others are rounded.
fn round(scale: &[f32; LANES], minimum: &[f32; LANES]) -> Packed {
    let largest = |x: &[f32]| x.iter().fold(0.0, |max, &x| if x > max { x } else { max });
    let (max_scale, max_minimum) = (largest(scale), largest(minimum));
    let integers = |x: &[f32; LANES], max: f32| {
        let inverse = if max > 0.0 { 63.0 / max } else { 0.0 };
        x.map(|x| (nearest_int(inverse * x) as u8).min(63))
    };
    Packed {
        d: Half::new(max_scale / 63.0),
        dmin: Half::new(max_minimum / 63.0),
        scales: scales::pack(&integers(scale, max_scale), &integers(minimum, max_minimum)),
    }
}

/// The integers of scales and minima with the least error, where group `j` has `shares[j]` in it.
fn fit(scale: &[f32; LANES], minimum: &[f32; LANES], shares: &[f32; LANES]) -> Packed {
    let (d, scale) = positive(scale, shares, 63);
    let (dmin, minimum) = positive(minimum, shares, 63);
    let least = |q: [u8; LANES]| q.map(|q| q.min(63));
    Packed {
        d: Half::new(d),
        dmin: Half::new(dmin),
        scales: scales::pack(&least(scale), &least(minimum)),
    }
}
