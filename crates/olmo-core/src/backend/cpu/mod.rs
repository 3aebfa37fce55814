//! The CPU engine: the operations on own buffers, with own kernels and own threads.
//!
//! Activations are f32 in buffers of a [`workspace`]; weights and cache are in the dtype asked for
//! and are widened in registers. Weights in blocks are multiplied with integers, weights in bf16 with bf16
//! where the CPU can. [`threads`] share each operation out so that every number is computed by one of them,
//! and [`kernels`] fix the order of every sum: a row's result is the same bits whatever else is in the batch and on any
//! number of threads.

mod attention;
mod cache;
mod kernels;
mod matrix;
mod packed;
mod pass;
mod project;
mod threads;
mod workspace;

use std::sync::Arc;

pub use cache::{cache_token_bytes, Cache};
pub use kernels::{Bf16Products, Variant};
pub use matrix::Matrix;
pub use packed::packed_bytes;
pub use pass::Pass;
pub use threads::default_count as default_threads;
pub use workspace::{Tensor, ALLOCATED};

use crate::cache::{CacheDType, CacheShape};
use crate::config::ModelConfig;
use crate::dtype::{DType, TensorType};
use crate::error::{Amount, Hint};
use crate::ops::{Batch, LayerKind, LayerSpec, Ops, Receive, Study};
use crate::precision::Outline;
use crate::precision::Precision;
use crate::weights::TensorData;
use crate::{Error, Result};
use kernels::Kernels;
use threads::Threads;
use workspace::{Parts, Workspace};

pub struct CpuOps {
    /// What weights run in; if none is given, in the types they are stored in.
    precision: Option<Precision>,
    outline: Outline,
    cache_dtype: CacheDType,
    kernels: &'static Kernels,
    threads: Threads,
    workspace: Arc<Workspace>,
}

impl CpuOps {
    /// Weights and cache in one dtype, on `threads` threads; by default as many as there are cores.
    pub fn new(dtype: DType, threads: Option<usize>) -> Result<CpuOps> {
        CpuOps::with_variant(dtype, threads, Variant::choose()?)
    }

    /// With the kernels of a certain kind of CPU, which must be of this one's kind.
    pub fn with_variant(dtype: DType, threads: Option<usize>, variant: Variant) -> Result<CpuOps> {
        let count = threads.unwrap_or_else(threads::default_count);
        if !(1..=1024).contains(&count) {
            return Err(Error::option("threads", count, "it must be from 1 to 1024"));
        }
        let kernels = variant.kernels().ok_or_else(|| {
            Error::option("kernels", variant.name(), "this CPU lacks the instructions")
        })?;
        let threads = Threads::new(count)?;
        Ok(CpuOps {
            precision: Some(dtype.into()),
            outline: Outline::default(),
            cache_dtype: dtype.into(),
            kernels,
            threads,
            workspace: Arc::default(),
        })
    }

    /// The same with the weights of a model in a precision, or each in the type it is stored in, and with
    /// the cache that belongs to it.
    pub fn in_precision(self, precision: Option<Precision>, config: &ModelConfig) -> CpuOps {
        let cache_dtype = precision.map_or(DType::F16, Precision::cache_dtype).into();
        CpuOps { precision, outline: config.into(), cache_dtype, ..self }
    }

    /// The type a weight runs in.
    fn type_of(&self, weight: &TensorData) -> TensorType {
        let of = |precision: Precision| precision.of(&weight.name, &weight.shape, self.outline);
        self.precision.map_or(weight.dtype, of)
    }

    /// The same with another kind of cache.
    pub fn with_cache(self, cache_dtype: CacheDType) -> CpuOps {
        CpuOps { cache_dtype, ..self }
    }

    /// The kind of CPU the kernels are for.
    pub fn variant(&self) -> Variant {
        self.kernels.variant
    }

    /// How many threads work, the caller's among them.
    pub fn threads(&self) -> usize {
        self.threads.count()
    }

    /// Lets threads work on the rows of `x`, each row by one of them.
    fn each_row(&self, x: &mut Tensor, body: impl Fn(usize, &mut [f32]) + Sync) {
        let (rows, width) = (x.rows, x.width);
        let per_task = rows_per_task(width);
        let parts = Parts::new(x);
        self.threads.run(rows.div_ceil(per_task), |task, _| {
            for row in task * per_task..rows.min((task + 1) * per_task) {
                // SAFETY: no other task has this row.
                body(row, unsafe { parts.part(row * width..(row + 1) * width) });
            }
        });
    }
}

/// Rows that are together worth a task of a cheap operation: some microseconds.
fn rows_per_task(width: usize) -> usize {
    (16 * 1024 / width.max(1)).max(1)
}

fn same_shape(x: &Tensor, y: &Tensor) -> Result<()> {
    match (x.rows, x.width) == (y.rows, y.width) {
        true => Ok(()),
        false => {
            Err(Error::Internal(format!("[{}, {}] met [{}, {}]", x.rows, x.width, y.rows, y.width)))
        }
    }
}

impl Ops for CpuOps {
    type Tensor = Tensor;
    type Matrix = Matrix;
    type Vector = Arc<[f32]>;
    type Cache = Cache;
    type Pass<'a> = Pass<'a>;

    fn matrix(&mut self, weight: &TensorData) -> Result<Matrix> {
        Matrix::new(weight, self.type_of(weight), &self.threads)
    }

    fn table(&mut self, weight: &TensorData) -> Result<Matrix> {
        Matrix::table(weight, self.type_of(weight), &self.threads)
    }

    fn vector(&mut self, weight: &TensorData) -> Result<Arc<[f32]>> {
        Ok(weight.to_f32().into())
    }

    fn cache(&self, shape: &CacheShape) -> Result<Cache> {
        Cache::new(shape, self.cache_dtype)
    }

    fn begin<'a>(&self, batch: &'a Batch, kinds: &'a [LayerKind]) -> Result<Pass<'a>> {
        Pass::new(batch, kinds)
    }

    fn embed(&self, table: &Matrix, pass: &Pass) -> Result<Tensor> {
        let ids = &pass.batch().tokens;
        let mut x = self.workspace.tensor(ids.len(), table.inputs)?;
        self.each_row(&mut x, |row, x| table.read_row(ids[row] as usize, x));
        Ok(x)
    }

    fn project<const N: usize>(&self, x: &Tensor, weights: [&Matrix; N]) -> Result<[Tensor; N]> {
        project::project(self, x, weights)
    }

    fn rms_norm(&self, mut x: Tensor, weight: &Arc<[f32]>, eps: f32) -> Result<Tensor> {
        if weight.len() != x.width {
            let problem = format!("rows of {} met a norm of {}", x.width, weight.len());
            return Err(Error::Internal(problem));
        }
        // SAFETY: the lengths agree.
        self.each_row(&mut x, |_, row| unsafe { (self.kernels.rms_norm)(row, weight, eps) });
        Ok(x)
    }

    fn rope(&self, mut x: Tensor, layer: LayerSpec, pass: &Pass) -> Result<Tensor> {
        pass.check_rows(&x)?;
        let (table, positions) = (pass.rope(layer), &pass.batch().positions);
        let half = table.half_dim;
        self.each_row(&mut x, |row, x| {
            let (cos, sin) = table.at(positions[row] as usize);
            for head in x.chunks_exact_mut(2 * half) {
                let (first, second) = head.split_at_mut(half);
                let angles = cos.iter().zip(sin);
                for ((a, b), (cos, sin)) in first.iter_mut().zip(second).zip(angles) {
                    (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
                }
            }
        });
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
        self.store(k, v, cache, layer, pass)?;
        self.attend(q, cache, layer, pass)
    }

    fn silu_mul(&self, mut gate: Tensor, up: &Tensor) -> Result<Tensor> {
        same_shape(&gate, up)?;
        // SAFETY: the lengths agree.
        self.each_row(&mut gate, |row, gate| unsafe { (self.kernels.silu_mul)(gate, up.row(row)) });
        Ok(gate)
    }

    fn add(&self, mut x: Tensor, y: &Tensor) -> Result<Tensor> {
        same_shape(&x, y)?;
        self.each_row(&mut x, |row, x| x.iter_mut().zip(y.row(row)).for_each(|(x, y)| *x += y));
        Ok(x)
    }

    fn select_outputs(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        pass.check_rows(x)?;
        let rows = &pass.batch().outputs;
        let mut selected = self.workspace.tensor(rows.len(), x.width)?;
        self.each_row(&mut selected, |row, selected| selected.copy_from_slice(x.row(rows[row])));
        Ok(selected)
    }

    fn read(&self, x: &Tensor, out: &mut Vec<f32>) -> Result<()> {
        out.clear();
        out.try_reserve(x.len()).map_err(|_| Error::NotEnoughMemory {
            what: "the numbers read from a batch".into(),
            need: Amount::of_f32(x.len()),
            have: None,
            hint: Hint::FewerRows,
        })?;
        out.extend_from_slice(x);
        Ok(())
    }
}

impl Receive for CpuOps {
    fn receive(&self, numbers: &[f32], rows: usize) -> Result<Tensor> {
        let mut x = self.workspace.tensor(rows, numbers.len() / rows.max(1))?;
        let width = x.width;
        self.each_row(&mut x, |row, x| x.copy_from_slice(&numbers[row * width..][..width]));
        Ok(x)
    }
}

impl Study for CpuOps {
    fn attention_probabilities(
        &self,
        q: &Tensor,
        cache: &Cache,
        layer: LayerSpec,
        pass: &Pass,
    ) -> Result<Vec<f32>> {
        self.probabilities(q, cache, layer, pass)
    }

    fn read_block(&self, cache: &Cache, block: u32) -> Result<Vec<u8>> {
        cache.read_block(block)
    }

    fn write_block(&self, cache: &mut Cache, block: u32, bytes: &[u8]) -> Result<()> {
        cache.write_block(block, bytes)
    }

    fn copy_block(&self, cache: &mut Cache, from: u32, into: u32) -> Result<()> {
        cache.copy_block(from, into)
    }
}
