//! Rotary position embeddings, both ways: the way back turns by the opposite angles.

use rayon::prelude::*;

use super::simd::vectorized;
use crate::ops::RopeTable;

/// Rows one task works on.
const ROWS: usize = 32;

/// Cosines and sines of the rows of one batch, `[rows, head_dim / 2]` each.
pub(super) struct Angles {
    cos: Vec<f32>,
    sin: Vec<f32>,
    half_dim: usize,
}

impl Angles {
    pub(super) fn new(table: &RopeTable, positions: &[u32]) -> Angles {
        let at = |position: &u32| table.at(*position as usize);
        Angles {
            cos: positions.iter().flat_map(|p| at(p).0).copied().collect(),
            sin: positions.iter().flat_map(|p| at(p).1).copied().collect(),
            half_dim: table.half_dim,
        }
    }
}

vectorized! {
    fn rotate_head(head: &mut [f32], cos: &[f32], sin: &[f32], direction: f32) {
        let (first, second) = head.split_at_mut(cos.len());
        for (((a, b), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
            let (x, y, sin) = (*a, *b, direction * sin);
            *a = x * cos - y * sin;
            *b = y * cos + x * sin;
        }
    }
}

/// Rotates every head of every row of `x` `[rows, width]`, forwards (1) or backwards (−1).
pub(super) fn rotate(x: &mut [f32], width: usize, angles: &Angles, direction: f32) {
    let half = angles.half_dim;
    x.par_chunks_mut(ROWS * width)
        .zip(angles.cos.par_chunks(ROWS * half))
        .zip(angles.sin.par_chunks(ROWS * half))
        .for_each(|((x, cos), sin)| {
            for ((row, cos), sin) in x.chunks_mut(width).zip(cos.chunks(half)).zip(sin.chunks(half))
            {
                for head in row.chunks_mut(2 * half) {
                    rotate_head(head, cos, sin, direction);
                }
            }
        });
}
