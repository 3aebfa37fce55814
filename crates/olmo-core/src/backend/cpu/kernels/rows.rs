//! Kernels that work on one row: the norm and the gate.

use super::exp::exp;
use super::lanes::{Lanes, LANES};

/// `x · weight / sqrt(mean(x²) + eps)`, in place.
///
/// # Safety
/// As for [`Lanes`]; the slices are equally long.
#[inline(always)]
pub unsafe fn rms_norm<L: Lanes>(x: &mut [f32], weight: &[f32], eps: f32) {
    let (len, whole) = (x.len(), x.len() / LANES * LANES);
    let (x, weight) = (x.as_mut_ptr(), weight.as_ptr());
    let mut squares = L::splat(0.0);
    for i in (0..whole).step_by(LANES) {
        let v = L::load(x.add(i));
        squares = v.fma(v, squares);
    }
    if whole < len {
        let v = L::load_first(x.add(whole), len - whole);
        squares = v.fma(v, squares);
    }
    let scale = L::splat(1.0 / (squares.sum() / len as f32 + eps).sqrt());
    for i in (0..whole).step_by(LANES) {
        L::load(x.add(i)).mul(scale).mul(L::load(weight.add(i))).store(x.add(i));
    }
    if whole < len {
        let rest = len - whole;
        let weight = L::load_first(weight.add(whole), rest);
        L::load_first(x.add(whole), rest).mul(scale).mul(weight).store_first(x.add(whole), rest);
    }
}

/// `gate = silu(gate) · up`, where `silu(g) = g / (1 + exp(-g))`.
///
/// # Safety
/// As for [`Lanes`]; the slices are equally long.
#[inline(always)]
pub unsafe fn silu_mul<L: Lanes>(gate: &mut [f32], up: &[f32]) {
    let (len, whole) = (gate.len(), gate.len() / LANES * LANES);
    let (gate, up) = (gate.as_mut_ptr(), up.as_ptr());
    for i in (0..whole).step_by(LANES) {
        silu(L::load(gate.add(i))).mul(L::load(up.add(i))).store(gate.add(i));
    }
    if whole < len {
        let rest = len - whole;
        let up = L::load_first(up.add(whole), rest);
        silu(L::load_first(gate.add(whole), rest)).mul(up).store_first(gate.add(whole), rest);
    }
}

// SAFETY: as for `Lanes`; no memory is touched.
#[inline(always)]
unsafe fn silu<L: Lanes>(g: L) -> L {
    g.div(L::splat(1.0).add(exp(L::splat(0.0).sub(g))))
}
