//! Which tensor of a model gets which format.

use crate::config::ModelConfig;
use crate::dtype::{DType, TensorType};
use crate::quant::{formats, BlockType};

macro_rules! declare {
    ($(
        $format:ident: $file:ident::$block:ident,
        mix $scheme:ident { name: $name:literal, file_type: $number:literal, sensitive: $sensitive:ident };
    )*) => {
        /// A mix of formats for the matrices of a model, by the name llama.cpp gives it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Scheme {
            $($scheme,)*
        }

        impl Scheme {
            pub const ALL: [Scheme; MIXES.len()] = [$(Scheme::$scheme),*];
        }

        /// In the order of [`Scheme::ALL`].
        const MIXES: &[Mix] = &[$(Mix {
            name: $name,
            file_type: $number,
            usual: BlockType::$format,
            sensitive: BlockType::$sensitive,
        }),*];
    };
}
formats!(declare);

/// What of a model a mix depends on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outline {
    pub layers: usize,
    /// Whether the embedding table is the output matrix too.
    pub tied: bool,
}

impl From<&ModelConfig> for Outline {
    fn from(config: &ModelConfig) -> Outline {
        Outline { layers: config.layers.len(), tied: config.tie_word_embeddings }
    }
}

struct Mix {
    name: &'static str,
    file_type: u32,
    usual: BlockType,
    /// Of some of the matrices that suffer most, see [`Scheme::tensor_type`].
    sensitive: BlockType,
}

impl Scheme {
    fn mix(self) -> &'static Mix {
        &MIXES[self as usize]
    }

    pub fn name(self) -> &'static str {
        self.mix().name
    }

    /// Reads a name, in small or capital letters.
    pub fn parse(name: &str) -> Option<Scheme> {
        Scheme::ALL.into_iter().find(|scheme| scheme.name().eq_ignore_ascii_case(name))
    }

    /// The mix that is mostly of a format.
    pub fn of_mostly(block: BlockType) -> Scheme {
        let found = Scheme::ALL.into_iter().find(|scheme| scheme.block_type() == block);
        found.expect("every format is the usual one of a mix")
    }

    /// The format of most matrices.
    pub fn block_type(self) -> BlockType {
        self.mix().usual
    }

    /// The number that stands for it in GGUF files: `llama_ftype` in `llama.h` of llama.cpp.
    pub fn file_type(self) -> u32 {
        self.mix().file_type
    }

    /// How the tensor `name` (Hugging Face's) of shape `shape` is stored.
    ///
    /// Vectors, which are norms, stay f32. The output matrix, which may be the embedding table, gets
    /// `q6_k` at least. In the mixes, values and the MLP's way down get `q6_k` in the first and last
    /// eighth of the layers and in every third between.
    ///
    /// A row that is not whole blocks of 256 gets `q8_0`, and one that is not whole blocks of 32 gets
    /// f16. llama.cpp has `q5_0` and `q5_1`, of fewer bits, in place of `q4_k` and `q5_k` there; and it stops
    /// where `q8_0`, `q5_0` or `q4_0` does not fit. With an importance matrix it also puts the way down of
    /// the first eighth into `q5_1` and `q4_1` in place of `q5_0` and `q4_0`; here it stays as it is.
    ///
    /// Source: `llama_tensor_get_type` in `llama-quant.cpp` of llama.cpp.
    pub fn tensor_type(self, name: &str, shape: &[usize], model: impl Into<Outline>) -> TensorType {
        let &[_, columns] = shape else { return TensorType::Float(DType::F32) };
        let Outline { layers, tied } = model.into();
        let &Mix { usual, sensitive, .. } = self.mix();
        let wanted = match part(name) {
            Part::Embedding if !tied => usual,
            Part::Embedding | Part::Output => match usual.bits_per_weight() {
                bits if bits > BlockType::Q6K.bits_per_weight() => usual,
                _ => BlockType::Q6K,
            },
            Part::Sensitive { layer } if gets_more_bits(layer, layers) => sensitive,
            Part::Sensitive { .. } | Part::Other => usual,
        };
        match [wanted, BlockType::Q8_0].into_iter().find(|block| block.bytes(columns).is_some()) {
            Some(block) => TensorType::Block(block),
            None => TensorType::Float(DType::F16),
        }
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
