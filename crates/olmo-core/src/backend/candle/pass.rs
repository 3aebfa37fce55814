//! What candle needs of a batch in every layer, brought to the device once.

use std::ops::Range;

use candle_core::{DType as CandleDType, Device, Tensor};

use crate::cache::BLOCK_TOKENS;
use crate::config::AttentionKind;
use crate::ops::{Batch, BlockTable, LayerKind, RopeTable, Span};
use crate::Result;

/// A batch on the device.
pub struct Pass {
    pub(super) ids: Tensor, // [rows]
    /// The output rows; none if there are none, as a GPU launches no kernel over nothing.
    pub(super) outputs: Option<Tensor>, // [outputs]
    pub(super) kinds: Vec<KindPass>,
}

/// What the layers of one kind of attention share.
pub(super) struct KindPass {
    pub(super) angles: Angles,
    pub(super) spans: Vec<SpanPass>,
}

/// One span in the layers of one kind.
pub(super) struct SpanPass {
    pub(super) rows: Range<usize>,
    /// Rows of the batch that lie together in the cache, and the cache's row of the first.
    pub(super) writes: Vec<(Range<usize>, usize)>,
    /// Positions of the sequence that any of the rows sees.
    pub(super) seen: Range<usize>,
    pub(super) slots: Tensor, // [seen]: the cache's rows that hold them
    pub(super) mask: Tensor,  // [rows, seen]
}

impl Pass {
    pub(super) fn new(batch: &Batch, kinds: &[LayerKind], device: &Device) -> Result<Pass> {
        let kind = |(index, kind): (usize, &LayerKind)| {
            let span =
                |span: &Span| SpanPass::new(span, &span.tables[index], kind.attention, device);
            Ok(KindPass {
                angles: Angles::new(&kind.rope, &batch.positions, device)?,
                spans: batch.spans.iter().map(span).collect::<Result<_>>()?,
            })
        };
        Ok(Pass {
            ids: Tensor::new(&batch.tokens[..], device)?,
            outputs: outputs(batch, device)?,
            kinds: kinds.iter().enumerate().map(kind).collect::<Result<_>>()?,
        })
    }
}

/// The rows whose logits are wanted, if there are any.
pub(super) fn outputs(batch: &Batch, device: &Device) -> Result<Option<Tensor>> {
    let rows: Vec<u32> = batch.outputs.iter().map(|&row| row as u32).collect();
    match rows.is_empty() {
        true => Ok(None),
        false => Ok(Some(Tensor::new(rows, device)?)),
    }
}

impl SpanPass {
    fn new(
        span: &Span,
        table: &BlockTable,
        kind: AttentionKind,
        device: &Device,
    ) -> Result<SpanPass> {
        let slot = |position: usize| {
            table.block(position) as usize * BLOCK_TOKENS + position % BLOCK_TOKENS
        };
        let seen = kind.first_seen(span.start)..span.end();
        let slots: Vec<u32> = seen.clone().map(|position| slot(position) as u32).collect();
        let mut writes = Vec::new();
        let mut row = span.rows.start;
        while row < span.rows.end {
            let position = span.start + (row - span.rows.start);
            let in_block = BLOCK_TOKENS - position % BLOCK_TOKENS;
            let end = span.rows.end.min(row + in_block);
            writes.push((row..end, slot(position)));
            row = end;
        }
        let mask = mask(kind, span.start..span.end(), seen.clone(), device)?;
        Ok(SpanPass {
            rows: span.rows.clone(),
            writes,
            seen,
            slots: Tensor::new(slots, device)?,
            mask,
        })
    }
}

/// 0 where a row looks, -inf at other positions: `[rows, seen]`.
pub(super) fn mask(
    kind: AttentionKind,
    rows: Range<usize>,
    seen: Range<usize>,
    device: &Device,
) -> Result<Tensor> {
    let shape = (rows.len(), seen.len());
    let mask: Vec<f32> = rows
        .flat_map(|row| {
            let looks_at = kind.first_seen(row)..row + 1;
            seen.clone().map(move |position| match looks_at.contains(&position) {
                true => 0.0,
                false => f32::NEG_INFINITY,
            })
        })
        .collect();
    Ok(Tensor::from_vec(mask, shape, device)?)
}

/// Cosines and sines of a batch's positions, `[rows, 1, head_dim / 2]` each.
pub(super) struct Angles {
    cos: Tensor,
    sin: Tensor,
    half_dim: usize,
}

impl Angles {
    pub(super) fn new(table: &RopeTable, positions: &[u32], device: &Device) -> Result<Angles> {
        let (rows, half_dim) = (positions.len(), table.half_dim);
        let gather = |angles: fn(&RopeTable, usize) -> &[f32]| -> Result<Tensor> {
            let flat: Vec<f32> =
                positions.iter().flat_map(|&p| angles(table, p as usize).iter().copied()).collect();
            Ok(Tensor::from_vec(flat, (rows, 1, half_dim), device)?)
        };
        Ok(Angles {
            cos: gather(|table, position| table.at(position).0)?,
            sin: gather(|table, position| table.at(position).1)?,
            half_dim,
        })
    }

    /// Rotates every head of every row of `x` `[rows, heads · head_dim]`.
    pub(super) fn rotate(&self, x: &Tensor) -> Result<Tensor> {
        let ((rows, width), half) = (x.dims2()?, self.half_dim);
        let dtype = x.dtype();
        let x = x.reshape((rows, width / (2 * half), 2 * half))?.to_dtype(CandleDType::F32)?;
        let (a, b) = (x.narrow(2, 0, half)?, x.narrow(2, half, half)?);
        let first = (a.broadcast_mul(&self.cos)? - b.broadcast_mul(&self.sin)?)?;
        let second = (b.broadcast_mul(&self.cos)? + a.broadcast_mul(&self.sin)?)?;
        Ok(Tensor::cat(&[first, second], 2)?.reshape((rows, width))?.to_dtype(dtype)?)
    }
}
