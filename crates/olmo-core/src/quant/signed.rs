//! What `q4_0` and `q5_0` have in common: 32 weights around zero with one scale.

use super::lanes::{byte, floor, transpose, Groups, Lanes, LANES};
use super::search::symmetric;
use super::{inverse, Half};

/// Weights in a block.
const LEN: usize = 32;

/// A block before its integers are packed: `w[i] = d · (q[i] − MOST)`, with `q` from 0 to
/// `2 MOST − 1`.
pub struct Signed<const MOST: i32> {
    pub d: Half,
    pub q: [u8; LEN],
}

/// Chooses scales and integers of a row.
///
/// Without importance the largest weight becomes `−MOST`, whatever its sign, and the others are rounded.
/// With it the scale is searched, and a weight's share in the error is its importance times the
/// root of its square plus the row's mean square.
///
/// Source: `quantize_row_q4_0_ref`, `quantize_row_q4_0_impl` and their twins for `q5_0` in
/// `ggml-quants.c` of llama.cpp.
#[inline(always)]
pub fn quantize<B: From<Signed<MOST>>, const MOST: i32>(
    row: &[f32],
    importance: Option<&[f32]>,
    blocks: &mut [B],
) {
    match importance {
        None => {
            for (block, weights) in blocks.iter_mut().zip(row.as_chunks().0) {
                *block = round::<MOST>(weights).into();
            }
        }
        Some(importance) => search(row, importance, blocks),
    }
}

#[inline(always)]
fn round<const MOST: i32>(weights: &[f32; LEN]) -> Signed<MOST> {
    let size = super::largest(weights);
    // The first of that size decides the sign; zeros have none.
    let first = weights.iter().copied().find(|x| x.abs() == size);
    let largest = first.filter(|_| size > 0.0).unwrap_or(0.0);
    let d = largest / -(MOST as f32);
    let mut q = [0; LEN];
    if let Some(inverse) = inverse(d) {
        for (q, &x) in q.iter_mut().zip(weights) {
            *q = floor(x * inverse + (MOST as f32 + 0.5)).min(2 * MOST as u8 - 1);
        }
    }
    Signed { d: Half::new(d), q }
}

/// Eight blocks at a time, the last ones beside zeros.
#[inline(always)]
fn search<B: From<Signed<MOST>>, const MOST: i32>(
    row: &[f32],
    importance: &[f32],
    blocks: &mut [B],
) {
    const SPAN: usize = LEN * LANES;
    let squares = row.iter().fold(0.0, |sum, x| sum + x * x);
    let mean_square = Lanes::splat(squares / row.len() as f32);
    let spans = row.chunks(SPAN).zip(importance.chunks(SPAN));
    for (blocks, (weights, importance)) in blocks.chunks_mut(LANES).zip(spans) {
        let x: Groups<LEN> = transpose(weights);
        let mut shares: Groups<LEN> = transpose(importance);
        for (share, &x) in shares.iter_mut().zip(&x) {
            *share = *share * (mean_square + x * x).map(f32::sqrt);
        }
        let found = symmetric(&x, Some(&shares), MOST);
        for (j, block) in blocks.iter_mut().enumerate() {
            let q = found.q.map(|q| byte(q.0[j]));
            *block = Signed { d: Half::new(found.scale.0[j]), q }.into();
        }
    }
}

/// The low four bits of 32 integers: byte `i` has those of integer `i` in its low and of `i + 16` in its
/// high half.
#[inline(always)]
pub fn pack_low(q: &[u8; LEN]) -> [u8; LEN / 2] {
    std::array::from_fn(|i| q[i] & 15 | q[i + 16] << 4)
}
