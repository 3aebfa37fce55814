//! RMSNorm, both ways.
//!
//! With `r = 1 / sqrt(mean(x²) + eps)` and `x̂ = r · x`, the layer is `y = w · x̂`. Backwards,
//! `g = w · dy` is the gradient of `x̂`, and because `r` depends on the whole row:
//! `dx = r · (g − x̂ · mean(g · x̂))`, `dw = Σ over rows of dy · x̂`.

use rayon::prelude::*;

use super::simd::{sum, vectorized};

/// Rows one task works on. A fixed number: `dw` is summed task by task, and its bits must not
/// depend on how many threads there are.
const ROWS: usize = 32;

vectorized! {
    /// Returns `r`.
    fn forward_row(y: &mut [f32], x: &[f32], weight: &[f32], eps: f32) -> f32 {
        let scale = 1.0 / (sum([x], |[x]| x * x) / x.len() as f32 + eps).sqrt();
        for ((y, x), weight) in y.iter_mut().zip(x).zip(weight) {
            *y = x * scale * weight;
        }
        scale
    }
}

vectorized! {
    /// Puts `dx` where `dy` was.
    fn backward_row(dy: &mut [f32], x: &[f32], weight: &[f32], scale: f32, dw: &mut [f32]) {
        let (x, weight) = (&x[..dy.len()], &weight[..dy.len()]);
        let mean = sum([dy, weight, x], |[dy, weight, x]| dy * weight * x) * scale / dy.len() as f32;
        for (((dy, x), weight), dw) in dy.iter_mut().zip(x).zip(weight).zip(dw) {
            let normed = x * scale;
            *dw += *dy * normed;
            *dy = scale * (*dy * weight - normed * mean);
        }
    }
}

/// `y` from `x`, `[rows, width]` both; the scales `r` `[rows]` are kept for the way back.
pub(super) fn forward(y: &mut [f32], scales: &mut [f32], x: &[f32], weight: &[f32], eps: f32) {
    let width = weight.len();
    y.par_chunks_mut(ROWS * width)
        .zip(scales.par_chunks_mut(ROWS))
        .zip(x.par_chunks(ROWS * width))
        .for_each(|((y, scales), x)| {
            let rows = y.chunks_mut(width).zip(x.chunks(width)).zip(scales);
            for ((y, x), scale) in rows {
                *scale = forward_row(y, x, weight, eps);
            }
        });
}

/// Turns `dy` into `dx` in place and adds to `dw`.
pub(super) fn backward(dy: &mut [f32], dw: &mut [f32], x: &[f32], scales: &[f32], weight: &[f32]) {
    let width = weight.len();
    let partial: Vec<Vec<f32>> = dy
        .par_chunks_mut(ROWS * width)
        .zip(x.par_chunks(ROWS * width))
        .zip(scales.par_chunks(ROWS))
        .map(|((dy, x), scales)| {
            let mut dw = vec![0.0; width];
            for ((dy, x), &scale) in dy.chunks_mut(width).zip(x.chunks(width)).zip(scales) {
                backward_row(dy, x, weight, scale, &mut dw);
            }
            dw
        })
        .collect();
    for part in partial {
        for (total, part) in dw.iter_mut().zip(part) {
            *total += part;
        }
    }
}
