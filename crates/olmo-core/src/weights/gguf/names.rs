//! Names of tensors: GGUF's for the architecture `olmo2`, and Hugging Face's.
//!
//! Nothing else differs: llama.cpp turns OLMo 2's queries and keys the way Hugging Face does, so no
//! matrix is permuted.
//!
//! Source: `MODEL_TENSORS` and `tensor_mapping.py` of the package gguf 0.19.0; `Olmo2Model` of
//! llama.cpp's converter.

use crate::config::ModelConfig;
use crate::shapes::weight_shapes;

/// Tensors that are there once, as (GGUF, Hugging Face).
const WHOLE: [(&str, &str); 3] = [
    ("token_embd.weight", "model.embed_tokens.weight"),
    ("output_norm.weight", "model.norm.weight"),
    ("output.weight", "lm_head.weight"),
];

/// Tensors of a layer: what follows `blk.N.` and `model.layers.N.`.
const LAYER: [(&str, &str); 11] = [
    ("attn_q.weight", "self_attn.q_proj.weight"),
    ("attn_k.weight", "self_attn.k_proj.weight"),
    ("attn_v.weight", "self_attn.v_proj.weight"),
    ("attn_output.weight", "self_attn.o_proj.weight"),
    ("attn_q_norm.weight", "self_attn.q_norm.weight"),
    ("attn_k_norm.weight", "self_attn.k_norm.weight"),
    ("post_attention_norm.weight", "post_attention_layernorm.weight"),
    ("ffn_gate.weight", "mlp.gate_proj.weight"),
    ("ffn_up.weight", "mlp.up_proj.weight"),
    ("ffn_down.weight", "mlp.down_proj.weight"),
    ("post_ffw_norm.weight", "post_feedforward_layernorm.weight"),
];

pub(super) const EMBEDDING: &str = WHOLE[0].0;
pub(super) const OUTPUT: &str = WHOLE[2].0;

/// All tensors that the file of a model is to have, as (GGUF, Hugging Face), in the order of the model.
///
/// A model with tied embeddings gets its table a second time, as the output matrix: llama.cpp's
/// OLMo 2 cannot do without one.
pub fn all(config: &ModelConfig) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = weight_shapes(config)
        .into_iter()
        .map(|(name, _)| (from_hugging_face(&name).expect("every weight has a name"), name))
        .collect();
    if config.tie_word_embeddings {
        all.push((OUTPUT.to_owned(), WHOLE[0].1.to_owned()));
    }
    all
}

/// Hugging Face's name of a tensor; `None` if OLMo 2 has none like it.
pub fn to_hugging_face(name: &str) -> Option<String> {
    if let Some((_, other)) = WHOLE.iter().find(|(own, _)| *own == name) {
        return Some((*other).to_owned());
    }
    let (layer, part) = name.strip_prefix("blk.")?.split_once('.')?;
    let (_, part) = LAYER.iter().find(|(own, _)| *own == part)?;
    is_number(layer).then(|| format!("model.layers.{layer}.{part}"))
}

/// GGUF's name of a tensor; `None` if OLMo 2 has none like it.
pub fn from_hugging_face(name: &str) -> Option<String> {
    if let Some((own, _)) = WHOLE.iter().find(|(_, other)| *other == name) {
        return Some((*own).to_owned());
    }
    let (layer, part) = name.strip_prefix("model.layers.")?.split_once('.')?;
    let (part, _) = LAYER.iter().find(|(_, other)| *other == part)?;
    is_number(layer).then(|| format!("blk.{layer}.{part}"))
}

/// One spelling a number: no sign, no zeros before it.
fn is_number(text: &str) -> bool {
    text.parse::<u32>().is_ok_and(|number| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_weight_has_a_name_there_and_back() {
        let json = r#"{"model_type": "olmo2", "hidden_act": "silu", "hidden_size": 64,
            "intermediate_size": 176, "num_attention_heads": 4, "num_hidden_layers": 12,
            "vocab_size": 517, "max_position_embeddings": 128, "rope_theta": 500000}"#;
        let config = ModelConfig::from_json(json, "config.json".as_ref()).unwrap();
        let shapes = weight_shapes(&config);
        assert_eq!(shapes.len(), 3 + 12 * 11);
        for (name, _) in shapes {
            let own = from_hugging_face(&name).unwrap();
            assert_eq!(to_hugging_face(&own), Some(name));
        }
    }

    #[test]
    fn other_names_have_none() {
        for name in [
            "rope_freqs.weight",
            "blk.0.attn_norm.weight",
            "blk.+1.attn_q.weight",
            "blk.01.attn_q.weight",
            "blk..attn_q.weight",
            "blk.0",
            "",
        ] {
            assert_eq!(to_hugging_face(name), None, "{name}");
        }
        assert_eq!(from_hugging_face("model.layers.x.mlp.up_proj.weight"), None);
    }
}
