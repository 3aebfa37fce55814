//! A linear map of the model: a matrix and an optional adapter.

use crate::ops::Ops;
use crate::weights::TensorData;
use crate::Result;

/// `y = W·x`, or with an adapter `y = W·x + B·(A·x)`: LoRA (Hu et al., 2021, section 4.1), with its factor
/// `alpha / rank` already in `B`.
pub(super) struct Linear<O: Ops> {
    weight: O::Matrix, // [out, in]
    adapter: Option<Adapter<O>>,
}

struct Adapter<O: Ops> {
    a: O::Matrix, // [rank, in]
    b: O::Matrix, // [out, rank]
}

impl<O: Ops> Linear<O> {
    pub(super) fn new(weight: O::Matrix) -> Linear<O> {
        Linear { weight, adapter: None }
    }

    /// Adds `b·a` to the matrix without changing it: `a` is `[rank, in]`, `b` `[out, rank]`.
    pub(super) fn adapt(&mut self, ops: &mut O, a: &TensorData, b: &TensorData) -> Result<()> {
        self.adapter = Some(Adapter { a: ops.matrix(a)?, b: ops.matrix(b)? });
        Ok(())
    }

    /// `[rows, in]` → `[rows, out]`.
    pub(super) fn forward(&self, ops: &O, x: &O::Tensor) -> Result<O::Tensor> {
        let [y] = project(ops, x, [self])?;
        Ok(y)
    }

    /// Adds the adapter's share to `y`, the product with the matrix.
    fn with_adapter(&self, ops: &O, x: &O::Tensor, y: O::Tensor) -> Result<O::Tensor> {
        let Some(Adapter { a, b }) = &self.adapter else { return Ok(y) };
        let [low] = ops.project(x, [a])?; // [rows, rank]
        let [update] = ops.project(&low, [b])?; // [rows, out]
        ops.add(y, &update)
    }
}

/// Applies maps that share one input, multiplying their matrices together: `[rows, in]` → N × `[rows,
/// out]`.
pub(super) fn project<O: Ops, const N: usize>(
    ops: &O,
    x: &O::Tensor,
    maps: [&Linear<O>; N],
) -> Result<[O::Tensor; N]> {
    let outputs = ops.project(x, maps.map(|map| &map.weight))?;
    if maps.iter().all(|map| map.adapter.is_none()) {
        return Ok(outputs);
    }
    let adapted = outputs.into_iter().zip(maps).map(|(y, map)| map.with_adapter(ops, x, y));
    let adapted = adapted.collect::<Result<Vec<_>>>()?;
    Ok(adapted.try_into().unwrap_or_else(|_| unreachable!("one output a map")))
}

/// `silu(gate(x)) · up(x)`: `[rows, in]` → `[rows, out]`.
pub(super) fn swiglu<O: Ops>(
    ops: &O,
    x: &O::Tensor,
    gate: &Linear<O>,
    up: &Linear<O>,
) -> Result<O::Tensor> {
    if gate.adapter.is_none() && up.adapter.is_none() {
        return ops.swiglu(x, &gate.weight, &up.weight);
    }
    let [gate, up] = project(ops, x, [gate, up])?;
    ops.silu_mul(gate, &up)
}
