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
//!     rescale = exp(highest - new)
//!     total   = total · rescale + sum(p)
//!     out     = out · rescale + p · values
//!     highest = new
//! out / total
//! ```
//!
//! Blocks begin at multiples of [`BLOCK_TOKENS`] from the start of the sequence, so the result is the
//! same bits however the sequence came into the cache. Positions behind a query's own are left out of
//! every sum, not multiplied by zero: what they hold may be anything. Those before its window hold
//! values of its own sequence, and get the probability zero.
//!
//! Both products have the same form: numbers of a query, each times a row of the block. How rows are
//! stored is the subject of [`kv_block`](super::kv_block).

// Loops over the registers of a tile: their bounds are constants, and all of them unroll.
#![allow(clippy::needless_range_loop)]

use super::exp::exp;
use super::kv_block::{Floats, KvLayout, Rows, PIECE};
use super::lanes::{Lanes, LANES};
use crate::cache::BLOCK_TOKENS;

/// Queries and what they have accumulated so far. Rows are `stride` apart in `q` and `out`.
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
    /// Room for [`panel_len`] numbers.
    pub panel: *mut f32,
}

/// Numbers of a block of keys and one of values.
pub fn panel_len(head_dim: usize, stride: usize) -> usize {
    BLOCK_TOKENS * (head_dim + stride)
}

/// From this many queries on, a block is widened once for all of them, not for each few. As its
/// numbers are f32 numbers exactly, nothing but the time depends on it.
const WIDEN_FROM: usize = 8;

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
    /// How many positions a query sees in all blocks together: those before its window are hidden.
    pub window: usize,
    pub group: usize,
}

impl KeyBlock {
    pub fn seen(&self, query: usize) -> usize {
        (self.first_seen + (query / self.group) as isize).clamp(0, BLOCK_TOKENS as isize) as usize
    }

    /// How many of the block's positions lie before a query's window.
    pub fn hidden(&self, query: usize) -> usize {
        let end = self.first_seen + (query / self.group) as isize;
        end.saturating_sub_unsigned(self.window).clamp(0, BLOCK_TOKENS as isize) as usize
    }
}

/// Takes the block into account for all queries, at most `M` at a time, and `M` is at most 6.
///
/// # Safety
/// As for [`Lanes`]; the pointers are valid for the sizes stated, and nobody else touches what the
/// queries have accumulated.
#[inline(always)]
pub unsafe fn attend<L: Lanes, S: KvLayout, const M: usize>(queries: &Queries, block: &KeyBlock) {
    if S::IS_F32 || queries.count < WIDEN_FROM {
        attend_each::<L, S, M>(queries, block);
    } else {
        attend_each::<L, Floats<f32>, M>(queries, &widen::<L, S>(queries, block));
    }
}

// SAFETY of the functions below: they are parts of `attend` and share its conditions. They touch
// `stride` numbers of each of at most `count` queries, and of the block what its layout states.

#[inline(always)]
unsafe fn attend_each<L: Lanes, S: KvLayout, const M: usize>(queries: &Queries, block: &KeyBlock) {
    let whole = queries.count / M * M;
    for first in (0..whole).step_by(M) {
        attend_some::<L, S, M>(queries, block, first);
    }
    // All that are left at once: each sum is a chain of additions, and one query has too few chains to fill the
    // multipliers.
    macro_rules! rest {
        ($($rest:literal)*) => {
            match queries.count - whole {
                0 => {}
                $($rest if const { $rest < M } => attend_some::<L, S, $rest>(queries, block, whole),)*
                _ => unreachable!("fewer than M are left"),
            }
        };
    }
    rest!(1 2 3 4 5)
}

/// The block in f32, in the panel of the queries. Asks for the next block.
#[inline(always)]
unsafe fn widen<L: Lanes, S: KvLayout>(queries: &Queries, block: &KeyBlock) -> KeyBlock {
    let &Queries { head_dim, stride, .. } = queries;
    let wide_keys = queries.panel;
    let wide_values = queries.panel.add(BLOCK_TOKENS * head_dim);
    let key_rows = S::key_rows(head_dim);
    for first in (0..head_dim).step_by(key_rows) {
        let keys = S::keys::<L>(block.keys, block.next_keys, head_dim, first);
        copy(&keys, key_rows, wide_keys.add(first * BLOCK_TOKENS), BLOCK_TOKENS);
    }
    for piece in (0..stride).step_by(PIECE) {
        let values = S::values::<L>(block.values, block.next_values, stride, piece);
        copy(&values, BLOCK_TOKENS, wide_values.add(piece), stride);
    }
    let (keys, values) = (wide_keys.cast_const().cast(), wide_values.cast_const().cast());
    KeyBlock { keys, values, next_keys: keys, next_values: values, ..*block }
}

/// Writes rows as f32, `stride` apart. Asks for the same rows of the next block.
#[inline(always)]
unsafe fn copy<L: Lanes, R: Rows<L>>(rows: &R, count: usize, to: *mut f32, stride: usize) {
    for i in 0..count {
        rows.prefetch(i);
        let [low, high] = rows.load(i);
        low.store(to.add(i * stride));
        high.store(to.add(i * stride + LANES));
    }
}

#[inline(always)]
unsafe fn attend_some<L: Lanes, S: KvLayout, const M: usize>(
    queries: &Queries,
    block: &KeyBlock,
    first: usize,
) {
    // The queries are in order of their positions: the first's window ends and begins first.
    if block.seen(first + M - 1) == 0 || block.hidden(first) == BLOCK_TOKENS {
        return;
    }
    let &Queries { head_dim, stride, .. } = queries;
    let (next_keys, next_values) = match first {
        0 => (block.next_keys, block.next_values),
        _ => (block.keys, block.values),
    };

    let mut scores = [[L::splat(0.0); 2]; M];
    let q = queries.q.add(first * stride);
    let key_rows = S::key_rows(head_dim);
    for row in (0..head_dim).step_by(key_rows) {
        let keys = S::keys::<L>(block.keys, next_keys, head_dim, row);
        multiply(q.add(row), stride, &keys, 0..key_rows, &mut scores);
    }

    let mut p = [[0.0; BLOCK_TOKENS]; M];
    let mut rescale = [1.0; M];
    for m in 0..M {
        let seen = block.hidden(first + m)..block.seen(first + m);
        if !seen.is_empty() {
            rescale[m] = online_softmax(queries, first + m, seen, scores[m], &mut p[m]);
        }
    }

    let common = block.seen(first);
    let out = queries.out.add(first * stride);
    for piece in (0..stride).step_by(PIECE) {
        let mut sums = [[L::splat(0.0); 2]; M];
        for m in 0..M {
            let (out, rescale) = (out.add(m * stride + piece), L::splat(rescale[m]));
            sums[m] = [L::load(out).mul(rescale), L::load(out.add(LANES)).mul(rescale)];
        }
        let values = S::values::<L>(block.values, next_values, stride, piece);
        multiply(p.as_ptr().cast(), BLOCK_TOKENS, &values, 0..common, &mut sums);
        for m in 0..M {
            let seen = block.seen(first + m);
            if seen > common {
                let rest = std::slice::from_mut(&mut sums[m]).try_into().expect("one row");
                multiply::<L, _, 1>(p[m].as_ptr(), BLOCK_TOKENS, &values, common..seen, rest);
            }
            let out = out.add(m * stride + piece);
            sums[m][0].store(out);
            sums[m][1].store(out.add(LANES));
        }
    }
}

/// `sums[m] += Σ a[m][i] · rows[i]` over `range`, in order.
#[inline(always)]
unsafe fn multiply<L: Lanes, R: Rows<L>, const M: usize>(
    a: *const f32,
    a_stride: usize,
    rows: &R,
    range: std::ops::Range<usize>,
    sums: &mut [[L; 2]; M],
) {
    let mut acc = *sums;
    for i in range {
        rows.prefetch(i);
        let b = rows.load(i);
        for m in 0..M {
            let a = L::splat(*a.add(m * a_stride + i));
            acc[m] = [a.fma(b[0], acc[m][0]), a.fma(b[1], acc[m][1])];
        }
    }
    *sums = acc;
}

/// Turns one query's scores into `p`, brings its highest score and total up to date, and returns
/// the factor by which what it accumulated before is rescaled.
#[inline(always)]
unsafe fn online_softmax<L: Lanes>(
    queries: &Queries,
    query: usize,
    seen: std::ops::Range<usize>,
    scores: [L; 2],
    p: &mut [f32; BLOCK_TOKENS],
) -> f32 {
    let (end, scale, nothing) =
        (L::splat(seen.end as f32), L::splat(queries.scale), L::splat(f32::NEG_INFINITY));
    let positions = [L::load(POSITIONS.as_ptr()), L::load(POSITIONS.as_ptr().add(LANES))];
    let mut scores = [
        positions[0].select_lt(end, scores[0].mul(scale), nothing),
        positions[1].select_lt(end, scores[1].mul(scale), nothing),
    ];
    if seen.start > 0 {
        let start = L::splat(seen.start as f32);
        scores = [
            positions[0].select_lt(start, nothing, scores[0]),
            positions[1].select_lt(start, nothing, scores[1]),
        ];
    }
    let (highest, total) = (queries.highest.add(query), queries.total.add(query));
    let block_highest = scores[0].max(scores[1]).largest();
    let new = if block_highest > *highest { block_highest } else { *highest };
    let weights = [exp(scores[0].sub(L::splat(new))), exp(scores[1].sub(L::splat(new)))];
    weights[0].store(p.as_mut_ptr());
    weights[1].store(p.as_mut_ptr().add(LANES));
    let mut rescale = [0.0; LANES];
    exp(L::splat(*highest - new)).store(rescale.as_mut_ptr());
    *total = *total * rescale[0] + weights[0].add(weights[1]).sum();
    *highest = new;
    rescale[0]
}

/// Adds what queries accumulated over later blocks, `partial`, to what they accumulated over earlier
/// ones, `merged`.
///
/// ```text
/// new   = max(merged.highest, partial.highest)
/// a, b  = exp(merged.highest - new), exp(partial.highest - new)
/// total = merged.total · a + partial.total · b
/// out   = merged.out · a + partial.out · b
/// ```
///
/// # Safety
/// As for [`attend`]; both have the same count and stride.
#[inline(always)]
pub unsafe fn merge<L: Lanes>(merged: &Queries, partial: &Queries) {
    for query in 0..merged.count {
        // A query that saw none of those blocks: alone, it would not have been asked.
        if *partial.total.add(query) == 0.0 {
            continue;
        }
        let (highest, total) = (merged.highest.add(query), merged.total.add(query));
        let (before, later) = (*highest, *partial.highest.add(query));
        let new = if later > before { later } else { before };
        let mut factors = [[0.0; LANES]; 2];
        exp(L::splat(before - new)).store(factors[0].as_mut_ptr());
        exp(L::splat(later - new)).store(factors[1].as_mut_ptr());
        let [a, b] = [factors[0][0], factors[1][0]];
        *total = *total * a + *partial.total.add(query) * b;
        *highest = new;
        let [a, b] = [L::splat(a), L::splat(b)];
        for i in (0..merged.stride).step_by(LANES) {
            let out = merged.out.add(query * merged.stride + i);
            let added = L::load(partial.out.add(query * merged.stride + i));
            added.fma(b, L::load(out).mul(a)).store(out);
        }
    }
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
