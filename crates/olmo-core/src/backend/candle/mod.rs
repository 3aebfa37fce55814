//! The operations on candle tensors: CUDA, Metal, and on the CPU the readable twin that the CPU
//! engine is tested against.
//!
//! Nothing here is tuned. A GPU gets its speed from candle's own kernels.

mod autograd;

use candle_core::{DType as CandleDType, Device, IndexOp, Tensor, D};

use crate::cache::{CacheDType, CacheShape, BLOCK_TOKENS};
use crate::config::AttentionKind;
use crate::dtype::{DType, TensorType};
use crate::ops::Ops;
use crate::ops::{Batch, RopeTable, Span};
use crate::weights::TensorData;
use crate::{Error, Result};

pub use autograd::AutogradOps;

pub struct CandleOps {
    device: Device,
    dtype: DType,
    cache_dtype: DType,
}

/// Keys and values of each layer, `[blocks · BLOCK_TOKENS, kv_heads, head_dim]`.
pub struct CandleCache {
    keys: Vec<Tensor>,
    values: Vec<Tensor>,
    head_dim: usize,
}

impl CandleOps {
    /// Weights, activations and cache in `dtype`, on `device`.
    pub fn new(device: Device, dtype: DType) -> CandleOps {
        CandleOps { device, dtype, cache_dtype: dtype }
    }

    /// The same with another kind of cache: of floating-point numbers, as candle has no others.
    pub fn with_cache(self, cache_dtype: CacheDType) -> Result<CandleOps> {
        match cache_dtype {
            CacheDType::Float(cache_dtype) => Ok(CandleOps { cache_dtype, ..self }),
            CacheDType::Q8_0 => {
                let expected = "on this device it must be f32, f16 or bf16";
                Err(Error::option("cache_dtype", cache_dtype.name(), expected))
            }
        }
    }

    fn tensor(&self, weight: &TensorData) -> Result<Tensor> {
        let shape = &weight.shape[..];
        let tensor = match weight.dtype {
            TensorType::Float(dtype) => {
                Tensor::from_raw_buffer(weight.bytes(), dtype.into(), shape, &self.device)?
            }
            TensorType::Block(_) => Tensor::from_vec(weight.to_f32(), shape, &self.device)?,
        };
        Ok(tensor.to_dtype(self.dtype.into())?)
    }

    /// Where a span's positions `0..end` lie in the cache.
    fn slots(&self, span: &Span, end: usize) -> Result<Tensor> {
        let slots: Vec<u32> = (0..end).map(|position| slot(span, position) as u32).collect();
        Ok(Tensor::new(slots, &self.device)?)
    }

    /// Softmaxed scores `[heads, rows, end]` in f32 of one span's queries `[rows, heads · head_dim]`.
    fn probabilities(
        &self,
        q: &Tensor,
        cache: &CandleCache,
        layer: usize,
        span: &Span,
    ) -> Result<Tensor> {
        let end = span.start + span.rows.len();
        let (rows, width) = q.dims2()?;
        let (heads, head_dim) = (width / cache.head_dim, cache.head_dim);
        let k = cache.keys[layer].index_select(&self.slots(span, end)?, 0)?; // [end, kv_heads, head_dim]
        let k = repeat_heads(&k.to_dtype(q.dtype())?.transpose(0, 1)?, heads)?;
        let q = q.reshape((rows, heads, head_dim))?.transpose(0, 1)?.contiguous()?;
        let scores = q.matmul(&k.transpose(1, 2)?.contiguous()?)?.to_dtype(CandleDType::F32)?;
        let scores =
            (scores * (1.0 / (head_dim as f64).sqrt()))?.broadcast_add(&self.mask(span)?)?;
        let scores = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
        Ok(scores.broadcast_div(&scores.sum_keepdim(D::Minus1)?)?)
    }

    /// 0 where a row may look, -inf at later positions: `[rows, end]`.
    fn mask(&self, span: &Span) -> Result<Tensor> {
        let (rows, end) = (span.rows.len(), span.start + span.rows.len());
        let mask: Vec<f32> = (0..rows)
            .flat_map(|row| {
                (0..end).map(move |p| if p <= span.start + row { 0.0 } else { f32::NEG_INFINITY })
            })
            .collect();
        Ok(Tensor::from_vec(mask, (rows, end), &self.device)?)
    }
}

/// Row of the cache that holds a position of a span's sequence.
fn slot(span: &Span, position: usize) -> usize {
    span.blocks[position / BLOCK_TOKENS] as usize * BLOCK_TOKENS + position % BLOCK_TOKENS
}

/// `[kv_heads, n, head_dim]` → `[heads, n, head_dim]`: each key head serves a group of query heads.
fn repeat_heads(x: &Tensor, heads: usize) -> Result<Tensor> {
    let (kv_heads, n, head_dim) = x.dims3()?;
    let groups = heads / kv_heads;
    let x = x.unsqueeze(1)?.expand((kv_heads, groups, n, head_dim))?;
    Ok(x.reshape((heads, n, head_dim))?.contiguous()?)
}

impl Ops for CandleOps {
    type Tensor = Tensor;
    type Matrix = Tensor;
    type Vector = Tensor; // in f32: norms are computed in it
    type Cache = CandleCache;

    fn matrix(&self, weight: &TensorData) -> Result<Tensor> {
        self.tensor(weight)
    }

    fn vector(&self, weight: &TensorData) -> Result<Tensor> {
        Ok(Tensor::from_vec(weight.to_f32(), &weight.shape[..], &self.device)?)
    }

    fn cache(&self, shape: &CacheShape) -> Result<CandleCache> {
        let rows = shape.blocks * BLOCK_TOKENS;
        let zeros = || {
            (0..shape.layers)
                .map(|_| {
                    let dims = (rows, shape.kv_heads, shape.head_dim);
                    Ok(Tensor::zeros(dims, self.cache_dtype.into(), &self.device)?)
                })
                .collect::<Result<Vec<_>>>()
        };
        Ok(CandleCache { keys: zeros()?, values: zeros()?, head_dim: shape.head_dim })
    }

    fn embed(&self, table: &Tensor, ids: &[u32]) -> Result<Tensor> {
        Ok(table.index_select(&Tensor::new(ids, &self.device)?, 0)?)
    }

    fn project<const N: usize>(&self, x: &Tensor, weights: [&Tensor; N]) -> Result<[Tensor; N]> {
        let outputs: Vec<Tensor> =
            weights.iter().map(|w| Ok(x.matmul(&w.t()?)?)).collect::<Result<_>>()?;
        Ok(outputs.try_into().expect("one output a weight"))
    }

    fn rms_norm(&self, x: Tensor, weight: &Tensor, eps: f32) -> Result<Tensor> {
        let dtype = x.dtype();
        let x = x.to_dtype(CandleDType::F32)?;
        let variance = x.sqr()?.mean_keepdim(D::Minus1)?;
        let x = x.broadcast_div(&(variance + eps as f64)?.sqrt()?)?;
        Ok(x.broadcast_mul(weight)?.to_dtype(dtype)?)
    }

    fn rope(&self, x: Tensor, table: &RopeTable, positions: &[u32]) -> Result<Tensor> {
        let (rows, width) = x.dims2()?;
        let half = table.half_dim;
        let gather = |angles: fn(&RopeTable, usize) -> &[f32]| -> Result<Tensor> {
            let flat: Vec<f32> =
                positions.iter().flat_map(|&p| angles(table, p as usize).iter().copied()).collect();
            Ok(Tensor::from_vec(flat, (rows, 1, half), &self.device)?)
        };
        let cos = gather(|table, position| table.at(position).0)?;
        let sin = gather(|table, position| table.at(position).1)?;
        let dtype = x.dtype();
        let x = x.reshape((rows, width / (2 * half), 2 * half))?.to_dtype(CandleDType::F32)?;
        let (a, b) = (x.narrow(2, 0, half)?, x.narrow(2, half, half)?);
        let first = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
        let second = (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?;
        Ok(Tensor::cat(&[first, second], 2)?.reshape((rows, width))?.to_dtype(dtype)?)
    }

    fn attention(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        cache: &mut CandleCache,
        layer: usize,
        kind: AttentionKind,
        batch: &Batch,
    ) -> Result<Tensor> {
        let AttentionKind::Full = kind;
        let head_dim = cache.head_dim;
        let (_, width) = q.dims2()?;
        let mut outputs = Vec::with_capacity(batch.spans.len());
        for span in &batch.spans {
            let end = span.start + span.rows.len();
            store(k, &cache.keys[layer], span)?;
            store(v, &cache.values[layer], span)?;
            let q = q.narrow(0, span.rows.start, span.rows.len())?;
            let p = self.probabilities(&q, cache, layer, span)?.to_dtype(q.dtype())?;
            let v = cache.values[layer].index_select(&self.slots(span, end)?, 0)?;
            let v = v.to_dtype(q.dtype())?;
            let v = repeat_heads(&v.transpose(0, 1)?, width / head_dim)?;
            let rows = span.rows.len();
            outputs.push(p.matmul(&v)?.transpose(0, 1)?.reshape((rows, width))?);
        }
        Ok(Tensor::cat(&outputs, 0)?)
    }

    fn attention_probabilities(
        &self,
        q: &Tensor,
        cache: &CandleCache,
        layer: usize,
        kind: AttentionKind,
        batch: &Batch,
    ) -> Result<Vec<f32>> {
        let AttentionKind::Full = kind;
        let p = self.probabilities(q, cache, layer, &batch.spans[0])?;
        Ok(p.flatten_all()?.to_vec1()?)
    }

    fn silu_mul(&self, gate: Tensor, up: &Tensor) -> Result<Tensor> {
        Ok((gate.silu()? * up)?)
    }

    fn add(&self, x: Tensor, y: &Tensor) -> Result<Tensor> {
        Ok((x + y)?)
    }

    fn select_rows(&self, x: &Tensor, rows: &[usize]) -> Result<Tensor> {
        let rows: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
        Ok(x.index_select(&Tensor::new(rows, &self.device)?, 0)?)
    }

    fn read(&self, x: &Tensor, out: &mut Vec<f32>) -> Result<()> {
        *out = x.to_dtype(CandleDType::F32)?.flatten_all()?.to_vec1()?;
        Ok(())
    }
}

/// Writes a span's rows of `x` `[rows, kv_heads · head_dim]` to their places in one layer's cache,
/// block by block, in place.
fn store(x: &Tensor, cache: &Tensor, span: &Span) -> Result<()> {
    let (_, kv_heads, head_dim) = cache.dims3()?;
    let mut row = span.rows.start;
    while row < span.rows.end {
        let position = span.start + (row - span.rows.start);
        let in_block = BLOCK_TOKENS - position % BLOCK_TOKENS;
        let count = in_block.min(span.rows.end - row);
        let rows = x.i(row..row + count)?.reshape((count, kv_heads, head_dim))?;
        let rows = rows.to_dtype(cache.dtype())?.contiguous()?;
        cache.slice_set(&rows, 0, slot(span, position))?;
        row += count;
    }
    Ok(())
}
