//! `generation_config.json`: what the makers of a checkpoint suggest.

use std::path::Path;

use serde_json::{Map, Value};

use super::GenerationOptions;
use crate::config::{token_ids, ModelConfig};
use crate::files;
use crate::{Error, Result};

/// A checkpoint's own defaults; what it does not say is None or empty.
///
/// Keys that are not listed, `max_length` among them, have no say here.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GenerationDefaults {
    pub max_new_tokens: Option<usize>,
    pub min_new_tokens: Option<usize>,
    pub do_sample: Option<bool>,
    pub temperature: Option<f64>,
    pub top_k: Option<usize>,
    pub top_p: Option<f64>,
    pub min_p: Option<f64>,
    pub typical_p: Option<f64>,
    pub repetition_penalty: Option<f64>,
    pub no_repeat_ngram_size: Option<usize>,
    pub bad_words_ids: Vec<Vec<u32>>,
    /// The tokens that end a text: `eos_token_id` here, else that of `config.json`.
    pub eos_token_ids: Vec<u32>,
    /// The token that fills short rows up: `pad_token_id` here, else that of `config.json`.
    pub pad_token_id: Option<u32>,
    pub bos_token_id: Option<u32>,
    pub stop_strings: Vec<String>,
}

impl GenerationDefaults {
    /// Reads `generation_config.json` in a checkpoint folder. Without the file, only the ids of
    /// `config` are known.
    pub fn from_dir(dir: &Path, config: &ModelConfig) -> Result<GenerationDefaults> {
        let file = dir.join("generation_config.json");
        let text = files::read_if_there(&file, files::MOST_CONFIG)?;
        let text = text.map_or(Ok("{}".to_owned()), |text| files::text(&file, text))?;
        GenerationDefaults::from_json(&text, &file, config)
    }

    /// Reads the text of a `generation_config.json`; `file` is for error messages.
    ///
    /// Errors with [`Error::InvalidConfig`] on a value of another kind than its option's, and on
    /// one that [`GenerationOptions::validate`] refuses.
    pub fn from_json(text: &str, file: &Path, config: &ModelConfig) -> Result<GenerationDefaults> {
        let json: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| Error::InvalidFile {
                file: file.to_owned(),
                problem: format!("this is not a JSON object: {error}"),
            })?;
        let keys = Keys { json: &json, file, vocab_size: config.vocab_size };
        let or_config = |ids: Vec<u32>, others: &[u32]| match ids.is_empty() {
            true => others.to_vec(),
            false => ids,
        };
        let defaults = GenerationDefaults {
            max_new_tokens: keys.count("max_new_tokens")?,
            min_new_tokens: keys.count("min_new_tokens")?,
            do_sample: keys.read("do_sample", "true or false", Value::as_bool)?,
            temperature: keys.number("temperature")?,
            top_k: keys.count("top_k")?,
            top_p: keys.number("top_p")?,
            min_p: keys.number("min_p")?,
            typical_p: keys.number("typical_p")?,
            repetition_penalty: keys.number("repetition_penalty")?,
            no_repeat_ngram_size: keys.count("no_repeat_ngram_size")?,
            bad_words_ids: keys.bad_words_ids()?,
            eos_token_ids: or_config(keys.ids("eos_token_id")?, &config.eos_token_ids),
            pad_token_id: keys.ids("pad_token_id")?.first().copied().or(config.pad_token_id),
            bos_token_id: keys.ids("bos_token_id")?.first().copied(),
            stop_strings: keys.stop_strings()?,
        };
        match GenerationOptions::from_defaults(&defaults).validate(config.vocab_size) {
            Err(Error::InvalidOption { option, value, expected }) => {
                Err(keys.error(option, format!("is {value}, but {expected}")))
            }
            other => other.map(|()| defaults),
        }
    }
}

/// Typed access to the keys of the file, with errors that name the key.
struct Keys<'a> {
    json: &'a Map<String, Value>,
    file: &'a Path,
    vocab_size: usize,
}

impl Keys<'_> {
    fn error(&self, key: &str, problem: String) -> Error {
        Error::InvalidConfig { file: self.file.to_owned(), key: key.to_owned(), problem }
    }

    /// The value as `get` gives it; JSON's `null` is the same as an absent key.
    fn read<T>(
        &self,
        key: &str,
        expected: &str,
        get: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>> {
        match self.json.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match get(value) {
                Some(value) => Ok(Some(value)),
                None => Err(self.error(key, format!("is {value}, but must be {expected}"))),
            },
        }
    }

    fn number(&self, key: &str) -> Result<Option<f64>> {
        self.read(key, "a number", Value::as_f64)
    }

    fn count(&self, key: &str) -> Result<Option<usize>> {
        let get = |value: &Value| usize::try_from(value.as_u64()?).ok();
        self.read(key, "a whole number, 0 or more", get)
    }

    /// One id or a list of them.
    fn ids(&self, key: &str) -> Result<Vec<u32>> {
        let get = |value: &Value| token_ids(Some(value), self.vocab_size);
        let expected = format!("a token id from 0 to {}, or a list of them", self.vocab_size - 1);
        Ok(self.read(key, &expected, get)?.unwrap_or_default())
    }

    fn bad_words_ids(&self) -> Result<Vec<Vec<u32>>> {
        let word = |value: &Value| value.as_array().and(token_ids(Some(value), self.vocab_size));
        let get = |value: &Value| value.as_array()?.iter().map(word).collect();
        let expected = format!("a list of lists of token ids from 0 to {}", self.vocab_size - 1);
        Ok(self.read("bad_words_ids", &expected, get)?.unwrap_or_default())
    }

    /// One text or a list of them.
    fn stop_strings(&self) -> Result<Vec<String>> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let get = |value: &Value| match value {
            Value::Array(values) => values.iter().map(text).collect(),
            value => Some(vec![text(value)?]),
        };
        Ok(self.read("stop_strings", "a text or a list of texts", get)?.unwrap_or_default())
    }
}
