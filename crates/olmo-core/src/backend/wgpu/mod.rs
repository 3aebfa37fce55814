//! The operations on a GPU of any maker, as compute kernels of our own over Vulkan, Metal or DirectX 12.
//!
//! Activations are f32. Weights are as the CPU has them in files, bit for bit, laid out for wide loads; the kernels widen
//! them in registers. An operation only records its kernel: nothing waits for the device before [`Ops::read`].

mod buffers;
mod cache;
mod gpu;
mod kernels;
mod matrix;
mod pass;
mod recording;

pub use cache::Cache;
pub use matrix::Matrix;
pub use pass::Pass;

use std::sync::Arc;

use self::buffers::Pooled;
use self::gpu::{Gpu, MOST_GROUPS};
use self::kernels::{Kernel, MOST_ROWS, SIZE, TILE};
use crate::cache::{CacheDType, CacheShape};
use crate::config::ModelConfig;
use crate::device::Adapter;
use crate::dtype::TensorType;
use crate::ops::{Batch, LayerKind, LayerSpec, Ops, Study};
use crate::precision::{Outline, Precision};
use crate::weights::TensorData;
use crate::{Error, Result};

/// Heads of more numbers do not fit the attention kernel's registers.
const MOST_HEAD_DIM: usize = 512;

pub struct WgpuOps {
    gpu: Gpu,
    /// What weights run in; if none is given, in the types they are stored in.
    precision: Option<Precision>,
    outline: Outline,
    cache_dtype: CacheDType,
}

/// Activations `[rows, width]`.
pub struct Tensor {
    buffer: Pooled,
    rows: usize,
    width: usize,
}

impl WgpuOps {
    /// Weights in this precision, or each in the type it is stored in.
    pub fn new(
        adapter: &Adapter,
        precision: Option<Precision>,
        config: &ModelConfig,
        cache_dtype: CacheDType,
    ) -> Result<WgpuOps> {
        if config.head_dim > MOST_HEAD_DIM {
            let problem =
                format!("heads of {} numbers, where {MOST_HEAD_DIM} fit", config.head_dim);
            return Err(Error::DeviceUnavailable {
                device: adapter.name.clone(),
                reason: problem.into(),
            });
        }
        let gpu = Gpu::open(adapter)?;
        Ok(WgpuOps { gpu, precision, outline: config.into(), cache_dtype })
    }

    /// The type a weight runs in.
    fn type_of(&self, weight: &TensorData) -> TensorType {
        let of = |precision: Precision| precision.of(&weight.name, &weight.shape, self.outline);
        self.precision.map_or(weight.dtype, of)
    }

    fn tensor(&self, rows: usize, width: usize) -> Result<Tensor> {
        Ok(Tensor { buffer: self.gpu.scratch(rows.saturating_mul(width))?, rows, width })
    }

    fn project_one(&self, x: &Tensor, weight: &Matrix) -> Result<Tensor> {
        if x.width != weight.inputs {
            let problem = format!("rows of {} met a matrix of {}", x.width, weight.inputs);
            return Err(Error::Internal(problem));
        }
        let y = self.tensor(x.rows, weight.outputs)?;
        for part in weight.parts.iter() {
            let params = [
                x.rows,
                x.width,
                weight.layout.units,
                weight.layout.row_words,
                part.first,
                part.outputs,
                weight.outputs,
            ];
            let (kernel, groups) = if x.rows <= MOST_ROWS {
                let kernel = Kernel::ProjectRows(weight.layout.kind, x.rows as u32);
                (kernel, spread(part.outputs))
            } else {
                let tiles = [part.outputs.div_ceil(TILE) as u32, x.rows.div_ceil(TILE) as u32, 1];
                (Kernel::ProjectTiles(weight.layout.kind), tiles)
            };
            let buffers = [&part.buffer, x.buffer.buffer(), y.buffer.buffer()];
            self.gpu.dispatch(kernel, &words(params), &buffers, groups)?;
        }
        Ok(y)
    }

    fn each_pair(&self, kernel: Kernel, x: Tensor, y: &Tensor) -> Result<Tensor> {
        if (x.rows, x.width) != (y.rows, y.width) {
            let problem = format!("[{}, {}] met [{}, {}]", x.rows, x.width, y.rows, y.width);
            return Err(Error::Internal(problem));
        }
        let count = x.rows * x.width;
        let buffers = [y.buffer.buffer(), x.buffer.buffer()];
        self.gpu.dispatch(kernel, &words([count]), &buffers, spread(count.div_ceil(SIZE)))?;
        Ok(x)
    }

    fn store(
        &self,
        k: &Tensor,
        v: &Tensor,
        cache: &Cache,
        layer: LayerSpec,
        pass: &Pass,
    ) -> Result<()> {
        let width = cache.width();
        if [k.width, v.width, k.rows, v.rows] != [width, width, pass.rows, pass.rows] {
            let problem = format!("keys [{}, {}] for a cache of {width}", k.rows, k.width);
            return Err(Error::Internal(problem));
        }
        let group = match cache.dtype {
            CacheDType::Float(crate::dtype::DType::F32) => 1,
            CacheDType::Float(_) => 2,
            CacheDType::Q8_0 => crate::cache::CACHE_GROUP,
        };
        let kind = &pass.kinds[layer.kind];
        let params = [width, cache.row_words(), cache.values(layer.index)];
        let buffers =
            [kind.rows.buffer(), k.buffer.buffer(), v.buffer.buffer(), cache.layer(layer.index)];
        let groups = [width.div_ceil(group).div_ceil(SIZE) as u32, pass.rows as u32, 2];
        self.gpu.dispatch(Kernel::Store(cache.dtype), &words(params), &buffers, groups)
    }
}

/// Workgroups in two dimensions, since one takes only so many.
fn spread(groups: usize) -> [u32; 3] {
    let lines = groups.div_ceil(MOST_GROUPS as usize).max(1);
    [groups.div_ceil(lines) as u32, lines as u32, 1]
}

/// Sizes as kernels take them; what goes to the device is smaller than 2³².
fn words<const N: usize>(numbers: [usize; N]) -> [u32; N] {
    numbers.map(|number| number as u32)
}

impl Ops for WgpuOps {
    type Tensor = Tensor;
    type Matrix = Matrix;
    type Vector = Arc<(wgpu::Buffer, usize)>;
    type Cache = Cache;
    type Pass<'a> = Pass;

    fn matrix(&mut self, weight: &TensorData) -> Result<Matrix> {
        Matrix::new(&self.gpu, weight, self.type_of(weight))
    }

    fn vector(&mut self, weight: &TensorData) -> Result<Self::Vector> {
        let numbers: Vec<u32> = weight.to_f32().into_iter().map(f32::to_bits).collect();
        let buffer = self.gpu.buffer(numbers.len(), &format!("tensor `{}`", weight.name))?;
        self.gpu.write(&buffer, 0, &numbers)?;
        Ok(Arc::new((buffer, numbers.len())))
    }

    fn cache(&self, shape: &CacheShape) -> Result<Cache> {
        Cache::new(&self.gpu, shape, self.cache_dtype)
    }

    fn begin(&self, batch: &Batch, kinds: &[LayerKind]) -> Result<Pass> {
        self.gpu.submit()?; // what is written for this pass must not reach the one before
        Pass::new(&self.gpu, batch, kinds)
    }

    fn embed(&self, table: &Matrix, pass: &Pass) -> Result<Tensor> {
        let x = self.tensor(pass.rows, table.inputs)?;
        let Matrix { layout, inputs, .. } = *table;
        for part in table.parts.iter() {
            let params =
                [pass.rows, inputs, layout.units, layout.row_words, part.first, part.outputs];
            let buffers = [&part.buffer, pass.ids.buffer(), x.buffer.buffer()];
            let groups = [layout.units.div_ceil(SIZE) as u32, pass.rows as u32, 1];
            self.gpu.dispatch(Kernel::Embed(layout.kind), &words(params), &buffers, groups)?;
        }
        Ok(x)
    }

    fn project<const N: usize>(&self, x: &Tensor, weights: [&Matrix; N]) -> Result<[Tensor; N]> {
        let outputs: Vec<Tensor> =
            weights.iter().map(|weight| self.project_one(x, weight)).collect::<Result<_>>()?;
        Ok(outputs.try_into().unwrap_or_else(|_| unreachable!("one output a weight")))
    }

    fn rms_norm(&self, x: Tensor, weight: &Self::Vector, eps: f32) -> Result<Tensor> {
        if weight.1 != x.width {
            let problem = format!("rows of {} met a norm of {}", x.width, weight.1);
            return Err(Error::Internal(problem));
        }
        let params = [x.width as u32, eps.to_bits()];
        let buffers = [&weight.0, x.buffer.buffer()];
        self.gpu.dispatch(Kernel::RmsNorm, &params, &buffers, [x.rows as u32, 1, 1])?;
        Ok(x)
    }

    fn rope(&self, x: Tensor, layer: LayerSpec, pass: &Pass) -> Result<Tensor> {
        let kind = &pass.kinds[layer.kind];
        let params = words([x.width, kind.half_dim, x.rows]);
        let groups = [(x.width / 2).div_ceil(SIZE) as u32, x.rows as u32, 1];
        let buffers = [kind.angles.buffer(), x.buffer.buffer()];
        self.gpu.dispatch(Kernel::Rope, &params, &buffers, groups)?;
        Ok(x)
    }

    fn attention(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        cache: &mut Cache,
        layer: LayerSpec,
        pass: &Pass,
    ) -> Result<Tensor> {
        let kind = &pass.kinds[layer.kind];
        let blocks = cache.shape.blocks.get(layer.index).copied().unwrap_or(0);
        if kind.most_blocks > blocks || q.rows != pass.rows {
            let problem = format!("{layer:?} needs {} blocks of {blocks}", kind.most_blocks);
            return Err(Error::Internal(problem));
        }
        self.store(k, v, cache, layer, pass)?;
        let out = self.tensor(q.rows, q.width)?;
        let (head_dim, kv_heads) = (cache.shape.head_dim, cache.shape.kv_heads);
        let heads = q.width / head_dim;
        let sizes = words([
            cache.width(),
            cache.row_words(),
            cache.values(layer.index),
            heads,
            head_dim,
            heads / kv_heads,
        ]);
        let scale = 1.0 / (head_dim as f32).sqrt();
        let params = [&sizes[..], &[scale.to_bits()]].concat();
        let buffers = [
            kind.rows.buffer(),
            kind.blocks.buffer(),
            q.buffer.buffer(),
            cache.layer(layer.index),
            out.buffer.buffer(),
        ];
        let groups = [heads as u32, q.rows as u32, 1];
        self.gpu.dispatch(Kernel::Attention(cache.dtype), &params, &buffers, groups)?;
        Ok(out)
    }

    fn silu_mul(&self, gate: Tensor, up: &Tensor) -> Result<Tensor> {
        self.each_pair(Kernel::SiluMul, gate, up)
    }

    fn add(&self, x: Tensor, y: &Tensor) -> Result<Tensor> {
        self.each_pair(Kernel::Add, x, y)
    }

    fn select_outputs(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let out = self.tensor(pass.outputs, x.width)?;
        let buffers = [pass.chosen.buffer(), x.buffer.buffer(), out.buffer.buffer()];
        let groups = [x.width.div_ceil(SIZE) as u32, pass.outputs as u32, 1];
        self.gpu.dispatch(Kernel::Select, &words([x.width]), &buffers, groups)?;
        Ok(out)
    }

    fn read(&self, x: &Tensor, out: &mut Vec<f32>) -> Result<()> {
        let words = self.gpu.read(x.buffer.buffer(), 0, x.rows * x.width)?;
        out.clear();
        out.extend(words.into_iter().map(f32::from_bits));
        Ok(())
    }
}

impl Study for WgpuOps {
    /// On the host: it is for looking, a text at a time.
    fn attention_probabilities(
        &self,
        q: &Tensor,
        cache: &Cache,
        layer: LayerSpec,
        pass: &Pass,
    ) -> Result<Vec<f32>> {
        let seen = &pass.kinds[layer.kind].seen;
        let mut queries = Vec::new();
        self.read(q, &mut queries)?;
        let row = cache.row_words();
        let keys = seen.slots.iter().map(|slot| {
            let words = self.gpu.read(cache.layer(layer.index), slot * row, row)?;
            Ok(cache.keys(&words))
        });
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let head_dim = cache.shape.head_dim;
        let (heads, end) = (q.width / head_dim, seen.first + seen.slots.len());
        let shared_by = heads / cache.shape.kv_heads;
        let scale = 1.0 / (head_dim as f32).sqrt();
        let mut found = Vec::with_capacity(heads * seen.first_of_row.len() * end);
        for head in 0..heads {
            let column = head / shared_by * head_dim;
            for (row, &first) in seen.first_of_row.iter().enumerate() {
                let query = &queries[row * q.width + head * head_dim..][..head_dim];
                let score = |position: usize| {
                    let key = &keys[position - seen.first][column..column + head_dim];
                    scale * query.iter().zip(key).map(|(q, k)| q * k).sum::<f32>()
                };
                let scores: Vec<f32> = (first..=seen.start + row).map(score).collect();
                let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let weights: Vec<f32> = scores.iter().map(|score| (score - most).exp()).collect();
                let total: f32 = weights.iter().sum();
                let at = found.len();
                found.resize(at + end, 0.0);
                for (found, weight) in found[at + first..].iter_mut().zip(weights) {
                    *found = weight / total;
                }
            }
        }
        Ok(found)
    }

    fn read_block(&self, cache: &Cache, block: u32) -> Result<Vec<u8>> {
        cache.read_block(&self.gpu, block)
    }

    fn write_block(&self, cache: &mut Cache, block: u32, bytes: &[u8]) -> Result<()> {
        cache.write_block(&self.gpu, block, bytes)
    }

    fn copy_block(&self, cache: &mut Cache, from: u32, into: u32) -> Result<()> {
        cache.copy_block(&self.gpu, from, into)
    }
}
