//! `config.json` of a Hugging Face `Olmo2ForCausalLM`, read and checked.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::dtype::DType;
use crate::files;
use crate::{Error, Result};

/// How far back a layer's rows look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttentionKind {
    /// To the beginning of the sequence.
    Full,
    /// At that many positions, a row's own among them: OLMo 3's sliding windows. No config that is
    /// read has such layers yet.
    Sliding { window: usize },
}

impl AttentionKind {
    /// The first position that the row at this position looks at.
    pub fn first_seen(self, position: usize) -> usize {
        match self {
            AttentionKind::Full => 0,
            AttentionKind::Sliding { window } => (position + 1).saturating_sub(window),
        }
    }
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
    /// What the file says that cannot be, where nothing hangs on it.
    pub warnings: Vec<String>,
}

impl ModelConfig {
    /// Reads `config.json` in a checkpoint folder.
    pub fn from_dir(dir: &Path) -> Result<ModelConfig> {
        let (file, bytes) = read_required(dir, "config.json", files::MOST_CONFIG)?;
        ModelConfig::from_json(&files::text(&file, bytes)?, &file)
    }

    /// Reads the text of a `config.json`; `file` is for error messages.
    ///
    /// Both spellings are understood: `rope_theta` and `torch_dtype` at top level (the published
    /// checkpoints) and `rope_parameters` with `dtype` (what transformers 5 writes). A key that is not
    /// there has the default of transformers' class.
    ///
    /// Source: `Olmo2Config`, `PreTrainedConfig` and `RotaryEmbeddingConfigMixin` of transformers 5.24.0.
    pub fn from_json(text: &str, file: &Path) -> Result<ModelConfig> {
        let json: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| Error::InvalidFile {
                file: file.to_owned(),
                problem: format!("this is not a JSON object: {error}"),
            })?;
        let keys = Keys { json: &json, file };

        keys.expect_str("model_type", &["olmo2"])?;
        keys.expect_activation()?;
        keys.expect_false("attention_bias")?;

        let hidden_size = keys.size("hidden_size", 4096)?;
        let Heads { num_attention_heads, num_key_value_heads, head_dim } =
            keys.heads(hidden_size)?;
        let vocab_size = keys.size("vocab_size", 50_304)?;
        let mut warnings = Vec::new();
        Ok(ModelConfig {
            vocab_size,
            hidden_size,
            intermediate_size: keys.size("intermediate_size", 11_008)?,
            num_attention_heads,
            num_key_value_heads,
            head_dim,
            layers: vec![AttentionKind::Full; keys.layers("num_hidden_layers", 32)?],
            max_position_embeddings: keys.size("max_position_embeddings", 2048)?,
            rope_theta: keys.rope_theta(&mut warnings)?,
            rms_norm_eps: keys.positive("rms_norm_eps", 1e-5)?,
            tie_word_embeddings: keys.flag("tie_word_embeddings")?.unwrap_or(false),
            dtype: keys.dtype()?,
            eos_token_ids: keys.token_ids("eos_token_id", 50_279, vocab_size, &mut warnings)?,
            pad_token_id: keys
                .token_ids("pad_token_id", 1, vocab_size, &mut warnings)?
                .first()
                .copied(),
            warnings,
        })
    }

    /// The kinds of attention the layers have, in the order in which they first occur.
    pub fn attention_kinds(&self) -> Vec<AttentionKind> {
        let mut kinds = Vec::new();
        for kind in &self.layers {
            if !kinds.contains(kind) {
                kinds.push(*kind);
            }
        }
        kinds
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

/// A file that every checkpoint folder has: its path and content, of at most `most` bytes.
pub(crate) fn read_required(dir: &Path, name: &str, most: u64) -> Result<(PathBuf, Vec<u8>)> {
    let file = dir.join(name);
    match files::read_if_there(&file, most)? {
        Some(bytes) => Ok((file, bytes)),
        None => Err(Error::io(
            file,
            "there is no such file; a checkpoint folder holds config.json, tokenizer.json and \
             model.safetensors",
        )),
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

/// The heads of attention, each of `head_dim` numbers.
struct Heads {
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: usize,
}

impl Keys<'_> {
    fn heads(&self, hidden_size: usize) -> Result<Heads> {
        let num_attention_heads = self.size("num_attention_heads", 32)?;
        let num_key_value_heads =
            self.optional_size("num_key_value_heads")?.unwrap_or(num_attention_heads);
        let head_dim = match self.optional_size("head_dim")? {
            Some(head_dim) => head_dim,
            None if hidden_size.is_multiple_of(num_attention_heads) => {
                hidden_size / num_attention_heads
            }
            None => {
                let problem = format!(
                    "is {num_attention_heads}, which does not divide hidden_size {hidden_size}"
                );
                return Err(self.error("num_attention_heads", problem));
            }
        };
        if head_dim % 2 != 0 {
            let problem = format!("is {head_dim}, but rotary embeddings need an even number");
            return Err(self.error("head_dim", problem));
        }
        if num_attention_heads % num_key_value_heads != 0 {
            let problem = format!(
                "is {num_key_value_heads}, which does not divide num_attention_heads {num_attention_heads}"
            );
            return Err(self.error("num_key_value_heads", problem));
        }
        Ok(Heads { num_attention_heads, num_key_value_heads, head_dim })
    }

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

    fn size(&self, key: &str, default: usize) -> Result<usize> {
        self.refuse_null(key)?;
        Ok(self.optional_size(key)?.unwrap_or(default))
    }

    /// A size that is not there has a default; one that is null has not, in transformers either.
    fn refuse_null(&self, key: &str) -> Result<()> {
        match self.json.get(key) {
            Some(Value::Null) => Err(self.error(key, "is missing")),
            _ => Ok(()),
        }
    }

    fn optional_size(&self, key: &str) -> Result<Option<usize>> {
        self.size_up_to(LARGEST_SIZE, key)
    }

    fn layers(&self, key: &str, default: usize) -> Result<usize> {
        self.refuse_null(key)?;
        Ok(self.size_up_to(MOST_LAYERS, key)?.unwrap_or(default))
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

    fn positive(&self, key: &str, default: f64) -> Result<f64> {
        Ok(self.positive_in(self.json, key, key)?.unwrap_or(default))
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

    /// `silu`, which is what no word at all means, also under its other name.
    fn expect_activation(&self) -> Result<()> {
        match self.get("hidden_act") {
            None => Ok(()),
            Some(_) => self.expect_str("hidden_act", &["silu", "swish"]),
        }
    }

    /// As transformers finds it: in `rope_scaling` if that says something, else in `rope_parameters`,
    /// else at top level.
    fn rope_theta(&self, warnings: &mut Vec<String>) -> Result<f64> {
        let outer = self.positive_in(self.json, "rope_theta", "rope_theta")?;
        let mut inner = None;
        for key in ["rope_scaling", "rope_parameters"] {
            let parameters = match self.get(key) {
                None => continue,
                Some(Value::Object(parameters)) if parameters.is_empty() => continue,
                Some(Value::Object(parameters)) => parameters,
                Some(value) => return Err(self.error(key, format!("is {value}, not an object"))),
            };
            self.expect_no_scaling(parameters, key)?;
            inner = self.positive_in(parameters, "rope_theta", &format!("{key}.rope_theta"))?;
            if let (Some(outer), Some(inner)) = (outer, inner.filter(|inner| outer != Some(*inner)))
            {
                warnings.push(format!(
                    "`rope_theta` is {outer}, but {key}.rope_theta, {inner}, takes precedence"
                ));
            }
            break;
        }
        Ok(inner.or(outer).unwrap_or(10_000.0))
    }

    /// Linear scaling by 1 is none either.
    fn expect_no_scaling(&self, parameters: &Map<String, Value>, path: &str) -> Result<()> {
        let kind =
            ["rope_type", "type"].into_iter().find_map(|key| Some((key, parameters.get(key)?)));
        let by_one = || parameters.get("factor").and_then(Value::as_f64) == Some(1.0);
        match kind {
            Some((_, kind)) if kind == "linear" && by_one() => Ok(()),
            Some((key, kind)) if kind != "default" => {
                let problem = format!(
                    "is {kind}, but OLMo 2 uses only default: it does not scale its angles"
                );
                Err(self.error(&format!("{path}.{key}"), problem))
            }
            _ => Ok(()),
        }
    }

    /// `dtype`, or else `torch_dtype`, its older name.
    fn dtype(&self) -> Result<Option<DType>> {
        let key = if self.get("dtype").is_some() { "dtype" } else { "torch_dtype" };
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_str().and_then(DType::parse).map(Some).ok_or_else(|| {
            self.error(key, format!("is {value}, but float32, float16 or bfloat16 is needed"))
        })
    }

    /// One id or a list of them, as far as they are inside the vocabulary. Others can never come out of
    /// the model: -1 and the like stand for none.
    fn token_ids(
        &self,
        key: &str,
        default: u32,
        vocab_size: usize,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<u32>> {
        let inside = |id: &u32| (*id as usize) < vocab_size;
        let value = match self.json.get(key) {
            None => return Ok(Some(default).filter(inside).into_iter().collect()),
            Some(Value::Null) => return Ok(Vec::new()),
            Some(value) => value,
        };
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        if !values.iter().all(|id| id.is_i64() || id.is_u64()) {
            return Err(self.error(key, format!("is {value}, but token ids are needed")));
        }
        let ids = values.iter().filter_map(|id| u32::try_from(id.as_u64()?).ok()).filter(inside);
        let ids: Vec<u32> = ids.collect();
        // A number below 0 is a common way to say none.
        if ids.len() < values.iter().filter(|id| id.as_i64().is_none_or(|id| id >= 0)).count() {
            let most = vocab_size - 1;
            warnings.push(format!(
                "`{key}` is {value}; ids above {most} are no tokens and count for nothing"
            ));
        }
        Ok(ids)
    }
}
