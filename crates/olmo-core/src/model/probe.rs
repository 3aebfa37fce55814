//! A look inside a forward pass, for those who study the model.

/// Is told of the numbers it asks for. Nothing is computed or copied that no probe wants.
pub trait Probe {
    /// Whether [`Probe::hidden`] should be called.
    fn wants_hidden(&self) -> bool {
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

    /// What projections of a layer are given, `[rows, width]`.
    fn input(&mut self, _layer: usize, _input: Input, _values: &[f32]) {}
}

/// An input that projections of a layer share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Input {
    /// Of the queries, keys and values.
    Attention,
    /// Of attention's way out.
    AttentionOutput,
    Mlp,
    /// Of the MLP's way down.
    MlpOutput,
}

impl Input {
    /// Names (after `model.layers.N.`) of the weights that are multiplied with it.
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
