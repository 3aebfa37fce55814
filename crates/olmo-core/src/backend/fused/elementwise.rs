//! The residual sum, and rows picked out of a table or an activation.

use rayon::prelude::*;

use super::simd::vectorized;

/// Elements one task works on.
const ELEMENTS: usize = 16 * 1024;

vectorized! {
    fn add_part(x: &mut [f32], y: &[f32]) {
        for (x, y) in x.iter_mut().zip(y) {
            *x += y;
        }
    }
}

/// `x += y`.
pub(super) fn add(x: &mut [f32], y: &[f32]) {
    x.par_chunks_mut(ELEMENTS).zip(y.par_chunks(ELEMENTS)).for_each(|(x, y)| add_part(x, y));
}

/// Row `i` of `out` is row `rows[i]` of `x`.
pub(super) fn gather(out: &mut [f32], x: &[f32], rows: impl Iterator<Item = usize>, width: usize) {
    for (out, row) in out.chunks_mut(width).zip(rows) {
        out.copy_from_slice(&x[row * width..][..width]);
    }
}

/// Adds row `i` of `dy` to row `rows[i]` of `dx`, in order: a row may come more than once.
pub(super) fn scatter_add(
    dx: &mut [f32],
    dy: &[f32],
    rows: impl Iterator<Item = usize>,
    width: usize,
) {
    for (dy, row) in dy.chunks(width).zip(rows) {
        add_part(&mut dx[row * width..][..width], dy);
    }
}
