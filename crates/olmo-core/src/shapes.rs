//! Names and shapes of the weights of a model, as its checkpoints have them.

use crate::config::ModelConfig;

pub const EMBEDDING: &str = "model.embed_tokens.weight";
pub(crate) const FINAL_NORM: &str = "model.norm.weight";
pub(crate) const OUTPUT: &str = "lm_head.weight";

/// Name and shape of every weight of a model, as Hugging Face's `Olmo2ForCausalLM` saves them.
pub fn weight_shapes(config: &ModelConfig) -> Vec<(String, Vec<usize>)> {
    let table = vec![config.vocab_size, config.hidden_size];
    let mut shapes = vec![(EMBEDDING.to_owned(), table.clone())];
    for index in 0..config.layers.len() {
        let layer = layer_shapes(config).into_iter();
        shapes.extend(layer.map(|(name, shape)| (format!("model.layers.{index}.{name}"), shape)));
    }
    shapes.push((FINAL_NORM.to_owned(), vec![config.hidden_size]));
    if !config.tie_word_embeddings {
        shapes.push((OUTPUT.to_owned(), table));
    }
    shapes
}

impl ModelConfig {
    /// Number of weights.
    pub fn num_params(&self) -> u64 {
        weight_shapes(self)
            .iter()
            .map(|(_, shape)| shape.iter().map(|&n| n as u64).product::<u64>())
            .sum()
    }
}

/// Names (after `model.layers.N.`) and shapes of a layer's weights.
fn layer_shapes(config: &ModelConfig) -> [(&'static str, Vec<usize>); 11] {
    let (hidden, mlp) = (config.hidden_size, config.intermediate_size);
    let (q, kv) = (config.query_dim(), config.kv_dim());
    [
        ("self_attn.q_proj.weight", vec![q, hidden]),
        ("self_attn.k_proj.weight", vec![kv, hidden]),
        ("self_attn.v_proj.weight", vec![kv, hidden]),
        ("self_attn.o_proj.weight", vec![hidden, q]),
        ("self_attn.q_norm.weight", vec![q]),
        ("self_attn.k_norm.weight", vec![kv]),
        ("post_attention_layernorm.weight", vec![hidden]),
        ("mlp.gate_proj.weight", vec![mlp, hidden]),
        ("mlp.up_proj.weight", vec![mlp, hidden]),
        ("mlp.down_proj.weight", vec![hidden, mlp]),
        ("post_feedforward_layernorm.weight", vec![hidden]),
    ]
}
