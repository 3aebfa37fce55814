//! Which tensor of a model gets which format.

use super::BlockType;
use crate::config::ModelConfig;
use crate::dtype::{DType, TensorType};
use crate::{Error, Result};

/// A mix of formats for the matrices of a model, by the name llama.cpp gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    Q8_0,
    Q4_0,
    /// `q4_k`, and `q6_k` where it helps most.
    Q4KM,
    /// `q5_k`, and `q6_k` where it helps most.
    Q5KM,
    Q6K,
}

impl Scheme {
    pub const ALL: [Scheme; 5] =
        [Scheme::Q8_0, Scheme::Q4_0, Scheme::Q4KM, Scheme::Q5KM, Scheme::Q6K];

    pub fn name(self) -> &'static str {
        match self {
            Scheme::Q8_0 => "q8_0",
            Scheme::Q4_0 => "q4_0",
            Scheme::Q4KM => "q4_k_m",
            Scheme::Q5KM => "q5_k_m",
            Scheme::Q6K => "q6_k",
        }
    }

    /// Reads a name, in small or capital letters.
    pub fn parse(name: &str) -> Option<Scheme> {
        Scheme::ALL.into_iter().find(|scheme| scheme.name().eq_ignore_ascii_case(name))
    }

    /// The format of most matrices.
    pub fn block_type(self) -> BlockType {
        match self {
            Scheme::Q8_0 => BlockType::Q8_0,
            Scheme::Q4_0 => BlockType::Q4_0,
            Scheme::Q4KM => BlockType::Q4K,
            Scheme::Q5KM => BlockType::Q5K,
            Scheme::Q6K => BlockType::Q6K,
        }
    }

    /// How the tensor `name` (Hugging Face's) of shape `shape` is stored.
    ///
    /// Vectors, which are norms, stay f32. The output matrix, which may be the embedding table, gets
    /// `q6_k` at least. In the mixes, values and the MLP's way down get `q6_k` in the first and last
    /// eighth of the layers and in every third between.
    ///
    /// A row that is not whole blocks of 256 gets `q8_0`, and one that is not whole blocks of 32 gets
    /// f16. llama.cpp has `q5_0` and `q5_1` in place of `q4_k` and `q5_k` there, formats that are not
    /// among ours; and it stops where `q8_0` or `q4_0` does not fit.
    /// With an importance matrix it also puts the way down of the first eighth into `q4_1` in place of
    /// `q4_0`; here it stays `q4_0`.
    ///
    /// Source: `llama_tensor_get_type` in `llama-quant.cpp` of llama.cpp.
    pub fn tensor_type(self, name: &str, shape: &[usize], config: &ModelConfig) -> TensorType {
        let &[_, columns] = shape else { return TensorType::Float(DType::F32) };
        let wanted = match part(name) {
            Part::Embedding if !config.tie_word_embeddings => self.block_type(),
            Part::Embedding | Part::Output => match self {
                Scheme::Q8_0 => BlockType::Q8_0,
                _ => BlockType::Q6K,
            },
            Part::Sensitive { layer } if gets_more_bits(layer, config.layers.len()) => match self {
                Scheme::Q4KM | Scheme::Q5KM => BlockType::Q6K,
                _ => self.block_type(),
            },
            Part::Sensitive { .. } | Part::Other => self.block_type(),
        };
        match [wanted, BlockType::Q8_0].into_iter().find(|block| block.bytes(columns).is_some()) {
            Some(block) => TensorType::Block(block),
            None => TensorType::Float(DType::F16),
        }
    }
}

impl std::str::FromStr for Scheme {
    type Err = Error;

    fn from_str(name: &str) -> Result<Scheme> {
        Scheme::parse(name).ok_or_else(|| {
            let expected = Scheme::ALL.map(Scheme::name).join(", ");
            Error::option("type", format!("`{name}`"), format!("it must be one of {expected}"))
        })
    }
}

/// What the choice of a format depends on.
enum Part {
    Embedding,
    Output,
    /// A projection to values, or the MLP's way down.
    Sensitive {
        layer: usize,
    },
    Other,
}

fn part(name: &str) -> Part {
    match name {
        "model.embed_tokens.weight" => return Part::Embedding,
        "lm_head.weight" => return Part::Output,
        _ => {}
    }
    let layer = name.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.'));
    match layer {
        Some((layer, "self_attn.v_proj.weight" | "mlp.down_proj.weight")) => {
            layer.parse().map_or(Part::Other, |layer| Part::Sensitive { layer })
        }
        _ => Part::Other,
    }
}

/// `use_more_bits` in llama.cpp.
fn gets_more_bits(layer: usize, layers: usize) -> bool {
    let eighth = layers / 8;
    layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2
}
