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
}

/// The probe that asks for nothing.
pub struct Silent;

impl Probe for Silent {}
