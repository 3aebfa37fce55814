//! One decoder layer: attention and MLP, each normed *after* it ran and then added to the stream
//! ("2 OLMo 2 Furious", 2025, section 3.2).

use super::linear::{project, swiglu, Linear};
use super::{Input, Observe};
use crate::config::ModelConfig;
use crate::ops::{LayerSpec, Ops, QkNorm};
use crate::weights::Checkpoint;
use crate::Result;

pub(super) struct Layer<O: Ops> {
    attention: Attention<O>,
    post_attention_norm: O::Vector,
    mlp: Mlp<O>,
    post_mlp_norm: O::Vector,
    eps: f32,
}

struct Attention<O: Ops> {
    layer: LayerSpec,
    q_proj: Linear<O>, // [heads · head_dim, hidden]
    k_proj: Linear<O>, // [kv_heads · head_dim, hidden]
    v_proj: Linear<O>, // [kv_heads · head_dim, hidden]
    o_proj: Linear<O>, // [hidden, heads · head_dim]
    q_norm: O::Vector, // [heads · head_dim]: over the whole projection, not a head
    k_norm: O::Vector, // [kv_heads · head_dim]
    eps: f32,
}

struct Mlp<O: Ops> {
    layer: LayerSpec,
    gate_proj: Linear<O>, // [intermediate, hidden]
    up_proj: Linear<O>,   // [intermediate, hidden]
    down_proj: Linear<O>, // [hidden, intermediate]
}

impl<O: Ops> Layer<O> {
    pub(super) fn load(
        ops: &mut O,
        config: &ModelConfig,
        checkpoint: &Checkpoint,
        index: usize,
    ) -> Result<Layer<O>> {
        let kind = config.attention_kinds().iter().position(|&kind| kind == config.layers[index]);
        let layer = LayerSpec { index, kind: kind.expect("the kinds are those of the layers") };
        let eps = config.rms_norm_eps as f32;
        let mut weights = Weights { ops, checkpoint, index };
        let [q_proj, k_proj, v_proj] = weights.linears([
            "self_attn.q_proj.weight",
            "self_attn.k_proj.weight",
            "self_attn.v_proj.weight",
        ])?;
        let attention = Attention {
            layer,
            q_proj,
            k_proj,
            v_proj,
            o_proj: weights.linear("self_attn.o_proj.weight")?,
            q_norm: weights.vector("self_attn.q_norm.weight")?,
            k_norm: weights.vector("self_attn.k_norm.weight")?,
            eps,
        };
        let post_attention_norm = weights.vector("post_attention_layernorm.weight")?;
        let [gate_proj, up_proj] =
            weights.linears(["mlp.gate_proj.weight", "mlp.up_proj.weight"])?;
        let down_proj = weights.linear("mlp.down_proj.weight")?;
        Ok(Layer {
            attention,
            post_attention_norm,
            mlp: Mlp { layer, gate_proj, up_proj, down_proj },
            post_mlp_norm: weights.vector("post_feedforward_layernorm.weight")?,
            eps,
        })
    }

    /// The linear map with this name, such as `self_attn.q_proj`.
    pub(super) fn linear_mut(&mut self, name: &str) -> Option<&mut Linear<O>> {
        Some(match name {
            "self_attn.q_proj" => &mut self.attention.q_proj,
            "self_attn.k_proj" => &mut self.attention.k_proj,
            "self_attn.v_proj" => &mut self.attention.v_proj,
            "self_attn.o_proj" => &mut self.attention.o_proj,
            "mlp.gate_proj" => &mut self.mlp.gate_proj,
            "mlp.up_proj" => &mut self.mlp.up_proj,
            "mlp.down_proj" => &mut self.mlp.down_proj,
            _ => return None,
        })
    }

    /// `[rows, hidden]` → `[rows, hidden]`.
    pub(super) fn forward(
        &self,
        ops: &O,
        x: O::Tensor,
        cache: &mut O::Cache,
        pass: &O::Pass<'_>,
        observer: &mut impl Observe<O>,
    ) -> Result<O::Tensor> {
        let h = self.attention.forward(ops, &x, cache, pass, observer)?; // [rows, hidden]
        let x = ops.norm_add(&x, h, &self.post_attention_norm, self.eps)?;
        let h = self.mlp.forward(ops, &x, observer)?; // [rows, hidden]
        ops.norm_add(&x, h, &self.post_mlp_norm, self.eps)
    }
}

impl<O: Ops> Attention<O> {
    /// `[rows, hidden]` → `[rows, hidden]`.
    fn forward(
        &self,
        ops: &O,
        x: &O::Tensor,
        cache: &mut O::Cache,
        pass: &O::Pass<'_>,
        observer: &mut impl Observe<O>,
    ) -> Result<O::Tensor> {
        let layer = self.layer;
        observer.input(ops, layer.index, Input::Attention, x)?;
        // q [rows, heads · head_dim]; k, v [rows, kv_heads · head_dim]
        let qkv = project(ops, x, [&self.q_proj, &self.k_proj, &self.v_proj])?;
        let norms = QkNorm { q: &self.q_norm, k: &self.k_norm, eps: self.eps };
        // Both [rows, heads · head_dim].
        let [q, h] = ops.normed_attention(qkv, norms, cache, layer, pass)?;
        observer.queries(ops, &q, cache, layer, pass)?;
        observer.input(ops, layer.index, Input::AttentionOutput, &h)?;
        self.o_proj.forward(ops, &h) // [rows, hidden]
    }
}

impl<O: Ops> Mlp<O> {
    /// `[rows, hidden]` → `[rows, hidden]`.
    fn forward(&self, ops: &O, x: &O::Tensor, observer: &mut impl Observe<O>) -> Result<O::Tensor> {
        observer.input(ops, self.layer.index, Input::Mlp, x)?;
        let h = swiglu(ops, x, &self.gate_proj, &self.up_proj)?; // [rows, intermediate]
        observer.input(ops, self.layer.index, Input::MlpOutput, &h)?;
        self.down_proj.forward(ops, &h) // [rows, hidden]
    }
}

/// The source of a layer's weights, and the backend they go to.
struct Weights<'a, O> {
    ops: &'a mut O,
    checkpoint: &'a Checkpoint,
    index: usize,
}

impl<O: Ops> Weights<'_, O> {
    fn linear(&mut self, name: &str) -> Result<Linear<O>> {
        Ok(Linear::new(self.ops.matrix(self.checkpoint.get(&self.full(name))?)?))
    }

    /// Maps that share their input.
    fn linears<const N: usize>(&mut self, names: [&str; N]) -> Result<[Linear<O>; N]> {
        let weights = names.iter().map(|name| self.checkpoint.get(&self.full(name)));
        let weights = weights.collect::<Result<Vec<_>>>()?;
        let weights = weights.try_into().unwrap_or_else(|_| unreachable!("a weight a name"));
        Ok(self.ops.matrices(weights)?.map(Linear::new))
    }

    fn vector(&mut self, name: &str) -> Result<O::Vector> {
        self.ops.vector(self.checkpoint.get(&self.full(name))?)
    }

    fn full(&self, name: &str) -> String {
        format!("model.layers.{}.{name}", self.index)
    }
}
