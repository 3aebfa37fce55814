//! Searches for the scale of a group of weights that leaves the least error, eight groups at a time.
//!
//! All of them try a few scales around the obvious one. For each, the integers are what rounding
//! gives; for these integers the best scale is a weighted least-squares fit; and the fit with the
//! least weighted error wins.
//!
//! Source: `make_qx_quants`, `make_qkx2_quants`, `make_qkx3_quants` and `make_qp_quants` in
//! `ggml-quants.c` of llama.cpp, followed operation by operation: no sum is reordered and no product
//! fused with an addition, so that the blocks are the same to the bit.

use super::lanes::{nearest_int, Groups, Lanes, LANES};

/// Groups whose largest weight is below this are taken for zeros.
pub const NEGLIGIBLE: f32 = 1e-15;

/// What [`symmetric`] found.
pub struct Symmetric<const N: usize> {
    pub scale: Lanes,
    /// `q + most`, from 0 to `2 most − 1`
    pub q: Groups<N>,
}

/// `x ≈ scale · q` with `q` from `−most` to `most − 1`.
///
/// `importance` is each weight's share in the error; without it, the share is its square.
#[inline(always)]
pub fn symmetric<const N: usize>(
    x: &Groups<N>,
    importance: Option<&Groups<N>>,
    most: i32,
) -> Symmetric<N> {
    let (mut largest, mut max) = (Lanes::ZERO, Lanes::ZERO);
    for &x in x {
        let size = x.map(f32::abs);
        let larger = largest.less(size);
        (largest, max) = (larger.select(size, largest), larger.select(x, max));
    }
    let (mut w, mut wx) = (*x, *x);
    for i in 0..N {
        w[i] = match importance {
            Some(importance) => importance[i],
            None => x[i] * x[i],
        };
        wx[i] = w[i] * x[i];
    }
    // What weights are multiplied with before they are rounded.
    let mut inverse = Lanes::splat(-(most as f32)) / max;
    let (sum_lx, sum_l2) = fit(x, &w, &wx, inverse, most);
    let mut scale = Lanes::ZERO.less(sum_l2).select(sum_lx / sum_l2, Lanes::ZERO);
    let mut best = scale * sum_lx;
    for step in (-9..=9).filter(|&step| step != 0) {
        let tried = Lanes::splat(-(most as f32 + 0.1 * step as f32)) / max;
        let (sum_lx, sum_l2) = fit(x, &w, &wx, tried, most);
        let better = Lanes::ZERO.less(sum_l2).and((best * sum_l2).less(sum_lx * sum_lx));
        inverse = better.select(tried, inverse);
        scale = better.select(sum_lx / sum_l2, scale);
        best = better.select(scale * sum_lx, best);
    }
    let negligible = largest.less(Lanes::splat(NEGLIGIBLE));
    let mut q = *x;
    for q in &mut q {
        let l = (inverse * *q).nearest(-most, most - 1) + Lanes::splat(most as f32);
        *q = negligible.select(Lanes::ZERO, l);
    }
    Symmetric { scale: negligible.select(Lanes::ZERO, scale), q }
}

/// Sums of `w · x · l` and of `w · l²`, where `l` are the integers of `inverse · x`.
#[inline(always)]
fn fit<const N: usize>(
    x: &Groups<N>,
    w: &Groups<N>,
    wx: &Groups<N>,
    inverse: Lanes,
    most: i32,
) -> (Lanes, Lanes) {
    let (mut sum_lx, mut sum_l2) = (Lanes::ZERO, Lanes::ZERO);
    for i in 0..N {
        let l = (inverse * x[i]).nearest(-most, most - 1);
        sum_lx = sum_lx + wx[i] * l;
        sum_l2 = sum_l2 + w[i] * l * l;
    }
    (sum_lx, sum_l2)
}

/// Which scales [`with_minimum`] tries: those that spread a group's range over `most + first + n · step`
/// integers.
#[derive(Clone, Copy)]
pub struct Steps {
    pub first: f32,
    pub step: f32,
    /// The largest `n`.
    pub last: i32,
}

/// What [`with_minimum`] found.
pub struct WithMinimum {
    pub scale: Lanes,
    pub minimum: Lanes,
    /// With which slope and offset the integers of the best fit came about, see [`WithMinimum::q`].
    inverse: Lanes,
    offset: Lanes,
}

impl WithMinimum {
    /// The integers of the best fit for weights of group `j`.
    pub fn q(&self, j: usize, x: f32, most: i32) -> u8 {
        nearest_int(self.inverse.0[j] * (x - self.offset.0[j])).max(0).min(most) as u8
    }
}

/// `x ≈ scale · q − minimum` with `q` from 0 to `most` and `minimum ≥ 0`. `w` is each weight's share in
/// the error.
#[inline(always)]
pub fn with_minimum<const N: usize>(
    x: &Groups<N>,
    w: &Groups<N>,
    most: i32,
    steps: Steps,
) -> WithMinimum {
    let (mut min, mut max) = (x[0], x[0]);
    let (mut sum_w, mut sum_x) = (w[0], w[0] * x[0]);
    for (&x, &w) in x.iter().zip(w).skip(1) {
        min = x.less(min).select(x, min);
        max = max.less(x).select(x, max);
        sum_w = sum_w + w;
        sum_x = sum_x + w * x;
    }
    min = Lanes::ZERO.less(min).select(Lanes::ZERO, min);
    let constant_minimum = min;
    let varied = min.less(max);

    let mut l = [Lanes::ZERO; N];
    let mut inverse = Lanes::splat(most as f32) / (max - min);
    let mut offset = min;
    let mut scale = Lanes::splat(1.0) / inverse;
    for i in 0..N {
        l[i] = (inverse * (x[i] - min)).nearest(0, most);
    }
    let mut best = error(x, w, &l, scale, min);
    for step in 0..=steps.last {
        let range = steps.first + steps.step * step as f32 + most as f32;
        let tried = Lanes::splat(range) / (max - min);
        let (mut sum_l, mut sum_l2, mut sum_xl) = (Lanes::ZERO, Lanes::ZERO, Lanes::ZERO);
        for i in 0..N {
            l[i] = (tried * (x[i] - min)).nearest(0, most);
            let wl = w[i] * l[i];
            sum_l = sum_l + wl;
            sum_l2 = sum_l2 + wl * l[i];
            sum_xl = sum_xl + wl * x[i];
        }
        let determinant = sum_w * sum_l2 - sum_l * sum_l;
        let fit_min = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
        let fit_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
        let above = Lanes::ZERO.less(fit_min);
        let fit_scale = above.select(sum_xl / sum_l2, fit_scale);
        let fit_min = above.select(Lanes::ZERO, fit_min);
        let error = error(x, w, &l, fit_scale, fit_min);
        let better = Lanes::ZERO.less(determinant).and(error.less(best));
        inverse = better.select(tried, inverse);
        offset = better.select(min, offset);
        best = better.select(error, best);
        scale = better.select(fit_scale, scale);
        // The next step starts from the best minimum yet.
        min = better.select(fit_min, min);
    }
    WithMinimum {
        scale: varied.select(scale, Lanes::ZERO),
        minimum: varied.select(min, constant_minimum).map(|x| -x),
        inverse: varied.select(inverse, Lanes::ZERO),
        offset,
    }
}

/// The weighted squares of what is left between `x` and `scale · l + min`.
#[inline(always)]
fn error<const N: usize>(
    x: &Groups<N>,
    w: &Groups<N>,
    l: &Groups<N>,
    scale: Lanes,
    min: Lanes,
) -> Lanes {
    let mut error = Lanes::ZERO;
    for i in 0..N {
        let difference = scale * l[i] + min - x[i];
        error = error + w[i] * (difference * difference);
    }
    error
}

/// `x ≈ scale · q` with `q` from 0 to `most`, for the scales of a block's groups; `w` is each one's share
/// in the error. Returns `(scale, q)`.
pub fn positive(x: &[f32; LANES], w: &[f32; LANES], most: i32) -> (f32, [u8; LANES]) {
    let mut q = [0; LANES];
    let max = x.iter().fold(0.0, |max, &x| if max > x { max } else { x });
    if max < NEGLIGIBLE {
        return (0.0, q);
    }
    let error = |scale: f32, q: &dyn Fn(f32) -> i32| {
        x.iter().zip(w).fold(0.0, |sum, (&x, &w)| {
            let difference = x - scale * q(x) as f32;
            sum + w * difference * difference
        })
    };
    let mut inverse = most as f32 / max;
    let mut best = error(1.0 / inverse, &|x| i32::from(nearest_int(inverse * x) as u8));
    for step in (-4..=4).filter(|&step| step != 0) {
        let tried = (0.1 * step as f32 + most as f32) / max;
        let error = error(1.0 / tried, &|x| nearest_int(tried * x).min(most));
        if error < best {
            (best, inverse) = (error, tried);
        }
    }
    let (mut sum_lx, mut sum_l2) = (0.0, 0.0);
    for i in 0..LANES {
        let l = nearest_int(inverse * x[i]).min(most);
        q[i] = l as u8;
        sum_lx += w[i] * x[i] * l as f32;
        sum_l2 += w[i] * l as f32 * l as f32;
    }
    // Move one integer at a time while that makes the fit better.
    for _ in 0..5 {
        let mut changed = false;
        for i in 0..LANES {
            let (w, x, l) = (w[i], x[i], f32::from(q[i]));
            let (mut lx, mut l2) = (sum_lx - w * x * l, sum_l2 - w * l * l);
            if lx > 0.0 && l2 > 0.0 {
                let new = nearest_int(x * l2 / lx).min(most);
                if new != i32::from(q[i]) {
                    let l = new as f32;
                    lx += w * x * l;
                    l2 += w * l * l;
                    if lx * lx * sum_l2 > sum_lx * sum_lx * l2 {
                        (q[i], sum_lx, sum_l2, changed) = (new as u8, lx, l2, true);
                    }
                }
            }
        }
        if !changed {
            break;
        }
    }
    (if sum_l2 > 0.0 { sum_lx / sum_l2 } else { 0.0 }, q)
}
