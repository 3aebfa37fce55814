//! Shares matrix products out among the threads.

use std::ptr::with_exposed_provenance;

use half::bf16;

use super::kernels::blocks::activations::{Activations, BlockLen, Layout};
use super::kernels::blocks::{self, GROUP, PANEL_BYTES, TASK_OUTPUTS};
use super::kernels::factors::step;
use super::kernels::lanes::Element;
use super::kernels::matmul::{self, Product, CHUNK, PANEL_OUTPUTS};
use super::kernels::tiles::{self, TILE};
use super::workspace::{Parts, Tensor};
use super::{CpuOps, Matrix};
use crate::dtype::{DType, TensorType};
use crate::quant::BlockType;
use crate::{Error, Result};

/// Fewer outputs than this are not worth a task of their own.
const SMALLEST_TASK: usize = 16;
const _: () = assert!(SMALLEST_TASK.is_multiple_of(GROUP));

/// A thread's panel, for each kind of kernel: so many f32.
const PANEL: usize = tiles::PANEL;
const _: () = assert!(PANEL_OUTPUTS * CHUNK <= PANEL && PANEL_BYTES <= PANEL * size_of::<f32>());

/// One loop over the outputs of all weights, task by task. A task is all rows of some outputs, so a
/// weight is read by one thread, once.
pub(super) fn project<const N: usize>(
    ops: &CpuOps,
    x: &Tensor,
    weights: [&Matrix; N],
) -> Result<[Tensor; N]> {
    let mut outputs = weights.map(|_| ops.workspace.empty());
    for (output, weight) in outputs.iter_mut().zip(weights) {
        if weight.inputs != x.width {
            return Err(Error::Internal(format!(
                "rows of {} numbers met a matrix of {} inputs",
                x.width, weight.inputs
            )));
        }
        if weight.at(0).is_none() {
            return Err(Error::Internal("a table is only looked up".into()));
        }
        *output = ops.workspace.tensor(x.rows, weight.outputs)?;
    }
    let rows = Rows::new(ops, x, &weights)?;
    let mut panels = ops.workspace.tensor(ops.threads.count(), PANEL)?;
    let panels = Parts::new(&mut panels);

    let total: usize = weights.iter().map(|weight| weight.outputs).sum();
    let share = (total / (4 * ops.threads.count())).next_multiple_of(SMALLEST_TASK);
    let per_task = |weight: &Matrix| match weight.kind {
        TensorType::Float(DType::BF16) if ops.kernels.pack_tiles.is_some() => {
            share.clamp(SMALLEST_TASK, tiles::PANEL_OUTPUTS)
        }
        TensorType::Float(_) => share.clamp(SMALLEST_TASK, PANEL_OUTPUTS),
        TensorType::Block(_) => share.clamp(SMALLEST_TASK, TASK_OUTPUTS),
    };
    let tasks_of = |weight: &Matrix| weight.outputs.div_ceil(per_task(weight));
    let tasks = weights.iter().map(|weight| tasks_of(weight)).sum();
    let targets = outputs.each_mut().map(|output| Parts::new(output));
    ops.threads.run(tasks, |mut task, thread| {
        let mut which = 0;
        while task >= tasks_of(weights[which]) {
            task -= tasks_of(weights[which]);
            which += 1;
        }
        let weight = weights[which];
        let first = task * per_task(weight);
        let outputs = per_task(weight).min(weight.outputs - first);
        // SAFETY: no other thread has this panel.
        let panel = unsafe { panels.part(thread * PANEL..(thread + 1) * PANEL) };
        // SAFETY: there are so many outputs.
        let y = unsafe { targets[which].as_mut_ptr().add(first) };
        // SAFETY: no other task has these outputs.
        unsafe { rows.multiply(ops, weight, first, outputs, y, panel) };
    });
    Ok(outputs)
}

impl CpuOps {
    /// The rows as [`matmul`](matmul::matmul) wants them; none if they lie so already.
    fn packed<T: Element>(&self, x: &Tensor) -> Result<Option<Tensor>> {
        if T::DTYPE == DType::F32 && x.rows == 1 && x.width.is_multiple_of(step::<f32>()) {
            return Ok(None);
        }
        // Tensors count in f32: half of the room, where numbers are of two bytes, stays empty.
        let mut packed = self.workspace.tensor(1, matmul::packed_len(x.rows, x.width))?;
        let target = Parts::new(&mut packed);
        let (tile, per_task) = (self.kernels.tile_rows, super::rows_per_task(x.width));
        self.threads.run(x.rows.div_ceil(per_task), |task, _| {
            for row in task * per_task..x.rows.min((task + 1) * per_task) {
                // SAFETY: there is room for all rows, and no other task has this one.
                unsafe {
                    matmul::pack::<T>(x.row(row), row, x.rows, tile, target.as_mut_ptr().cast())
                }
            }
        });
        Ok(Some(packed))
    }

    /// The rows for weights in bf16 that are not widened.
    fn packed_bf16(&self, x: &Tensor) -> Result<Option<Tensor>> {
        let Some(pack) = self.kernels.pack_tiles else { return self.packed::<bf16>(x) };
        // Tensors count in f32.
        let len = tiles::packed_len(x.rows, x.width) / 2;
        let mut packed = self.workspace.tensor(1, len)?;
        let target = Parts::new(&mut packed);
        self.threads.run(x.rows.div_ceil(TILE), |task, _| {
            // SAFETY: there is room for all tiles, and no other task has this one.
            unsafe { pack(x, x.width, task * TILE, target.as_mut_ptr().cast()) }
        });
        Ok(Some(packed))
    }

    /// The rows as integers, for weights in blocks as long as those of `kind`.
    fn quantized(&self, x: &Tensor, kind: BlockType) -> Result<Tensor> {
        let layout = Layout::new(x.rows, x.width, kind.block_len());
        let mut packed = self.workspace.tensor(1, layout.len)?;
        let start = packed.as_mut_ptr().expose_provenance();
        let (tile, per_task) = (self.kernels.block_tile_rows, super::rows_per_task(x.width));
        let quantize = self.kernels.quantize(kind);
        self.threads.run(x.rows.div_ceil(per_task), |task, _| {
            for row in task * per_task..x.rows.min((task + 1) * per_task) {
                // SAFETY: there is room for all rows, and no other task has this one.
                unsafe {
                    let target = layout.at(with_exposed_provenance(start));
                    quantize(x.row(row), row, x.rows, tile, &target)
                }
            }
        });
        Ok(packed)
    }
}

/// Rows in every form that some weights need.
struct Rows<'a> {
    x: &'a Tensor,
    /// Packed in f32; `x` itself may do instead.
    packed_f32: Option<Tensor>,
    packed_bf16: Option<Tensor>,
    /// In blocks, in the order of [`BlockLen`].
    quantized: [Option<Tensor>; BlockLen::COUNT],
}

impl Rows<'_> {
    fn new<'a>(ops: &CpuOps, x: &'a Tensor, weights: &[&Matrix]) -> Result<Rows<'a>> {
        let mut rows = Rows { x, packed_f32: None, packed_bf16: None, quantized: [None, None] };
        for weight in weights {
            match weight.kind {
                TensorType::Float(dtype) => match ops.kernels.activations(dtype) {
                    DType::BF16 if rows.packed_bf16.is_none() => {
                        rows.packed_bf16 = ops.packed_bf16(x)?;
                    }
                    DType::F32 if rows.packed_f32.is_none() => {
                        rows.packed_f32 = ops.packed::<f32>(x)?;
                    }
                    _ => {}
                },
                TensorType::Block(kind) if rows.quantized[form(kind)].is_none() => {
                    rows.quantized[form(kind)] = Some(ops.quantized(x, kind)?);
                }
                _ => {}
            }
        }
        Ok(rows)
    }

    /// Some outputs of all rows.
    ///
    /// # Safety
    /// `y` is the place of the first output of the first row, with `weight.outputs` to the next row; no
    /// other thread writes these outputs.
    unsafe fn multiply(
        &self,
        ops: &CpuOps,
        weight: &Matrix,
        first: usize,
        outputs: usize,
        y: *mut f32,
        panel: &mut [f32],
    ) {
        let (rows, inputs, y_stride) = (self.x.rows, self.x.width, weight.outputs);
        let w = weight.at(first).expect("checked before");
        match weight.kind {
            // SAFETY: the activations are packed for these sizes, the weights hold the outputs from
            // `first` on, and the panel has room; the rest is the caller's promise.
            TensorType::Float(dtype) => {
                let packed = match ops.kernels.activations(dtype) {
                    DType::F32 => &self.packed_f32,
                    _ => &self.packed_bf16,
                };
                ops.kernels.matmul(dtype)(&Product {
                    x: packed.as_ref().unwrap_or(self.x).as_ptr().cast(),
                    rows,
                    inputs,
                    w,
                    outputs,
                    y,
                    y_stride,
                    panel: panel.as_mut_ptr().cast(),
                })
            }
            TensorType::Block(kind) => {
                let quantized = self.quantized[form(kind)].as_ref().expect("made for all weights");
                let layout = Layout::new(rows, inputs, kind.block_len());
                // SAFETY: as above.
                let x: Activations = layout.at(quantized.as_ptr());
                ops.kernels.blocks(kind)(&blocks::Product {
                    x,
                    rows,
                    inputs,
                    w,
                    outputs,
                    y,
                    y_stride,
                    panel: panel.as_mut_ptr().cast(),
                });
            }
        }
    }
}

/// Which of [`Rows::quantized`] weights need.
fn form(kind: BlockType) -> usize {
    BlockLen::of(kind.block_len()) as usize
}
