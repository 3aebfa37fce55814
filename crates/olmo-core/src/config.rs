//! `config.json` of a Hugging Face `Olmo2ForCausalLM`, read and checked.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::dtype::DType;
use crate::{Error, Result};

/// How far back a layer's rows look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttentionKind {
    /// To the beginning of the sequence.
    Full,
}

/// Everything the decoder needs to know of a model's shape.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
    /// The kind of attention of each layer; their number is the number of layers.
    pub layers: Vec<AttentionKind>,
    /// Tokens a sequence can have, prompt and answer together.
    pub max_position_embeddings: usize,
    pub rope_theta: f64,
    pub rms_norm_eps: f64,
    /// Whether the output projection is the embedding table.
    pub tie_word_embeddings: bool,
    /// The dtype the file says its weights are in.
    pub dtype: Option<DType>,
    pub eos_token_ids: Vec<u32>,
    pub pad_token_id: Option<u32>,
}

impl ModelConfig {
    /// Reads `config.json` in a checkpoint folder.
    pub fn from_dir(dir: &Path) -> Result<ModelConfig> {
        let (file, bytes) = read_required(dir, "config.json")?;
        let text = String::from_utf8(bytes).map_err(|error| Error::InvalidFile {
            file: file.clone(),
            problem: format!("this is not UTF-8: {error}"),
        })?;
        ModelConfig::from_json(&text, &file)
    }

    /// Reads the text of a `config.json`; `file` is for error messages.
    ///
    /// Both spellings are understood: `rope_theta` and `torch_dtype` at top level (the published
    /// checkpoints) and `rope_parameters` with `dtype` (what transformers 5 writes).
    pub fn from_json(text: &str, file: &Path) -> Result<ModelConfig> {
        let json: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| Error::InvalidFile {
                file: file.to_owned(),
                problem: format!("this is not a JSON object: {error}"),
            })?;
        let keys = Keys { json: &json, file };

        keys.expect_str("model_type", &["olmo2"])?;
        keys.expect_str("hidden_act", &["silu"])?;
        keys.expect_false("attention_bias")?;

        let hidden_size = keys.size("hidden_size")?;
        let num_attention_heads = keys.size("num_attention_heads")?;
        let num_key_value_heads =
            keys.optional_size("num_key_value_heads")?.unwrap_or(num_attention_heads);
        let head_dim = match keys.optional_size("head_dim")? {
            Some(head_dim) => head_dim,
            None if hidden_size % num_attention_heads == 0 => hidden_size / num_attention_heads,
            None => {
                let problem = format!(
                    "is {num_attention_heads}, which does not divide hidden_size {hidden_size}"
                );
                return Err(keys.error("num_attention_heads", problem));
            }
        };
        if head_dim % 2 != 0 {
            return Err(keys.error(
                "head_dim",
                format!("is {head_dim}, but rotary embeddings need an even number"),
            ));
        }
        if num_attention_heads % num_key_value_heads != 0 {
            let problem = format!(
                "is {num_key_value_heads}, which does not divide num_attention_heads {num_attention_heads}"
            );
            return Err(keys.error("num_key_value_heads", problem));
        }

        let vocab_size = keys.size("vocab_size")?;
        Ok(ModelConfig {
            vocab_size,
            hidden_size,
            intermediate_size: keys.size("intermediate_size")?,
            num_attention_heads,
            num_key_value_heads,
            head_dim,
            layers: vec![AttentionKind::Full; keys.layers("num_hidden_layers")?],
            max_position_embeddings: keys.size("max_position_embeddings")?,
            rope_theta: keys.rope_theta()?,
            rms_norm_eps: keys.positive("rms_norm_eps", Some(1e-5))?,
            tie_word_embeddings: keys.flag("tie_word_embeddings")?.unwrap_or(false),
            dtype: keys.dtype()?,
            eos_token_ids: keys.token_ids("eos_token_id", vocab_size)?,
            pad_token_id: keys.token_ids("pad_token_id", vocab_size)?.first().copied(),
        })
    }

    /// Number of weights.
    pub fn num_params(&self) -> u64 {
        crate::shapes::weight_shapes(self)
            .iter()
            .map(|(_, shape)| shape.iter().map(|&n| n as u64).product::<u64>())
            .sum()
    }

    /// Width of the projected queries.
    pub fn query_dim(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// Width of the projected keys, and of the values.
    pub fn kv_dim(&self) -> usize {
        self.num_key_value_heads * self.head_dim
    }
}

/// A file that every checkpoint folder has: its path and content.
pub(crate) fn read_required(dir: &Path, name: &str) -> Result<(PathBuf, Vec<u8>)> {
    let file = dir.join(name);
    match std::fs::read(&file) {
        Ok(bytes) => Ok((file, bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::io(
            file,
            "there is no such file; a checkpoint folder holds config.json, tokenizer.json and \
             model.safetensors",
        )),
        Err(error) => Err(Error::io(file, error)),
    }
}

/// No size in a published model comes near this; products of a few of them stay within u64.
pub(crate) const LARGEST_SIZE: u64 = 1 << 24;

/// No model has as many layers. Each has some memory before any weight is looked at.
pub(crate) const MOST_LAYERS: u64 = 1 << 12;

/// Typed access to the keys of one file, with errors that name the key.
struct Keys<'a> {
    json: &'a Map<String, Value>,
    file: &'a Path,
}

impl Keys<'_> {
    fn error(&self, key: &str, problem: impl Into<String>) -> Error {
        Error::InvalidConfig {
            file: PathBuf::from(self.file),
            key: key.to_owned(),
            problem: problem.into(),
        }
    }

    /// The value, with JSON's `null` the same as an absent key.
    fn get(&self, key: &str) -> Option<&Value> {
        self.json.get(key).filter(|value| !value.is_null())
    }

    fn size(&self, key: &str) -> Result<usize> {
        self.optional_size(key)?.ok_or_else(|| self.error(key, "is missing"))
    }

    fn optional_size(&self, key: &str) -> Result<Option<usize>> {
        self.size_up_to(LARGEST_SIZE, key)
    }

    fn layers(&self, key: &str) -> Result<usize> {
        self.size_up_to(MOST_LAYERS, key)?.ok_or_else(|| self.error(key, "is missing"))
    }

    fn size_up_to(&self, most: u64, key: &str) -> Result<Option<usize>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_u64().filter(|size| (1..=most).contains(size)) {
            Some(size) => Ok(Some(size as usize)),
            None => {
                let problem = format!("is {value}, but a whole number from 1 to {most} is needed");
                Err(self.error(key, problem))
            }
        }
    }

    fn positive(&self, key: &str, default: Option<f64>) -> Result<f64> {
        self.positive_in(self.json, key, key)?
            .or(default)
            .ok_or_else(|| self.error(key, "is missing"))
    }

    fn positive_in(&self, json: &Map<String, Value>, key: &str, path: &str) -> Result<Option<f64>> {
        let Some(value) = json.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
        match value.as_f64() {
            Some(number) if number > 0.0 && number.is_finite() => Ok(Some(number)),
            _ => Err(self.error(path, format!("is {value}, but a number above 0 is needed"))),
        }
    }

    fn flag(&self, key: &str) -> Result<Option<bool>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value
            .as_bool()
            .map(Some)
            .ok_or_else(|| self.error(key, format!("is {value}, not true or false")))
    }

    fn expect_false(&self, key: &str) -> Result<()> {
        match self.flag(key)? {
            Some(true) => Err(self.error(key, "is true, but OLMo 2 has no such weights")),
            _ => Ok(()),
        }
    }

    fn expect_str(&self, key: &str, known: &[&str]) -> Result<()> {
        match self.get(key) {
            None => Err(self.error(key, "is missing")),
            Some(Value::String(text)) if known.contains(&text.as_str()) => Ok(()),
            Some(value) => Err(self
                .error(key, format!("is {value}, but this engine runs only {}", known.join(", ")))),
        }
    }

    /// `rope_theta` at top level or inside `rope_parameters`; both, if they agree.
    fn rope_theta(&self) -> Result<f64> {
        if let Some(scaling) = self.get("rope_scaling") {
            return Err(self.error(
                "rope_scaling",
                format!("is {scaling}, but OLMo 2 does not scale its angles"),
            ));
        }
        let outer = self.positive_in(self.json, "rope_theta", "rope_theta")?;
        let inner = match self.get("rope_parameters") {
            None => None,
            Some(Value::Object(parameters)) => {
                if let Some(kind) = parameters.get("rope_type").filter(|kind| *kind != "default") {
                    let problem = format!("is {kind}, but OLMo 2 uses only default");
                    return Err(self.error("rope_parameters.rope_type", problem));
                }
                self.positive_in(parameters, "rope_theta", "rope_parameters.rope_theta")?
            }
            Some(value) => {
                return Err(self.error("rope_parameters", format!("is {value}, not an object")))
            }
        };
        match (outer, inner) {
            (Some(outer), Some(inner)) if outer != inner => Err(self.error(
                "rope_theta",
                format!("is {outer}, but rope_parameters.rope_theta is {inner}"),
            )),
            (outer, inner) => outer.or(inner).ok_or_else(|| self.error("rope_theta", "is missing")),
        }
    }

    /// `torch_dtype` or `dtype`; both, if they agree.
    fn dtype(&self) -> Result<Option<DType>> {
        let read = |key: &str| -> Result<Option<DType>> {
            let Some(value) = self.get(key) else { return Ok(None) };
            value.as_str().and_then(DType::parse).map(Some).ok_or_else(|| {
                self.error(key, format!("is {value}, but float32, float16 or bfloat16 is needed"))
            })
        };
        match (read("torch_dtype")?, read("dtype")?) {
            (Some(old), Some(new)) if old != new => Err(self
                .error("dtype", format!("is {}, but torch_dtype is {}", new.name(), old.name()))),
            (old, new) => Ok(new.or(old)),
        }
    }

    /// One id or a list of them, each inside the vocabulary.
    fn token_ids(&self, key: &str, vocab_size: usize) -> Result<Vec<u32>> {
        token_ids(self.get(key), vocab_size).ok_or_else(|| {
            let value = self.get(key).unwrap_or(&Value::Null);
            self.error(key, format!("is {value}, but ids from 0 to {} are needed", vocab_size - 1))
        })
    }
}

/// Token ids as Hugging Face files write them: absent, one number, or a list of numbers.
pub(crate) fn token_ids(value: Option<&Value>, vocab_size: usize) -> Option<Vec<u32>> {
    let one = |value: &Value| {
        let id = value.as_u64().filter(|&id| id < vocab_size as u64)?;
        u32::try_from(id).ok()
    };
    match value {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(values)) => values.iter().map(one).collect(),
        Some(value) => Some(vec![one(value)?]),
    }
}
