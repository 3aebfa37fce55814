//! Attention of a few queries to one block of keys and values.
//!
//! A softmax over a long row of scores can be taken block by block ("online softmax", Milakov and
//! Gimelshein, 2018; used like this in FlashAttention, Dao et al., 2022):
//!
//! ```text
//! highest = -inf; total = 0; out = 0
//! for each block:
//!     scores  = scale · q · keysᵀ
//!     new     = max(highest, max(scores))
//!     p       = exp(scores - new)
//!     shrink  = exp(highest - new)
//!     total   = total · shrink + sum(p)
//!     out     = out · shrink + p · values
//!     highest = new
//! out / total
//! ```
//!
//! Blocks begin at multiples of [`BLOCK_TOKENS`] from the start of the sequence, so the result is the
//! same bits however the sequence came into the cache. Positions behind a query's own are left out of
//! every sum, not multiplied by zero: what they hold may be anything.
//!
//! Keys lie with their tokens side by side, `[head_dim, BLOCK_TOKENS]`, values as they come,
//! `[BLOCK_TOKENS, value_stride]`. Both products then have the same form: numbers of a query, each
//! times a row of the block.

// Loops over the registers of a tile: their bounds are constants, and all of them unroll.
#![allow(clippy::needless_range_loop)]

use super::exp::exp;
use super::lanes::{Element, Lanes, LANES};
use crate::cache::BLOCK_TOKENS;

/// A row of a block is worked on in pieces of two vectors.
pub const PIECE: usize = 2 * LANES;
const _: () = assert!(BLOCK_TOKENS == PIECE, "the scores of a block are one piece");

/// Queries and what they have gathered so far. Rows are `stride` apart in `q` and `out`.
pub struct Queries {
    pub count: usize,
    pub head_dim: usize,
    /// `head_dim` rounded up to whole [`PIECE`]s.
    pub stride: usize,
    pub scale: f32,
    pub q: *const f32,
    pub out: *mut f32,
    pub highest: *mut f32,
    pub total: *mut f32,
}

/// One block of one head.
pub struct KeyBlock {
    pub keys: *const u8,
    pub values: *const u8,
    /// The head's next block, which lies elsewhere, so that the hardware cannot see it coming. It is
    /// asked for while this one is worked on; the last block names itself.
    pub next_keys: *const u8,
    pub next_values: *const u8,
    /// How many of the block's positions a query sees: `seen(i) = first_seen + i / group`, within
    /// 0 and [`BLOCK_TOKENS`]. `group` queries share a position.
    pub first_seen: isize,
    pub group: usize,
}

impl KeyBlock {
    pub fn seen(&self, query: usize) -> usize {
        (self.first_seen + (query / self.group) as isize).clamp(0, BLOCK_TOKENS as isize) as usize
    }
}

/// Takes the block into account for all queries, at most `M` at a time.
///
/// # Safety
/// As for [`Lanes`]; the pointers are valid for the sizes stated, and nobody else touches what the
/// queries have gathered.
#[inline(always)]
pub unsafe fn attend<L: Lanes, E: Element, const M: usize>(queries: &Queries, block: &KeyBlock) {
    let whole = queries.count / M * M;
    for first in (0..whole).step_by(M) {
        attend_some::<L, E, M>(queries, block, first);
    }
    for first in whole..queries.count {
        attend_some::<L, E, 1>(queries, block, first);
    }
}

// SAFETY of the functions below: they are parts of `attend` and share its conditions. They touch
// `stride` numbers of each of at most `count` queries, and of the block what its layout states.

#[inline(always)]
unsafe fn attend_some<L: Lanes, E: Element, const M: usize>(
    queries: &Queries,
    block: &KeyBlock,
    first: usize,
) {
    // The queries are in order of their positions: the first sees least, the last most.
    if block.seen(first + M - 1) == 0 {
        return;
    }
    let &Queries { head_dim, stride, .. } = queries;
    let (keys, values) = (block.keys.cast::<E>(), block.values.cast::<E>());
    let (next_keys, next_values) = match first {
        0 => (block.next_keys.cast::<E>(), block.next_values.cast::<E>()),
        _ => (keys, values),
    };

    let mut scores = [[L::splat(0.0); 2]; M];
    let q = queries.q.add(first * stride);
    multiply(q, stride, keys, next_keys, BLOCK_TOKENS, 0..head_dim, &mut scores);

    let mut p = [[0.0; BLOCK_TOKENS]; M];
    let mut shrink = [1.0; M];
    for m in 0..M {
        let seen = block.seen(first + m);
        if seen > 0 {
            shrink[m] = soften(queries, first + m, seen, scores[m], &mut p[m]);
        }
    }

    let common = block.seen(first);
    let out = queries.out.add(first * stride);
    for piece in (0..stride).step_by(PIECE) {
        let mut sums = [[L::splat(0.0); 2]; M];
        for m in 0..M {
            let (out, shrink) = (out.add(m * stride + piece), L::splat(shrink[m]));
            sums[m] = [L::load(out).mul(shrink), L::load(out.add(LANES)).mul(shrink)];
        }
        let (values, next) = (values.add(piece), next_values.wrapping_add(piece));
        multiply(p.as_ptr().cast(), BLOCK_TOKENS, values, next, stride, 0..common, &mut sums);
        for m in 0..M {
            let seen = block.seen(first + m);
            if seen > common {
                let rest = std::slice::from_mut(&mut sums[m]).try_into().expect("one row");
                multiply::<L, E, 1>(
                    p[m].as_ptr(),
                    BLOCK_TOKENS,
                    values,
                    values,
                    stride,
                    common..seen,
                    rest,
                );
            }
            let out = out.add(m * stride + piece);
            sums[m][0].store(out);
            sums[m][1].store(out.add(LANES));
        }
    }
}

/// `sums[m] += Σ a[m][i] · b[i]` over `range`, in order. Asks for the same rows of `next`.
#[inline(always)]
unsafe fn multiply<L: Lanes, E: Element, const M: usize>(
    a: *const f32,
    a_stride: usize,
    b: *const E,
    next: *const E,
    b_stride: usize,
    range: std::ops::Range<usize>,
    sums: &mut [[L; 2]; M],
) {
    let mut acc = *sums;
    for i in range {
        let row = b.add(i * b_stride);
        L::prefetch(next.wrapping_add(i * b_stride));
        if size_of::<E>() == size_of::<f32>() {
            L::prefetch(next.wrapping_add(i * b_stride + LANES)); // a row is two cache lines
        }
        let b = [E::load::<L>(row), E::load::<L>(row.add(LANES))];
        for m in 0..M {
            let a = L::splat(*a.add(m * a_stride + i));
            acc[m] = [a.fma(b[0], acc[m][0]), a.fma(b[1], acc[m][1])];
        }
    }
    *sums = acc;
}

/// Turns one query's scores into `p`, brings its highest score and total up to date, and returns
/// the factor by which what it gathered before shrinks.
#[inline(always)]
unsafe fn soften<L: Lanes>(
    queries: &Queries,
    query: usize,
    seen: usize,
    scores: [L; 2],
    p: &mut [f32; BLOCK_TOKENS],
) -> f32 {
    let (seen, scale, nothing) =
        (L::splat(seen as f32), L::splat(queries.scale), L::splat(f32::NEG_INFINITY));
    let positions = [L::load(POSITIONS.as_ptr()), L::load(POSITIONS.as_ptr().add(LANES))];
    let scores = [
        positions[0].select_lt(seen, scores[0].mul(scale), nothing),
        positions[1].select_lt(seen, scores[1].mul(scale), nothing),
    ];
    let (highest, total) = (queries.highest.add(query), queries.total.add(query));
    let block_highest = scores[0].max(scores[1]).largest();
    let new = if block_highest > *highest { block_highest } else { *highest };
    let weights = [exp(scores[0].sub(L::splat(new))), exp(scores[1].sub(L::splat(new)))];
    weights[0].store(p.as_mut_ptr());
    weights[1].store(p.as_mut_ptr().add(LANES));
    let mut shrink = [0.0; LANES];
    exp(L::splat(*highest - new)).store(shrink.as_mut_ptr());
    *total = *total * shrink[0] + weights[0].add(weights[1]).sum();
    *highest = new;
    shrink[0]
}

const POSITIONS: [f32; BLOCK_TOKENS] = {
    let mut positions = [0.0; BLOCK_TOKENS];
    let mut i = 0;
    while i < BLOCK_TOKENS {
        positions[i] = i as f32;
        i += 1;
    }
    positions
};
