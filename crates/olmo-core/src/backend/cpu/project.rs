//! Shares matrix products out among the threads.

use super::kernels::matmul::{self, Product, CHUNK, PANEL_OUTPUTS};
use super::workspace::{Parts, Tensor};
use super::{CpuOps, Matrix};
use crate::{Error, Result};

/// Fewer outputs than this are not worth a task of their own.
const SMALLEST_BLOCK: usize = 16;

impl CpuOps {
    /// One loop over the outputs of all weights, block by block. A block is all rows of some
    /// outputs, so a weight is read by one thread, once.
    pub(super) fn product<const N: usize>(
        &self,
        x: &Tensor,
        weights: [&Matrix; N],
    ) -> Result<[Tensor; N]> {
        let mut outputs = weights.map(|_| self.workspace.empty());
        for (output, weight) in outputs.iter_mut().zip(weights) {
            if weight.inputs != x.width {
                return Err(Error::Internal(format!(
                    "rows of {} numbers met a matrix of {} inputs",
                    x.width, weight.inputs
                )));
            }
            *output = self.workspace.tensor(x.rows, weight.outputs)?;
        }
        let packed = self.packed(x)?;
        let packed = packed.as_ref().unwrap_or(x).as_ptr().addr();
        let mut panels = self.workspace.tensor(self.threads.count(), PANEL_OUTPUTS * CHUNK)?;
        let panels = Parts::new(&mut panels);

        let total: usize = weights.iter().map(|weight| weight.outputs).sum();
        let block = (total / (4 * self.threads.count()))
            .next_multiple_of(SMALLEST_BLOCK)
            .clamp(SMALLEST_BLOCK, PANEL_OUTPUTS);
        let tasks = weights.iter().map(|weight| weight.outputs.div_ceil(block)).sum();
        let targets = outputs.each_mut().map(|output| Parts::new(output));
        self.threads.run(tasks, |mut task, thread| {
            let mut which = 0;
            while task >= weights[which].outputs.div_ceil(block) {
                task -= weights[which].outputs.div_ceil(block);
                which += 1;
            }
            let (weight, first) = (weights[which], task * block);
            // SAFETY: the activations are packed for these sizes; the weights hold the rows from
            // `first` on; no other task has these outputs, no other thread this panel.
            unsafe {
                let len = PANEL_OUTPUTS * CHUNK;
                let panel = panels.part(thread * len..(thread + 1) * len);
                self.kernels.matmul(weight.dtype)(&Product {
                    x: packed as *const f32,
                    rows: x.rows,
                    inputs: x.width,
                    w: weight.row(first),
                    outputs: block.min(weight.outputs - first),
                    y: targets[which].as_mut_ptr().add(first),
                    y_stride: weight.outputs,
                    panel: panel.as_mut_ptr(),
                });
            }
        });
        Ok(outputs)
    }

    /// The rows as [`matmul`](matmul::matmul) wants them; none if they lie so already.
    fn packed(&self, x: &Tensor) -> Result<Option<Tensor>> {
        if x.rows == 1 && x.width.is_multiple_of(super::kernels::lanes::LANES) {
            return Ok(None);
        }
        let mut packed = self.workspace.tensor(1, matmul::packed_len(x.rows, x.width))?;
        let target = Parts::new(&mut packed);
        let (tile, per_task) = (self.kernels.tile_rows, super::rows_per_task(x.width));
        self.threads.run(x.rows.div_ceil(per_task), |task, _| {
            for row in task * per_task..x.rows.min((task + 1) * per_task) {
                // SAFETY: there is room for all rows, and no other task has this one.
                unsafe { matmul::pack(x.row(row), row, x.rows, tile, target.as_mut_ptr()) }
            }
        });
        Ok(Some(packed))
    }
}
