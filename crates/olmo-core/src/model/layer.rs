//! One decoder layer: attention and MLP, each normed *after* it ran and then added to the stream
//! ("2 OLMo 2 Furious", 2025, section 3.2).

use super::{Input, Probe};
use crate::config::{AttentionKind, ModelConfig};
use crate::ops::Ops;
use crate::ops::{Batch, RopeTable};
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
    index: usize,
    kind: AttentionKind,
    q_proj: O::Matrix, // [heads · head_dim, hidden]
    k_proj: O::Matrix, // [kv_heads · head_dim, hidden]
    v_proj: O::Matrix, // [kv_heads · head_dim, hidden]
    o_proj: O::Matrix, // [hidden, heads · head_dim]
    q_norm: O::Vector, // [heads · head_dim]: over the whole projection, not a head
    k_norm: O::Vector, // [kv_heads · head_dim]
    eps: f32,
}

struct Mlp<O: Ops> {
    gate_proj: O::Matrix, // [intermediate, hidden]
    up_proj: O::Matrix,   // [intermediate, hidden]
    down_proj: O::Matrix, // [hidden, intermediate]
}

impl<O: Ops> Layer<O> {
    pub(super) fn load(
        ops: &O,
        config: &ModelConfig,
        checkpoint: &Checkpoint,
        index: usize,
    ) -> Result<Layer<O>> {
        let matrix =
            |name: &str| ops.matrix(checkpoint.get(&format!("model.layers.{index}.{name}"))?);
        let vector =
            |name: &str| ops.vector(checkpoint.get(&format!("model.layers.{index}.{name}"))?);
        let eps = config.rms_norm_eps as f32;
        Ok(Layer {
            attention: Attention {
                index,
                kind: config.layers[index],
                q_proj: matrix("self_attn.q_proj.weight")?,
                k_proj: matrix("self_attn.k_proj.weight")?,
                v_proj: matrix("self_attn.v_proj.weight")?,
                o_proj: matrix("self_attn.o_proj.weight")?,
                q_norm: vector("self_attn.q_norm.weight")?,
                k_norm: vector("self_attn.k_norm.weight")?,
                eps,
            },
            post_attention_norm: vector("post_attention_layernorm.weight")?,
            mlp: Mlp {
                gate_proj: matrix("mlp.gate_proj.weight")?,
                up_proj: matrix("mlp.up_proj.weight")?,
                down_proj: matrix("mlp.down_proj.weight")?,
            },
            post_mlp_norm: vector("post_feedforward_layernorm.weight")?,
            eps,
        })
    }

    /// `[rows, hidden]` → `[rows, hidden]`.
    pub(super) fn forward(
        &self,
        ops: &O,
        x: O::Tensor,
        rope: &RopeTable,
        cache: &mut O::Cache,
        batch: &Batch,
        probe: &mut dyn Probe,
    ) -> Result<O::Tensor> {
        let h = self.attention.forward(ops, &x, rope, cache, batch, probe)?;
        let h = ops.rms_norm(h, &self.post_attention_norm, self.eps)?;
        let x = ops.add(h, &x)?;

        let h = self.mlp.forward(ops, &x, self.attention.index, probe)?;
        let h = ops.rms_norm(h, &self.post_mlp_norm, self.eps)?;
        ops.add(h, &x)
    }
}

impl<O: Ops> Attention<O> {
    fn forward(
        &self,
        ops: &O,
        x: &O::Tensor,
        rope: &RopeTable,
        cache: &mut O::Cache,
        batch: &Batch,
        probe: &mut dyn Probe,
    ) -> Result<O::Tensor> {
        look(ops, probe, self.index, Input::Attention, x)?;
        let [q, k, v] = ops.project(x, [&self.q_proj, &self.k_proj, &self.v_proj])?;
        let q = ops.rms_norm(q, &self.q_norm, self.eps)?;
        let k = ops.rms_norm(k, &self.k_norm, self.eps)?;
        let q = ops.rope(q, rope, &batch.positions)?;
        let k = ops.rope(k, rope, &batch.positions)?;
        let h = ops.attention(&q, &k, &v, cache, self.index, self.kind, batch)?;
        if probe.wants_attention(self.index) {
            let p = ops.attention_probabilities(&q, cache, self.index, self.kind, batch)?;
            probe.attention(self.index, &p);
        }
        look(ops, probe, self.index, Input::AttentionOutput, &h)?;
        let [h] = ops.project(&h, [&self.o_proj])?;
        Ok(h)
    }
}

impl<O: Ops> Mlp<O> {
    fn forward(
        &self,
        ops: &O,
        x: &O::Tensor,
        layer: usize,
        probe: &mut dyn Probe,
    ) -> Result<O::Tensor> {
        look(ops, probe, layer, Input::Mlp, x)?;
        let [gate, up] = ops.project(x, [&self.gate_proj, &self.up_proj])?;
        let h = ops.silu_mul(gate, &up)?;
        look(ops, probe, layer, Input::MlpOutput, &h)?;
        let [h] = ops.project(&h, [&self.down_proj])?;
        Ok(h)
    }
}

fn look<O: Ops>(
    ops: &O,
    probe: &mut dyn Probe,
    layer: usize,
    input: Input,
    x: &O::Tensor,
) -> Result<()> {
    if probe.wants_inputs() {
        let mut values = Vec::new();
        ops.read(x, &mut values)?;
        probe.input(layer, input, &values);
    }
    Ok(())
}
