//! Causal attention, both ways, without keeping the probabilities.
//!
//! One head of one span, a block of query rows at a time:
//!
//! ```text
//! forward:   P = softmax(scale · Q Kᵀ)      O = P V
//! backward:  P again from Q and K           dV += Pᵀ dO      dP = dO Vᵀ
//!            dS = scale · P ∘ (dP − rowsum(P ∘ dP))
//!            dQ = dS K                      dK += dSᵀ Q
//! ```
//!
//! Recomputing `P` costs one product in seven and saves `heads · rows²` numbers (Dao et al.,
//! "FlashAttention", 2022). A block sees whole rows of scores, so its softmax needs no running
//! maximum; the keys after its last row are never touched.

use std::ops::Range;

use rayon::prelude::*;

use super::buffer::{Buffer, Pool};
use super::matmul::{multiply, Matrix, Target};
use super::simd::{exp, max, sum, vectorized};

/// Query rows in a block: scores of 64 × 512 rows fit the L2 cache beside their gradients.
const BLOCK: usize = 64;

/// Sizes that the rows of queries, keys and values share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
}

impl Shape {
    fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Query heads that read one key head.
    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    fn scale(&self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }
}

/// Where tasks write: each to the columns of its own head and the rows of its own span.
#[derive(Clone, Copy)]
struct Out(*mut f32);

// SAFETY: the tasks of one call write to disjoint elements, as the loops below show.
unsafe impl Send for Out {}
unsafe impl Sync for Out {}

impl Out {
    /// # Safety
    /// `offset` must lie in the slice this was made of.
    unsafe fn at(self, offset: usize) -> *mut f32 {
        self.0.add(offset)
    }
}

vectorized! {
    /// Softmax of the first `visible` scores; the others become 0.
    fn softmax_row(scores: &mut [f32], visible: usize) {
        let (row, hidden) = scores.split_at_mut(visible);
        let largest = max(row);
        for score in row.iter_mut() {
            *score = exp(*score - largest);
        }
        let scale = 1.0 / sum([row], |[p]| p);
        for score in row {
            *score *= scale;
        }
        hidden.fill(0.0);
    }
}

vectorized! {
    /// Turns the gradient of a row's probabilities into that of its scores, in place.
    fn softmax_row_gradient(dp: &mut [f32], p: &[f32], scale: f32) {
        let p = &p[..dp.len()];
        let dot = sum([dp, p], |[dp, p]| dp * p);
        for (dp, p) in dp.iter_mut().zip(p) {
            *dp = p * (*dp - dot) * scale;
        }
    }
}

/// One head's columns of the rows of one span.
struct Head<'a> {
    values: &'a [f32],
    width: usize,
    column: usize,
}

impl Head<'_> {
    /// The span's rows turned into columns, in new memory. A product reads its right side fastest
    /// along rows; turned once, it need not be turned for every block of queries.
    fn turned(&self, pool: &Pool, span: &Range<usize>, head_dim: usize) -> Turned {
        // Not a power of two, which would crowd few sets of the cache.
        let stride = span.len().next_multiple_of(TILE) + TILE;
        let mut values = pool.take(head_dim * stride);
        for first in (0..span.len()).step_by(TILE) {
            for column in (0..head_dim).step_by(TILE) {
                for row in first..span.len().min(first + TILE) {
                    let at = (span.start + row) * self.width + self.column;
                    for column in column..head_dim.min(column + TILE) {
                        values[column * stride + row] = self.values[at + column];
                    }
                }
            }
        }
        Turned { values, stride }
    }

    /// Rows from `row` on.
    fn rows_from(&self, row: usize) -> Matrix {
        Matrix::rows(&self.values[row * self.width + self.column..], self.width)
    }
}

/// Rows and columns turned at a time: one cache line of each.
const TILE: usize = 16;

/// Keys or values of one head of a span, `[head_dim, rows]`.
struct Turned {
    values: Buffer,
    stride: usize,
}

impl Turned {
    fn matrix(&self) -> Matrix {
        Matrix::rows(&self.values, self.stride)
    }
}

/// The probabilities `[block, end]` of query rows `block` of a span that starts at row `start`.
///
/// # Safety
/// `q` and `k` must reach to the last row of the block.
unsafe fn probabilities(
    p: &mut [f32],
    q: &Head,
    k: &Turned,
    start: usize,
    block: &Range<usize>,
    shape: &Shape,
) {
    let (rows, end) = (block.len(), block.end);
    let q = q.rows_from(start + block.start);
    let size = (rows, shape.head_dim, end);
    multiply(size, Target::new(p.as_mut_ptr(), end, false), q, k.matrix(), shape.scale());
    for (row, scores) in p.chunks_mut(end).take(rows).enumerate() {
        softmax_row(scores, block.start + row + 1);
    }
}

fn blocks(rows: usize) -> impl DoubleEndedIterator<Item = Range<usize>> {
    (0..rows.div_ceil(BLOCK)).map(move |i| i * BLOCK..rows.min((i + 1) * BLOCK))
}

/// Pairs of a span and one of `heads` heads: the tasks.
fn tasks(spans: &[Range<usize>], heads: usize) -> Vec<(Range<usize>, usize)> {
    spans.iter().flat_map(|span| (0..heads).map(move |head| (span.clone(), head))).collect()
}

/// `out` `[rows, heads · head_dim]` from `q` of the same shape and `k`, `v`
/// `[rows, kv_heads · head_dim]`. Each span of rows is a text of its own.
pub(super) fn forward(
    pool: &Pool,
    out: &mut [f32],
    [q, k, v]: [&[f32]; 3],
    spans: &[Range<usize>],
    shape: Shape,
) {
    let (query_width, kv_width, head_dim) = (shape.query_width(), shape.kv_width(), shape.head_dim);
    assert!(spans.iter().all(|span| span.end * query_width <= out.len()));
    assert!(out.len() == q.len() && k.len() == v.len());
    assert_eq!(q.len() / query_width, k.len() / kv_width);
    let out = Out(out.as_mut_ptr());
    tasks(spans, shape.heads).into_par_iter().for_each(|(span, head)| {
        let kv_column = head / shape.group() * head_dim;
        let q = Head { values: q, width: query_width, column: head * head_dim };
        let k = Head { values: k, width: kv_width, column: kv_column };
        let v = Head { values: v, width: kv_width, column: kv_column };
        let k = k.turned(pool, &span, head_dim);
        let mut p = pool.take(BLOCK * span.len());
        for block in blocks(span.len()) {
            let (rows, end) = (block.len(), block.end);
            // SAFETY: all rows are inside the span, the span is inside the tensors (asserted), and
            // this task alone writes to this head's columns of the span.
            unsafe {
                probabilities(&mut p, &q, &k, span.start, &block, &shape);
                let offset = (span.start + block.start) * query_width + q.column;
                let p = Matrix::rows(&p, end);
                let v = v.rows_from(span.start);
                multiply(
                    (rows, end, head_dim),
                    Target::new(out.at(offset), query_width, false),
                    p,
                    v,
                    1.0,
                );
            }
        }
    });
}

/// Gradients `dq`, `dk`, `dv` from that of the output, `dout`.
pub(super) fn backward(
    pool: &Pool,
    [dq, dk, dv]: [&mut [f32]; 3],
    dout: &[f32],
    [q, k, v]: [&[f32]; 3],
    spans: &[Range<usize>],
    shape: Shape,
) {
    let (query_width, kv_width, head_dim) = (shape.query_width(), shape.kv_width(), shape.head_dim);
    assert!(spans.iter().all(|span| span.end * query_width <= q.len()));
    assert!(dq.len() == q.len() && dout.len() == q.len());
    assert!(dk.len() == k.len() && dv.len() == k.len() && v.len() == k.len());
    assert_eq!(q.len() / query_width, k.len() / kv_width);
    let (dq, dk, dv) = (Out(dq.as_mut_ptr()), Out(dk.as_mut_ptr()), Out(dv.as_mut_ptr()));
    // A task takes a key head with all query heads that read it: they add to the same gradients.
    tasks(spans, shape.kv_heads).into_par_iter().for_each(|(span, kv_head)| {
        let kv_column = kv_head * head_dim;
        let k = Head { values: k, width: kv_width, column: kv_column };
        let v = Head { values: v, width: kv_width, column: kv_column };
        let kv_offset = span.start * kv_width + kv_column;
        let k_turned = k.turned(pool, &span, head_dim);
        let v_turned = v.turned(pool, &span, head_dim);
        let mut p = pool.take(BLOCK * span.len());
        let mut dp = pool.take(BLOCK * span.len());
        for head in kv_head * shape.group()..(kv_head + 1) * shape.group() {
            let column = head * head_dim;
            let q = Head { values: q, width: query_width, column };
            let dout = Head { values: dout, width: query_width, column };
            // The last block sees all keys, so it sets the gradients that the others add to.
            for block in blocks(span.len()).rev() {
                let (rows, end) = (block.len(), block.end);
                let add = block.end < span.len() || head % shape.group() != 0;
                let first = span.start + block.start;
                // SAFETY: all rows are inside the span, the span is inside the tensors (asserted),
                // and this task alone writes to these heads' columns of the span.
                unsafe {
                    probabilities(&mut p, &q, &k_turned, span.start, &block, &shape);
                    let (q, dout) = (q.rows_from(first), dout.rows_from(first));
                    let k = k.rows_from(span.start);

                    let target = Target::new(dp.as_mut_ptr(), end, false);
                    let v_turned = v_turned.matrix();
                    multiply((rows, head_dim, end), target, dout, v_turned, 1.0);
                    for (dp, p) in dp.chunks_mut(end).zip(p.chunks(end)).take(rows) {
                        softmax_row_gradient(dp, p, shape.scale());
                    }

                    let (p, ds) = (Matrix::rows(&p, end), Matrix::rows(&dp, end));
                    let size = (end, rows, head_dim);
                    let (dv, dk) = (dv.at(kv_offset), dk.at(kv_offset));
                    multiply(size, Target::new(dv, kv_width, add), p.transposed(), dout, 1.0);
                    multiply(size, Target::new(dk, kv_width, add), ds.transposed(), q, 1.0);
                    let dq = Target::new(dq.at(first * query_width + column), query_width, false);
                    multiply((rows, end, head_dim), dq, ds, k, 1.0);
                }
            }
        }
    });
}
