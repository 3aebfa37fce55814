//! A model's shape in metadata, there and back.
//!
//! Source: `hparams` in llama.cpp's `llama-model.cpp`, its `olmo2.cpp`, and `set_gguf_parameters` of
//! its converter.

use super::{generation, names, vocabulary, Gguf, Metadata, Value};
use crate::config::{AttentionKind, ModelConfig, LARGEST_SIZE, MOST_LAYERS};
use crate::{Error, Result};

pub(super) const ARCHITECTURE: &str = "olmo2";
pub(super) const ARCHITECTURE_KEY: &str = "general.architecture";

/// The config that the metadata of a file describes. How many tokens there are is what the embedding
/// table says, and that embeddings are tied what the lack of an output matrix does.
///
/// Errors with [`Error::InvalidConfig`] on anything but an OLMo 2.
pub(super) fn read(gguf: &Gguf) -> Result<ModelConfig> {
    let keys = Keys { gguf };
    keys.check_architecture()?;
    keys.check_whole()?;
    keys.check_attention()?;
    keys.check_rope()?;

    let hidden_size = keys.size("embedding_length")?;
    let num_attention_heads = keys.size("attention.head_count")?;
    let num_key_value_heads =
        keys.optional_size("attention.head_count_kv")?.unwrap_or(num_attention_heads);
    let head_dim = match keys.optional_size("attention.key_length")? {
        Some(head_dim) => head_dim,
        None => hidden_size / num_attention_heads,
    };
    if head_dim == 0 || head_dim % 2 != 0 {
        let problem = format!("makes heads of {head_dim}, but rotary embeddings need an even size");
        return Err(keys.error("olmo2.attention.head_count", problem));
    }
    if num_attention_heads % num_key_value_heads != 0 {
        let problem = format!(
            "is {num_key_value_heads}, which does not divide head_count {num_attention_heads}"
        );
        return Err(keys.error("olmo2.attention.head_count_kv", problem));
    }
    let vocab_size = keys.vocab_size()?;
    let (mut eos_token_ids, mut warnings) = (Vec::new(), Vec::new());
    for key in generation::END_IDS {
        let id = keys.token_id(key, vocab_size, &mut warnings)?;
        eos_token_ids.extend(id.filter(|id| !eos_token_ids.contains(id)));
    }
    Ok(ModelConfig {
        vocab_size,
        hidden_size,
        intermediate_size: keys.size("feed_forward_length")?,
        num_attention_heads,
        num_key_value_heads,
        head_dim,
        layers: vec![AttentionKind::Full; keys.layers()?],
        max_position_embeddings: keys.size("context_length")?,
        rope_theta: keys.positive("rope.freq_base")?.unwrap_or(10_000.0),
        rms_norm_eps: keys.positive("attention.layer_norm_rms_epsilon")?.ok_or_else(|| {
            keys.error("olmo2.attention.layer_norm_rms_epsilon", "is missing".into())
        })?,
        tie_word_embeddings: gguf.shape(names::OUTPUT).is_none(),
        dtype: None,
        eos_token_ids,
        pad_token_id: keys.token_id(vocabulary::PAD_ID, vocab_size, &mut warnings)?,
        warnings,
    })
}

/// Adds the keys that describe a model's shape, in the converter's order.
pub(super) fn write(metadata: &mut Metadata, config: &ModelConfig) {
    let mut set = |key: &str, value: Value| metadata.set(&format!("{ARCHITECTURE}.{key}"), value);
    // Every size was read within LARGEST_SIZE.
    let size = |n: usize| Value::U32(n as u32);
    set("block_count", size(config.layers.len()));
    set("context_length", size(config.max_position_embeddings));
    set("embedding_length", size(config.hidden_size));
    set("feed_forward_length", size(config.intermediate_size));
    set("attention.head_count", size(config.num_attention_heads));
    set("attention.head_count_kv", size(config.num_key_value_heads));
    set("rope.freq_base", Value::F32(config.rope_theta as f32));
    set("attention.layer_norm_rms_epsilon", Value::F32(config.rms_norm_eps as f32));
    if config.query_dim() != config.hidden_size {
        set("attention.key_length", size(config.head_dim));
        set("attention.value_length", size(config.head_dim));
    }
}

/// Typed access to metadata, with errors that name the key. Names without a dot before them are of the
/// architecture: `block_count` is `olmo2.block_count`.
struct Keys<'a> {
    gguf: &'a Gguf,
}

impl Keys<'_> {
    fn error(&self, key: &str, problem: String) -> Error {
        Error::InvalidConfig { file: self.gguf.path().to_owned(), key: key.to_owned(), problem }
    }

    /// The value of a key of the architecture, with its whole name.
    fn get(&self, key: &str) -> (String, Option<&Value>) {
        let key = format!("{ARCHITECTURE}.{key}");
        let value = self.gguf.metadata().get(&key);
        (key, value)
    }

    fn check_architecture(&self) -> Result<()> {
        match self.gguf.metadata().get(ARCHITECTURE_KEY) {
            Some(Value::String(name)) if name == ARCHITECTURE => Ok(()),
            Some(value) => {
                let problem = format!("is {}, but this engine runs only olmo2", value.describe());
                Err(self.error(ARCHITECTURE_KEY, problem))
            }
            None => Err(self.error(ARCHITECTURE_KEY, "is missing".into())),
        }
    }

    /// A model can be spread over several files, which are not read.
    fn check_whole(&self) -> Result<()> {
        match self.gguf.metadata().get("split.count") {
            Some(parts) if parts.as_u64().is_none_or(|parts| parts > 1) => {
                let parts = parts.describe();
                let problem =
                    format!("is {parts}: join the parts with `llama-gguf-split --merge` first");
                Err(self.error("split.count", problem))
            }
            _ => Ok(()),
        }
    }

    /// OLMo 3 comes under the same name, and is told by its windows.
    fn check_attention(&self) -> Result<()> {
        match self.get("attention.sliding_window") {
            (key, Some(value)) if value.as_u64() != Some(0) => {
                let problem = format!("is {}, but OLMo 2 has no windows", value.describe());
                Err(self.error(&key, problem))
            }
            _ => Ok(()),
        }
    }

    fn check_rope(&self) -> Result<()> {
        let (key, value) = self.get("rope.scaling.type");
        match value {
            None => Ok(()),
            Some(Value::String(kind)) if kind == "none" => Ok(()),
            Some(value) => {
                let problem =
                    format!("is {}, but OLMo 2 does not scale its angles", value.describe());
                Err(self.error(&key, problem))
            }
        }
    }

    fn size(&self, key: &str) -> Result<usize> {
        self.optional_size(key)?
            .ok_or_else(|| self.error(&format!("{ARCHITECTURE}.{key}"), "is missing".into()))
    }

    fn optional_size(&self, key: &str) -> Result<Option<usize>> {
        let (key, Some(value)) = self.get(key) else { return Ok(None) };
        match value.as_u64() {
            Some(size @ 1..=LARGEST_SIZE) => Ok(Some(size as usize)),
            _ => Err(self.no_size(&key, value.describe(), LARGEST_SIZE)),
        }
    }

    fn layers(&self) -> Result<usize> {
        match self.size("block_count")? {
            layers if layers as u64 <= MOST_LAYERS => Ok(layers),
            layers => Err(self.no_size("olmo2.block_count", layers.to_string(), MOST_LAYERS)),
        }
    }

    fn no_size(&self, key: &str, value: String, most: u64) -> Error {
        let problem = format!("is {value}, but a whole number from 1 to {most} is needed");
        self.error(key, problem)
    }

    fn positive(&self, key: &str) -> Result<Option<f64>> {
        let (key, Some(value)) = self.get(key) else { return Ok(None) };
        match value.as_f64() {
            Some(number) if number > 0.0 && number.is_finite() => Ok(Some(number)),
            _ => {
                let problem = format!("is {}, but a number above 0 is needed", value.describe());
                Err(self.error(&key, problem))
            }
        }
    }

    /// The rows of the embedding table.
    fn vocab_size(&self) -> Result<usize> {
        match self.gguf.shape(names::EMBEDDING) {
            Some(&[rows, _]) if rows as u64 <= LARGEST_SIZE => Ok(rows),
            Some(shape) => {
                let problem = format!("has shape {shape:?}, which is not an embedding table");
                Err(self.gguf.tensor_error(names::EMBEDDING, problem))
            }
            None => Err(self.gguf.tensor_error(names::EMBEDDING, "is missing in this file".into())),
        }
    }

    /// An id, if it is inside the vocabulary. Another can never come out of the model, as in config.json.
    fn token_id(
        &self,
        key: &str,
        vocab_size: usize,
        warnings: &mut Vec<String>,
    ) -> Result<Option<u32>> {
        let Some(value) = self.gguf.metadata().get(key) else { return Ok(None) };
        match value {
            // A common way to say none.
            Value::I8(..0) | Value::I16(..0) | Value::I32(..0) | Value::I64(..0) => Ok(None),
            value => match value.as_u64() {
                Some(id) if id < vocab_size as u64 => Ok(Some(id as u32)),
                Some(id) => {
                    let most = vocab_size - 1;
                    warnings.push(format!(
                        "`{key}` is {id}; ids above {most} are no tokens and count for nothing"
                    ));
                    Ok(None)
                }
                None => {
                    let problem = format!("is {}, but a token id is needed", value.describe());
                    Err(self.error(key, problem))
                }
            },
        }
    }
}
