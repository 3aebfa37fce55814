//! The operations a forward pass is made of, and nothing else of a device.
//!
//! [`model`](crate::model) is written over this trait; [`backend`](crate::backend) implements it: on
//! the CPU engine's own buffers, on candle tensors, and for training on each of the two with a way
//! back. An operation that may reuse its input's memory takes it by value. Some operations are others in a row: their
//! bodies here are their meaning, and a backend has its own where it can do them together.
//!
//! Two promises:
//! - a row's result depends on that row alone (and, in attention, on its sequence's cache),
//!   whatever else is in the batch, however a prompt was cut into chunks and however many threads
//!   run. The CPU engine keeps this to the bit, the candle backend up to rounding;
//! - norms, softmax and rotary angles are computed in f32 whatever the dtype of the weights.

mod batch;
mod layers;
mod receive;
mod rope;
mod train;

pub use batch::{Batch, BlockTable, Span};
pub use layers::{LayerKind, LayerSpec, QkNorm};
pub use receive::Receive;
pub use rope::RopeTable;
pub use train::{LossScale, LossSums, Parameter, TrainOps};

use std::ops::Range;

use crate::cache::CacheShape;
use crate::sampling::{TopLogits, TopRequest};
use crate::weights::TensorData;
use crate::Result;

pub trait Ops {
    /// Whether [`Ops::top_logits`] brings less to the host than [`Ops::read`].
    const FINDS_TOP: bool = false;

    /// Activations `[rows, width]`, a row per token of the batch.
    type Tensor;
    /// A weight `[out, in]`; the embedding table `[vocab, hidden]` is one too.
    type Matrix: Clone;
    /// A norm's weight `[width]`.
    type Vector;
    /// Keys and values of all layers, in blocks (see [`crate::cache`]).
    type Cache;
    /// A batch made ready: what does not depend on the layer is computed, checked and brought to the
    /// device once, such as ids, rotary angles, masks and block tables.
    type Pass<'a>;

    /// Takes a weight over from its file, converting it to the dtype this backend runs in.
    fn matrix(&mut self, weight: &TensorData) -> Result<Self::Matrix>;
    fn vector(&mut self, weight: &TensorData) -> Result<Self::Vector>;

    /// Takes over weights that share their input, in order, so that [`Ops::project`] can multiply them together.
    fn matrices<const N: usize>(&mut self, weights: [&TensorData; N]) -> Result<[Self::Matrix; N]> {
        let matrices = weights.into_iter().map(|weight| self.matrix(weight));
        let matrices = matrices.collect::<Result<Vec<_>>>()?;
        Ok(matrices.try_into().unwrap_or_else(|_| unreachable!("a matrix a weight")))
    }

    /// Takes over an embedding table that is only for [`Ops::embed`].
    fn table(&mut self, weight: &TensorData) -> Result<Self::Matrix> {
        self.matrix(weight)
    }

    /// Storage for the keys and values of all layers.
    fn cache(&self, shape: &CacheShape) -> Result<Self::Cache>;

    /// Makes a batch ready for the layers of a model that has these kinds of attention. Until
    /// [`Ops::read`], no operation after it need wait for the device.
    fn begin<'a>(&self, batch: &'a Batch, kinds: &'a [LayerKind]) -> Result<Self::Pass<'a>>;

    /// Row `r` is `table[ids[r]]` `[rows, width]`, of the batch's ids. They are checked before they
    /// come here.
    fn embed(&self, table: &Self::Matrix, pass: &Self::Pass<'_>) -> Result<Self::Tensor>;

    /// `x · wᵀ` for each of the weights, which share their input: `[rows, in]` → N × `[rows, out]`.
    fn project<const N: usize>(
        &self,
        x: &Self::Tensor,
        weights: [&Self::Matrix; N],
    ) -> Result<[Self::Tensor; N]>;

    /// `x / sqrt(mean(x²) + eps) · weight`, over each whole row.
    fn rms_norm(&self, x: Self::Tensor, weight: &Self::Vector, eps: f32) -> Result<Self::Tensor>;

    /// Rotates each head of each row by the angles of the row's position. A row is
    /// `width / head_dim` heads side by side; a head's first half pairs with its second half.
    fn rope(
        &self,
        x: Self::Tensor,
        layer: LayerSpec,
        pass: &Self::Pass<'_>,
    ) -> Result<Self::Tensor>;

    /// Stores the batch's keys and values in the cache, then lets every row attend to its own
    /// sequence up to and including itself, as far back as the layer's kind of attention looks:
    /// `softmax(q·kᵀ / sqrt(head_dim)) · v`.
    ///
    /// `q` is `[rows, heads · head_dim]`, `k` and `v` are `[rows, kv_heads · head_dim]`; query head
    /// `h` reads key head `h / (heads / kv_heads)`. Returns `[rows, heads · head_dim]`.
    fn attention(
        &self,
        q: &Self::Tensor,
        k: &Self::Tensor,
        v: &Self::Tensor,
        cache: &mut Self::Cache,
        layer: LayerSpec,
        pass: &Self::Pass<'_>,
    ) -> Result<Self::Tensor>;

    /// Attention with normed queries and keys: norms both over their whole rows, rotates both and lets them attend.
    /// `qkv` are the queries, keys and values of [`Ops::attention`] before that. Returns the queries as they
    /// attended, and what they found.
    fn normed_attention(
        &self,
        qkv: [Self::Tensor; 3],
        norms: QkNorm<'_, Self::Vector>,
        cache: &mut Self::Cache,
        layer: LayerSpec,
        pass: &Self::Pass<'_>,
    ) -> Result<[Self::Tensor; 2]> {
        let [q, k, v] = qkv;
        let q = self.rms_norm(q, norms.q, norms.eps)?;
        let k = self.rms_norm(k, norms.k, norms.eps)?;
        let q = self.rope(q, layer, pass)?;
        let k = self.rope(k, layer, pass)?;
        let h = self.attention(&q, &k, &v, cache, layer, pass)?;
        Ok([q, h])
    }

    /// `silu(gate) · up`, element by element.
    fn silu_mul(&self, gate: Self::Tensor, up: &Self::Tensor) -> Result<Self::Tensor>;

    /// `silu(x · gateᵀ) · (x · upᵀ)`: `[rows, in]` → `[rows, out]`.
    fn swiglu(
        &self,
        x: &Self::Tensor,
        gate: &Self::Matrix,
        up: &Self::Matrix,
    ) -> Result<Self::Tensor> {
        let [gate, up] = self.project(x, [gate, up])?;
        self.silu_mul(gate, &up)
    }

    /// `x + y`, element by element.
    fn add(&self, x: Self::Tensor, y: &Self::Tensor) -> Result<Self::Tensor>;

    /// `x + rms_norm(h)`.
    fn norm_add(
        &self,
        x: &Self::Tensor,
        h: Self::Tensor,
        weight: &Self::Vector,
        eps: f32,
    ) -> Result<Self::Tensor> {
        let h = self.rms_norm(h, weight, eps)?;
        self.add(h, x)
    }

    /// The batch's output rows, `[outputs, width]`.
    fn select_outputs(&self, x: &Self::Tensor, pass: &Self::Pass<'_>) -> Result<Self::Tensor>;

    /// Puts the numbers themselves into `out`, row after row, in place of what it held.
    fn read(&self, x: &Self::Tensor, out: &mut Vec<f32>) -> Result<()>;

    /// [`Ops::read`] of some rows, of `width` numbers each.
    fn read_rows(
        &self,
        x: &Self::Tensor,
        rows: Range<usize>,
        width: usize,
        out: &mut Vec<f32>,
    ) -> Result<()> {
        self.read(x, out)?;
        out.truncate(rows.end * width);
        out.drain(..rows.start * width);
        Ok(())
    }

    /// The largest logits of each row: see [`TopLogits`].
    fn top_logits(&self, x: &Self::Tensor, request: &TopRequest) -> Result<Vec<TopLogits>> {
        let mut logits = Vec::new();
        self.read(x, &mut logits)?;
        let width = logits.len() / request.temperatures.len().max(1);
        let rows = logits.chunks_exact(width.max(1)).zip(&request.temperatures);
        Ok(rows.map(|(row, &temperature)| TopLogits::of(row, request.count, temperature)).collect())
    }
}

/// What is asked of a backend beside the forward pass: to look inside a model, and to take what its cache holds
/// elsewhere.
pub trait Study: Ops {
    /// The probabilities [`Ops::attention`] uses: for the batch's only span,
    /// `[heads, rows, start + rows]` in row-major order, zero where a row does not look. Reads keys
    /// the cache already holds, so it comes after `attention` of the same layer.
    fn attention_probabilities(
        &self,
        q: &Self::Tensor,
        cache: &Self::Cache,
        layer: LayerSpec,
        pass: &Self::Pass<'_>,
    ) -> Result<Vec<f32>>;

    /// The keys and values of one block in all layers, as [`Study::write_block`] of the same backend and a cache
    /// of the same shape takes them.
    fn read_block(&self, cache: &Self::Cache, block: u32) -> Result<Vec<u8>>;

    /// Puts keys and values in the place of a block's. The bytes may be any: they come from a file.
    fn write_block(&self, cache: &mut Self::Cache, block: u32, bytes: &[u8]) -> Result<()>;

    /// Makes one block hold in all layers what another does, to the bit.
    fn copy_block(&self, cache: &mut Self::Cache, from: u32, into: u32) -> Result<()>;
}
