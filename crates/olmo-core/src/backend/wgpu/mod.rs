//! The operations on a GPU of any maker, as compute kernels of our own over Vulkan, Metal or DirectX 12.
//!
//! Activations are f32. Weights are as the CPU has them in files, bit for bit, laid out for wide loads; the kernels widen
//! them in registers. An operation only records its kernel: nothing waits for the device before [`Ops::read`].

mod attention;
mod buffers;
mod cache;
mod cooperative;
mod gpu;
mod kernels;
mod matrix;
mod pass;
mod program;
mod project;
mod receive;
mod recording;
mod slice;
mod timer;
mod top;
mod trace;

pub use cache::Cache;
pub use cooperative::verdict;
pub use gpu::Limits;
pub use matrix::Matrix;
pub use pass::Pass;
pub use slice::{Role, Tensor, Vector};
pub use trace::{by_kernel, Binding, Dispatch, KernelTimes, Notes, Trace};

use std::ops::Range;

use self::gpu::Gpu;
use self::kernels::{Kernel, SIZE};
use self::recording::MOST_GROUPS;
use crate::cache::{CacheDType, CacheShape};
use crate::config::ModelConfig;
use crate::device::Adapter;
use crate::dtype::TensorType;
use crate::ops::{Batch, LayerKind, LayerSpec, Ops, QkNorm, Study};
use crate::precision::{Outline, Precision};
use crate::sampling::{TopLogits, TopRequest};
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
        let units = cooperative::units(adapter).and_then(std::result::Result::ok);
        let gpu = Gpu::open(adapter, units)?;
        Ok(WgpuOps { gpu, precision, outline: config.into(), cache_dtype })
    }

    /// Has every kernel that is recorded from now on noted in a trace.
    pub fn with_trace(self, trace: Trace) -> WgpuOps {
        self.gpu.trace.replace(Some(trace));
        self
    }

    /// The device itself, for tests that take it away.
    #[cfg(test)]
    pub(crate) fn device(&self) -> wgpu::Device {
        self.gpu.device()
    }

    /// The same with the kernels of devices that have no subgroups.
    pub fn without_subgroups(self) -> WgpuOps {
        self.gpu.sums.set(&kernels::PLAIN);
        self
    }

    /// The same with the products of devices that have no cooperative matrices.
    pub fn without_cooperative_matrices(self) -> WgpuOps {
        self.gpu.cooperative.forgo();
        self
    }

    /// Whether products of many rows with weights of a type that was loaded go by cooperative matrices.
    pub fn cooperates(&self, kind: TensorType) -> bool {
        self.gpu.cooperative.with(kind).is_some()
    }

    /// The same with less given to the device at once, for the test of what then is cut.
    pub fn with_limits(self, limits: Limits) -> WgpuOps {
        self.gpu.lower(limits);
        self
    }

    /// The type a weight runs in.
    fn type_of(&self, weight: &TensorData) -> TensorType {
        let of = |precision: Precision| precision.of(&weight.name, &weight.shape, self.outline);
        self.precision.map_or(weight.dtype, of)
    }

    fn each_pair(&self, kernel: Kernel, x: &Tensor, y: &Tensor) -> Result<Tensor> {
        same_shape(x, y)?;
        let [z] = self.gpu.tensors(x.rows, [x.width])?;
        let count = x.rows * x.width;
        let slices = [x.slice(), y.slice(), z.slice()];
        self.gpu.dispatch(kernel, &words([count]), &slices, spread(count.div_ceil(SIZE)))?;
        Ok(z)
    }
}

fn same_shape(x: &Tensor, y: &Tensor) -> Result<()> {
    match (x.rows, x.width) == (y.rows, y.width) {
        true => Ok(()),
        false => {
            Err(Error::Internal(format!("[{}, {}] met [{}, {}]", x.rows, x.width, y.rows, y.width)))
        }
    }
}

fn check_norm(x: &Tensor, weight: &Vector) -> Result<()> {
    match weight.width == x.width {
        true => Ok(()),
        false => {
            let problem = format!("rows of {} met a norm of {}", x.width, weight.width);
            Err(Error::Internal(problem))
        }
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
    const FINDS_TOP: bool = true;

    type Tensor = Tensor;
    type Matrix = Matrix;
    type Vector = Vector;
    type Cache = Cache;
    type Pass<'a> = Pass;

    fn matrix(&mut self, weight: &TensorData) -> Result<Matrix> {
        let kind = self.type_of(weight);
        self.gpu.try_cooperative(kind);
        Matrix::new(&self.gpu, weight, kind)
    }

    fn matrices<const N: usize>(&mut self, weights: [&TensorData; N]) -> Result<[Matrix; N]> {
        weights.iter().for_each(|weight| self.gpu.try_cooperative(self.type_of(weight)));
        let matrices = Matrix::together(&self.gpu, &weights, |weight| self.type_of(weight))?;
        Ok(matrices.try_into().unwrap_or_else(|_| unreachable!("a matrix a weight")))
    }

    fn vector(&mut self, weight: &TensorData) -> Result<Vector> {
        let numbers: Vec<u32> = weight.to_f32().into_iter().map(f32::to_bits).collect();
        let buffer = self.gpu.buffer(numbers.len(), &format!("tensor `{}`", weight.name))?;
        self.gpu.write(&buffer, 0, &numbers)?;
        Ok(Vector { buffer, width: numbers.len() })
    }

    fn cache(&self, shape: &CacheShape) -> Result<Cache> {
        Cache::new(&self.gpu, shape, self.cache_dtype)
    }

    fn begin(&self, batch: &Batch, kinds: &[LayerKind]) -> Result<Pass> {
        self.gpu.submit()?; // what is written for this pass must not reach the one before
        Pass::new(&self.gpu, batch, kinds)
    }

    fn embed(&self, table: &Matrix, pass: &Pass) -> Result<Tensor> {
        let [x] = self.gpu.tensors(pass.rows, [table.inputs])?;
        let Matrix { layout, inputs, .. } = *table;
        for part in table.parts.iter() {
            let params = [
                pass.rows,
                inputs,
                layout.units,
                layout.row_words,
                part.first,
                part.outputs,
                part.word,
            ];
            let weights = part.slice(layout).moving(pass.rows * layout.row_words);
            let slices = [weights, pass.slice(pass.ids), x.slice()];
            let groups = [layout.units.div_ceil(SIZE) as u32, pass.rows as u32, 1];
            self.gpu.dispatch(Kernel::Embed(layout.kind), &words(params), &slices, groups)?;
        }
        Ok(x)
    }

    fn project<const N: usize>(&self, x: &Tensor, weights: [&Matrix; N]) -> Result<[Tensor; N]> {
        self.project_all(x, weights)
    }

    fn rms_norm(&self, x: Tensor, weight: &Vector, eps: f32) -> Result<Tensor> {
        check_norm(&x, weight)?;
        let [y] = self.gpu.tensors(x.rows, [x.width])?;
        let params = [x.width as u32, eps.to_bits()];
        let slices = [weight.slice(), x.slice(), y.slice()];
        self.gpu.dispatch(Kernel::RmsNorm, &params, &slices, [x.rows as u32, 1, 1])?;
        Ok(y)
    }

    fn norm_add(&self, x: &Tensor, h: Tensor, weight: &Vector, eps: f32) -> Result<Tensor> {
        same_shape(x, &h)?;
        check_norm(&h, weight)?;
        let [y] = self.gpu.tensors(x.rows, [x.width])?;
        let params = [x.width as u32, eps.to_bits()];
        let slices = [weight.slice(), h.slice(), x.slice(), y.slice()];
        self.gpu.dispatch(Kernel::NormAdd, &params, &slices, [x.rows as u32, 1, 1])?;
        Ok(y)
    }

    fn rope(&self, x: Tensor, layer: LayerSpec, pass: &Pass) -> Result<Tensor> {
        let kind = &pass.kinds[layer.kind];
        let [y] = self.gpu.tensors(x.rows, [x.width])?;
        let params = words([x.width, kind.half_dim, x.rows, kind.angles]);
        let groups = [(x.width / 2).div_ceil(SIZE) as u32, x.rows as u32, 1];
        let slices = [pass.slice(kind.places), x.slice(), y.slice()];
        self.gpu.dispatch(Kernel::Rope, &params, &slices, groups)?;
        Ok(y)
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
        self.store(k, v, cache, layer, pass)?;
        self.attend(q, cache, layer, pass)
    }

    fn normed_attention(
        &self,
        [q, k, v]: [Tensor; 3],
        norms: QkNorm<'_, Vector>,
        cache: &mut Cache,
        layer: LayerSpec,
        pass: &Pass,
    ) -> Result<[Tensor; 2]> {
        let q = self.attention_input([&q, &k, &v], norms, cache, layer, pass)?;
        let h = self.attend(&q, cache, layer, pass)?;
        Ok([q, h])
    }

    fn silu_mul(&self, gate: Tensor, up: &Tensor) -> Result<Tensor> {
        self.each_pair(Kernel::SiluMul, &gate, up)
    }

    fn swiglu(&self, x: &Tensor, gate: &Matrix, up: &Matrix) -> Result<Tensor> {
        if let Some(y) = self.swiglu_together(x, gate, up)? {
            return Ok(y);
        }
        let [gate, up] = self.project_all(x, [gate, up])?;
        self.silu_mul(gate, &up)
    }

    fn add(&self, x: Tensor, y: &Tensor) -> Result<Tensor> {
        self.each_pair(Kernel::Add, &x, y)
    }

    fn select_outputs(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        if pass.chooses_all {
            return Ok(x.share());
        }
        let [out] = self.gpu.tensors(pass.outputs, [x.width])?;
        let slices = [pass.slice(pass.chosen), x.slice(), out.slice()];
        let groups = [x.width.div_ceil(SIZE) as u32, pass.outputs as u32, 1];
        self.gpu.dispatch(Kernel::Select, &words([x.width]), &slices, groups)?;
        Ok(out)
    }

    fn read(&self, x: &Tensor, out: &mut Vec<f32>) -> Result<()> {
        out.clear();
        self.gpu.read_into(out, x.buffer(), [x.first, x.rows * x.width], f32::from_bits)
    }

    fn read_rows(
        &self,
        x: &Tensor,
        rows: Range<usize>,
        _width: usize,
        out: &mut Vec<f32>,
    ) -> Result<()> {
        out.clear();
        let part = [x.first + rows.start * x.width, rows.len() * x.width];
        self.gpu.read_into(out, x.buffer(), part, f32::from_bits)
    }

    fn top_logits(&self, x: &Tensor, request: &TopRequest) -> Result<Vec<TopLogits>> {
        self.find_top(x, request)
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
