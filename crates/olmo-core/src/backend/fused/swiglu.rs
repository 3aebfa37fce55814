//! SwiGLU's gate `y = silu(gate) · up`, both ways, with `silu(g) = g · σ(g)` and
//! `silu'(g) = σ(g) · (1 + g · (1 − σ(g)))`.

use rayon::prelude::*;

use super::simd::{exp, vectorized};

/// Elements one task works on.
const ELEMENTS: usize = 8 * 1024;

vectorized! {
    fn forward_part(y: &mut [f32], gate: &[f32], up: &[f32]) {
        for ((y, gate), up) in y.iter_mut().zip(gate).zip(up) {
            *y = gate / (1.0 + exp(-gate)) * up;
        }
    }
}

vectorized! {
    fn backward_part(
        dgate: &mut [f32],
        dup: &mut [f32],
        dy: &[f32],
        gate: &[f32],
        up: &[f32],
    ) {
        let rows = dgate.iter_mut().zip(dup).zip(dy).zip(gate).zip(up);
        for ((((dgate, dup), dy), gate), up) in rows {
            let sigmoid = 1.0 / (1.0 + exp(-gate));
            *dup = dy * gate * sigmoid;
            *dgate = dy * up * sigmoid * (1.0 + gate * (1.0 - sigmoid));
        }
    }
}

pub(super) fn forward(y: &mut [f32], gate: &[f32], up: &[f32]) {
    y.par_chunks_mut(ELEMENTS)
        .zip(gate.par_chunks(ELEMENTS))
        .zip(up.par_chunks(ELEMENTS))
        .for_each(|((y, gate), up)| forward_part(y, gate, up));
}

/// Gradients of `gate` and `up` from that of `y`.
pub(super) fn backward(dgate: &mut [f32], dup: &mut [f32], dy: &[f32], gate: &[f32], up: &[f32]) {
    dgate
        .par_chunks_mut(ELEMENTS)
        .zip(dup.par_chunks_mut(ELEMENTS))
        .zip(dy.par_chunks(ELEMENTS))
        .zip(gate.par_chunks(ELEMENTS).zip(up.par_chunks(ELEMENTS)))
        .for_each(|(((dgate, dup), dy), (gate, up))| backward_part(dgate, dup, dy, gate, up));
}
