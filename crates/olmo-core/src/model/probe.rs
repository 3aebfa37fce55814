//! Access to the intermediate results of a forward pass, for studying the model.

use crate::ops::{LayerSpec, Ops, Study};
use crate::Result;

/// Receives the numbers it asks for. The pass computes and copies only what a probe wants.
pub trait Probe {
    /// Whether [`Probe::hidden`] should be called with this index.
    fn wants_hidden(&self, _index: usize) -> bool {
        false
    }

    /// The residual stream `[rows, hidden]`: index 0 after the embedding, `i` after layer `i`; the
    /// last one is taken after the final norm, as in transformers' `output_hidden_states`.
    fn hidden(&mut self, _index: usize, _values: &[f32]) {}

    /// Whether [`Probe::attention`] should be called for this layer.
    fn wants_attention(&self, _layer: usize) -> bool {
        false
    }

    /// Attention probabilities `[heads, rows, start + rows]` of a batch of one span.
    fn attention(&mut self, _layer: usize, _probabilities: &[f32]) {}

    /// Whether [`Probe::input`] should be called.
    fn wants_inputs(&self) -> bool {
        false
    }

    /// The input of a layer's projections, `[rows, width]`.
    fn input(&mut self, _layer: usize, _input: Input, _values: &[f32]) {}
}

/// An input that several projections of a layer share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Input {
    /// Input of `q_proj`, `k_proj` and `v_proj`.
    Attention,
    /// Input of `o_proj`.
    AttentionOutput,
    /// Input of `gate_proj` and `up_proj`.
    Mlp,
    /// Input of `down_proj`.
    MlpOutput,
}

impl Input {
    /// Names (after `model.layers.N.`) of the weights that multiply it.
    pub fn projections(self) -> &'static [&'static str] {
        match self {
            Input::Attention => {
                &["self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"]
            }
            Input::AttentionOutput => &["self_attn.o_proj.weight"],
            Input::Mlp => &["mlp.gate_proj.weight", "mlp.up_proj.weight"],
            Input::MlpOutput => &["mlp.down_proj.weight"],
        }
    }
}

/// The probe that asks for nothing.
pub struct NoProbe;

impl Probe for NoProbe {}

/// Observes the tensors of a pass on the device. Each method does nothing by default.
pub trait Observe<O: Ops> {
    /// Whether [`Observe::hidden`] uses this hidden state. The pass computes the last one for all rows only
    /// if it does.
    fn wants_hidden(&self, _index: usize) -> bool {
        false
    }

    /// See [`Probe::hidden`].
    fn hidden(&mut self, _ops: &O, _index: usize, _x: &O::Tensor) -> Result<()> {
        Ok(())
    }

    /// See [`Probe::input`].
    fn input(&mut self, _ops: &O, _layer: usize, _input: Input, _x: &O::Tensor) -> Result<()> {
        Ok(())
    }

    /// The queries `[rows, heads · head_dim]` of a layer that has just attended.
    fn queries(
        &mut self,
        _ops: &O,
        _q: &O::Tensor,
        _cache: &O::Cache,
        _layer: LayerSpec,
        _pass: &O::Pass<'_>,
    ) -> Result<()> {
        Ok(())
    }
}

impl<O: Ops> Observe<O> for NoProbe {}

/// Passes a probe what it wants, from backends that support studying.
pub(super) struct ProbeObserver<'a> {
    probe: &'a mut dyn Probe,
    values: Vec<f32>,
}

impl<'a> ProbeObserver<'a> {
    pub(super) fn new(probe: &'a mut dyn Probe) -> ProbeObserver<'a> {
        ProbeObserver { probe, values: Vec::new() }
    }
}

impl<O: Study> Observe<O> for ProbeObserver<'_> {
    fn wants_hidden(&self, index: usize) -> bool {
        self.probe.wants_hidden(index)
    }

    fn hidden(&mut self, ops: &O, index: usize, x: &O::Tensor) -> Result<()> {
        if self.probe.wants_hidden(index) {
            ops.read(x, &mut self.values)?;
            self.probe.hidden(index, &self.values);
        }
        Ok(())
    }

    fn input(&mut self, ops: &O, layer: usize, input: Input, x: &O::Tensor) -> Result<()> {
        if self.probe.wants_inputs() {
            ops.read(x, &mut self.values)?;
            self.probe.input(layer, input, &self.values);
        }
        Ok(())
    }

    fn queries(
        &mut self,
        ops: &O,
        q: &O::Tensor,
        cache: &O::Cache,
        layer: LayerSpec,
        pass: &O::Pass<'_>,
    ) -> Result<()> {
        if self.probe.wants_attention(layer.index) {
            let probabilities = ops.attention_probabilities(q, cache, layer, pass)?;
            self.probe.attention(layer.index, &probabilities);
        }
        Ok(())
    }
}
