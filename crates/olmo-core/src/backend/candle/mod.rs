//! The operations on candle tensors: CUDA, Metal, and on the CPU the readable twin that the CPU
//! engine is tested against.
//!
//! Nothing here is tuned. A GPU gets its speed from candle's own kernels.

mod autograd;
mod pass;

use candle_core::{DType as CandleDType, Device, IndexOp, Tensor, D};

use crate::cache::{CacheDType, CacheShape, BLOCK_TOKENS};
use crate::dtype::{DType, TensorType};
use crate::ops::{Batch, LayerKind, LayerSpec, Ops, Study};
use crate::weights::TensorData;
use crate::{Error, Result};
use pass::SpanPass;

pub use autograd::AutogradOps;
pub use pass::Pass;

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

    /// Softmaxed scores `[heads, rows, seen]` in f32 of one span's queries `[rows, heads · head_dim]`.
    fn probabilities(
        &self,
        q: &Tensor,
        cache: &CandleCache,
        layer: LayerSpec,
        span: &SpanPass,
    ) -> Result<Tensor> {
        let (rows, width) = q.dims2()?;
        let (heads, head_dim) = (width / cache.head_dim, cache.head_dim);
        let k = cache.keys[layer.index].index_select(&span.slots, 0)?; // [seen, kv_heads, head_dim]
        let k = repeat_heads(&k.to_dtype(q.dtype())?.transpose(0, 1)?, heads)?;
        let q = q.reshape((rows, heads, head_dim))?.transpose(0, 1)?.contiguous()?;
        let scores = q.matmul(&k.transpose(1, 2)?.contiguous()?)?.to_dtype(CandleDType::F32)?;
        let scores = (scores * (1.0 / (head_dim as f64).sqrt()))?.broadcast_add(&span.mask)?;
        let scores = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
        Ok(scores.broadcast_div(&scores.sum_keepdim(D::Minus1)?)?)
    }
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
    type Pass<'a> = Pass;

    fn matrix(&mut self, weight: &TensorData) -> Result<Tensor> {
        self.tensor(weight)
    }

    fn vector(&mut self, weight: &TensorData) -> Result<Tensor> {
        Ok(Tensor::from_vec(weight.to_f32(), &weight.shape[..], &self.device)?)
    }

    fn cache(&self, shape: &CacheShape) -> Result<CandleCache> {
        let zeros = || {
            let layer = |blocks: &usize| {
                let dims = (blocks * BLOCK_TOKENS, shape.kv_heads, shape.head_dim);
                Ok(Tensor::zeros(dims, self.cache_dtype.into(), &self.device)?)
            };
            shape.blocks.iter().map(layer).collect::<Result<Vec<_>>>()
        };
        Ok(CandleCache { keys: zeros()?, values: zeros()?, head_dim: shape.head_dim })
    }

    fn begin(&self, batch: &Batch, kinds: &[LayerKind]) -> Result<Pass> {
        Pass::new(batch, kinds, &self.device)
    }

    fn embed(&self, table: &Tensor, pass: &Pass) -> Result<Tensor> {
        Ok(table.index_select(&pass.ids, 0)?)
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

    fn rope(&self, x: Tensor, layer: LayerSpec, pass: &Pass) -> Result<Tensor> {
        pass.kinds[layer.kind].angles.rotate(&x)
    }

    fn attention(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        cache: &mut CandleCache,
        layer: LayerSpec,
        pass: &Pass,
    ) -> Result<Tensor> {
        let head_dim = cache.head_dim;
        let (_, width) = q.dims2()?;
        let spans = &pass.kinds[layer.kind].spans;
        let mut outputs = Vec::with_capacity(spans.len());
        for span in spans {
            store(k, &cache.keys[layer.index], span)?;
            store(v, &cache.values[layer.index], span)?;
            let q = q.narrow(0, span.rows.start, span.rows.len())?;
            let p = self.probabilities(&q, cache, layer, span)?.to_dtype(q.dtype())?;
            let v = cache.values[layer.index].index_select(&span.slots, 0)?;
            let v = v.to_dtype(q.dtype())?; // [seen, kv_heads, head_dim]
            let v = repeat_heads(&v.transpose(0, 1)?, width / head_dim)?;
            let rows = span.rows.len();
            outputs.push(p.matmul(&v)?.transpose(0, 1)?.reshape((rows, width))?);
        }
        Ok(Tensor::cat(&outputs, 0)?)
    }

    fn silu_mul(&self, gate: Tensor, up: &Tensor) -> Result<Tensor> {
        Ok((gate.silu()? * up)?)
    }

    fn add(&self, x: Tensor, y: &Tensor) -> Result<Tensor> {
        Ok((x + y)?)
    }

    fn select_outputs(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        match &pass.outputs {
            Some(rows) => Ok(x.index_select(rows, 0)?),
            None => Ok(x.narrow(0, 0, 0)?),
        }
    }

    fn read(&self, x: &Tensor, out: &mut Vec<f32>) -> Result<()> {
        *out = x.to_dtype(CandleDType::F32)?.flatten_all()?.to_vec1()?;
        Ok(())
    }
}

impl Study for CandleOps {
    fn attention_probabilities(
        &self,
        q: &Tensor,
        cache: &CandleCache,
        layer: LayerSpec,
        pass: &Pass,
    ) -> Result<Vec<f32>> {
        let span = &pass.kinds[layer.kind].spans[0];
        let p = self.probabilities(q, cache, layer, span)?;
        let p = p.pad_with_zeros(D::Minus1, span.seen.start, 0)?; // what no row looks at
        Ok(p.flatten_all()?.to_vec1()?)
    }

    /// Layer after layer, keys and then values, in f32 whatever the cache is in.
    fn read_block(&self, cache: &CandleCache, block: u32) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for storage in cache.storages() {
            let rows = storage.narrow(0, block as usize * BLOCK_TOKENS, BLOCK_TOKENS)?;
            let numbers: Vec<f32> = rows.to_dtype(CandleDType::F32)?.flatten_all()?.to_vec1()?;
            bytes.extend(numbers.into_iter().flat_map(f32::to_le_bytes));
        }
        Ok(bytes)
    }

    fn write_block(&self, cache: &mut CandleCache, block: u32, bytes: &[u8]) -> Result<()> {
        let parts = 2 * cache.keys.len();
        if !bytes.len().is_multiple_of(parts * size_of::<f32>()) {
            return Err(Error::Internal(format!("a block of {} bytes", bytes.len())));
        }
        for (storage, bytes) in cache.storages().zip(bytes.chunks_exact(bytes.len() / parts)) {
            let (_, kv_heads, head_dim) = storage.dims3()?;
            let numbers: Vec<f32> = bytes
                .chunks_exact(size_of::<f32>())
                .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes")))
                .collect();
            let shape = (BLOCK_TOKENS, kv_heads, head_dim);
            let rows = Tensor::from_vec(numbers, shape, &self.device)?.to_dtype(storage.dtype())?;
            storage.slice_set(&rows, 0, block as usize * BLOCK_TOKENS)?;
        }
        Ok(())
    }

    fn copy_block(&self, cache: &mut CandleCache, from: u32, into: u32) -> Result<()> {
        let [from, into] = [from, into].map(|block| block as usize * BLOCK_TOKENS);
        for storage in cache.storages() {
            // A copy of its own: a tensor cannot be set to a part of itself.
            let rows = storage.narrow(0, from, BLOCK_TOKENS)?.force_contiguous()?;
            storage.slice_set(&rows, 0, into)?;
        }
        Ok(())
    }
}

impl CandleCache {
    /// Keys and values, layer after layer.
    fn storages(&self) -> impl Iterator<Item = &Tensor> {
        self.keys.iter().zip(&self.values).flat_map(|(keys, values)| [keys, values])
    }
}

/// Writes a span's rows of `x` `[rows, kv_heads · head_dim]` to their places in one layer's cache,
/// block by block, in place.
fn store(x: &Tensor, cache: &Tensor, span: &SpanPass) -> Result<()> {
    let (_, kv_heads, head_dim) = cache.dims3()?;
    for (rows, slot) in &span.writes {
        let x = x.i(rows.clone())?.reshape((rows.len(), kv_heads, head_dim))?;
        cache.slice_set(&x.to_dtype(cache.dtype())?.contiguous()?, 0, *slot)?;
    }
    Ok(())
}

impl From<DType> for candle_core::DType {
    fn from(dtype: DType) -> Self {
        match dtype {
            DType::F32 => candle_core::DType::F32,
            DType::F16 => candle_core::DType::F16,
            DType::BF16 => candle_core::DType::BF16,
        }
    }
}

/// candle fails only where this crate passed it something wrong, or where a device gave up.
impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Error::Internal(format!("candle: {error}"))
    }
}
