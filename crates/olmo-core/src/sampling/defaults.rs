//! `generation_config.json`: a checkpoint's suggested defaults.

use std::path::Path;

use serde_json::{Map, Value};

use super::entry::{End, Kind, OptionEntry, OptionValue};
use super::options::{GenerationOptions, PartialOptions, OPTIONS};
use crate::config::ModelConfig;
use crate::files;
use crate::{Error, Result};

/// The source of an option's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The table of options.
    Default,
    GenerationConfig,
    Config,
    Gguf,
}

impl Source {
    pub fn name(self) -> &'static str {
        match self {
            Source::Default => "default",
            Source::GenerationConfig => "generation_config.json",
            Source::Config => "config.json",
            Source::Gguf => "GGUF",
        }
    }
}

/// A checkpoint's own defaults.
///
/// Keys outside the table of options, such as `max_length`, are ignored.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GenerationDefaults {
    /// The options that the checkpoint sets. `eos_token_id` is the file's, else that of `config.json`.
    pub options: PartialOptions,
    /// The source of each option that is set.
    pub sources: Vec<(&'static str, Source)>,
    /// The token that pads short rows: `pad_token_id` here, else that of `config.json`.
    pub pad_token_id: Option<u32>,
    pub bos_token_id: Option<u32>,
    /// Harmless impossible values in the file, one per line.
    pub warnings: Vec<String>,
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
    /// An invalid value that would take effect, of another kind than its option's or out of range, fails
    /// with [`Error::InvalidConfig`]. An invalid value without effect, such as a temperature beside
    /// `do_sample: false`, is a warning, as are ids that the model lacks. transformers 5.24 also generates
    /// with such a checkpoint.
    pub fn from_json(text: &str, file: &Path, config: &ModelConfig) -> Result<GenerationDefaults> {
        let json: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| Error::InvalidFile {
                file: file.to_owned(),
                problem: format!("this is not a JSON object: {error}"),
            })?;
        let mut reader = Reader { json: &json, file, config, found: Default::default() };
        reader.read_options()?;
        reader.read_ids();
        Ok(reader.found)
    }

    /// Attributes the options to a GGUF file.
    pub fn in_gguf(mut self) -> GenerationDefaults {
        for (_, source) in &mut self.sources {
            *source = Source::Gguf;
        }
        self
    }

    /// The same, where the ids of `config` came from a GGUF file.
    pub fn beside_gguf(mut self) -> GenerationDefaults {
        let config = self.sources.iter_mut().filter(|(_, source)| *source == Source::Config);
        config.for_each(|(_, source)| *source = Source::Gguf);
        self
    }

    /// Every option with its default and the default's source.
    pub fn in_force(&self) -> Vec<(&'static OptionEntry, OptionValue, Source)> {
        let source = |name: &str| {
            let known = self.sources.iter().find(|(option, _)| *option == name);
            known.map_or(Source::Default, |(_, source)| *source)
        };
        let values = GenerationOptions::from_defaults(self).values();
        values.into_iter().map(|(entry, value)| (entry, value, source(entry.name))).collect()
    }
}

/// Why a value is rejected.
struct Problem(String);

struct Reader<'a> {
    json: &'a Map<String, Value>,
    file: &'a Path,
    config: &'a ModelConfig,
    found: GenerationDefaults,
}

impl Reader<'_> {
    fn read_options(&mut self) -> Result<()> {
        let flags = |entry: &&OptionEntry| entry.kind == Kind::Flag;
        let others = |entry: &&OptionEntry| entry.kind != Kind::Flag;
        // Flags come first, because they decide whether the others have an effect.
        for entry in OPTIONS.iter().filter(flags).chain(OPTIONS.iter().filter(others)) {
            let Some(value) = self.json.get(entry.name).filter(|_| entry.in_config) else {
                continue;
            };
            if value.is_null() {
                continue;
            }
            if let Err(Problem(problem)) = self.read_option(entry, value) {
                self.found.options.unset(entry.name);
                if self.is_in_use(entry) {
                    let (file, key) = (self.file.to_owned(), entry.name.to_owned());
                    return Err(Error::InvalidConfig { file, key, problem });
                }
                self.warn(entry.name, &problem);
            }
        }
        Ok(())
    }

    fn is_in_use(&self, entry: &OptionEntry) -> bool {
        let is_on = |flag| self.found.options.get(flag) == Some(OptionValue::Flag(true));
        entry.needs.is_none_or(is_on)
    }

    fn read_option(&mut self, entry: &'static OptionEntry, value: &Value) -> Result<(), Problem> {
        if let (Some(flag), Some(0.0)) = (entry.instead_of_zero, value.as_f64()) {
            if self.is_in_use(entry) {
                // The limit of ever smaller temperatures, and its meaning in other engines.
                self.warn(entry.name, "is 0, so the likeliest token is taken each time");
                self.found.options.set(flag, OptionValue::Flag(false));
                return Ok(());
            }
        }
        let value = self.value(entry, value)?;
        self.found.options.set(entry.name, value);
        match self.found.options.check(&entry.in_files(), self.config.vocab_size) {
            Err(Error::InvalidOption { value, expected, .. }) => {
                Err(Problem(format!("is {value}, but {expected}")))
            }
            _ => {
                self.found.sources.push((entry.name, Source::GenerationConfig));
                Ok(())
            }
        }
    }

    fn value(&mut self, entry: &OptionEntry, value: &Value) -> Result<OptionValue, Problem> {
        let vocab_size = self.config.vocab_size;
        let last = vocab_size - 1;
        let (read, expected) = match entry.kind {
            Kind::Flag => (value.as_bool().map(OptionValue::Flag), "true or false".to_owned()),
            Kind::Count => (count(entry, value), "a whole number, 0 or more".to_owned()),
            Kind::Number => (number(entry, value), "a number".to_owned()),
            Kind::Seed => (value.as_u64().map(OptionValue::Seed), "a whole number".to_owned()),
            Kind::Ids => {
                let read = integers(value).map(|ids| OptionValue::Ids(self.known(entry, &ids)));
                (read, format!("a token id from 0 to {last}, or a list of them"))
            }
            Kind::IdLists => {
                let read = self.words(entry, value).map(OptionValue::IdLists);
                (read, format!("a list of lists of token ids from 0 to {last}"))
            }
            Kind::Texts => {
                let read = self.texts(entry, value).map(OptionValue::Texts);
                (read, "a text or a list of texts".to_owned())
            }
            Kind::Biases | Kind::Text | Kind::Schema => (None, "set by the caller".to_owned()),
        };
        read.ok_or_else(|| Problem(format!("is {value}, but must be {expected}")))
    }

    /// Keeps the ids that the model has; other ids can never be generated, so settings for them have no
    /// effect.
    fn known(&mut self, entry: &OptionEntry, ids: &[i64]) -> Vec<u32> {
        let vocab_size = self.config.vocab_size;
        let is_known = |&&id: &&i64| usize::try_from(id).is_ok_and(|id| id < vocab_size);
        for id in ids.iter().filter(|id| !is_known(id)) {
            self.warn(
                entry.name,
                &format!("has {id}, but the model's ids go to {}", vocab_size - 1),
            );
        }
        ids.iter().filter(is_known).map(|&id| id as u32).collect()
    }

    fn words(&mut self, entry: &OptionEntry, value: &Value) -> Option<Vec<Vec<u32>>> {
        let vocab_size = self.config.vocab_size as u64;
        let id = |id: &Value| id.as_u64().filter(|&id| id < vocab_size).map(|id| id as u32);
        let word = |word: &Value| word.as_array()?.iter().map(id).collect();
        let words: Vec<Vec<u32>> = value.as_array()?.iter().map(word).collect::<Option<_>>()?;
        if words.iter().any(Vec::is_empty) {
            self.warn(entry.name, "has an empty sequence, which forbids nothing");
        }
        Some(words.into_iter().filter(|word| !word.is_empty()).collect())
    }

    fn texts(&mut self, entry: &OptionEntry, value: &Value) -> Option<Vec<String>> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let texts: Vec<String> = match value {
            Value::Array(values) => values.iter().map(text).collect::<Option<_>>()?,
            value => vec![text(value)?],
        };
        if texts.iter().any(String::is_empty) {
            self.warn(entry.name, "has an empty text, which ends nothing");
        }
        Some(texts.into_iter().filter(|text| !text.is_empty()).collect())
    }

    /// The ids beside the options, which tell nothing if they cannot be.
    fn read_ids(&mut self) {
        let config = self.config;
        if self.json.get("eos_token_id").is_none_or(Value::is_null) {
            let ids = config.eos_token_ids.clone();
            if !ids.is_empty() {
                self.found.sources.push(("eos_token_id", Source::Config));
            }
            self.found.options.eos_token_ids = Some(ids);
        }
        let id = |key: &str| {
            let id = self.json.get(key)?.as_u64().filter(|&id| id < config.vocab_size as u64)?;
            Some(id as u32)
        };
        let (pad, bos) = (id("pad_token_id"), id("bos_token_id"));
        self.found.pad_token_id = pad.or(config.pad_token_id);
        self.found.bos_token_id = bos;
    }

    fn warn(&mut self, key: &str, problem: &str) {
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        self.found.warnings.push(format!("{name}: `{key}` {problem}"));
    }
}

fn count(entry: &OptionEntry, value: &Value) -> Option<OptionValue> {
    let least = value.as_i64().filter(|&n| n < 0 && entry.clamped == Some(End::Zero)).map(|_| 0);
    let count = least.or_else(|| usize::try_from(value.as_u64()?).ok())?;
    Some(OptionValue::Count(count))
}

fn number(entry: &OptionEntry, value: &Value) -> Option<OptionValue> {
    let number = value.as_f64()?;
    Some(OptionValue::Number(match entry.clamped {
        Some(End::One) => number.min(1.0),
        _ => number,
    }))
}

/// One whole number or a list of them.
fn integers(value: &Value) -> Option<Vec<i64>> {
    match value {
        Value::Array(values) => values.iter().map(Value::as_i64).collect(),
        value => Some(vec![value.as_i64()?]),
    }
}
