//! From a Hugging Face folder to the metadata of a GGUF file, as llama.cpp's converter writes it.
//!
//! Source: `conversion/base.py` of llama.cpp; `vocab.py` and `metadata.py` of the package gguf 0.19.0.
//! What those guess from a model's name and card (its version, its base models, tags) is left out.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};

use super::vocabulary::{self, Words};
use super::{config, generation, Array, Metadata, Value};
use crate::config::{read_required, ModelConfig};
use crate::files;
use crate::sampling::GenerationDefaults;
use crate::tokenizer::{GPT4_WORDS, MOST_BYTES};
use crate::weights::license;
use crate::{Error, Result};

const GENERATION_CONFIG: &str = "generation_config.json";

/// Version of the block formats.
const QUANTIZATION_VERSION: u32 = 2;

/// The metadata of a checkpoint folder's GGUF file.
///
/// `file_type` says what most tensors are: 0 is f32, 1 f16, 2 q4_0, 7 q8_0, 15 q4_k_m, 17 q5_k_m,
/// 18 q6_k, 32 bf16 (`llama_ftype` in `llama.h`).
///
/// Errors with [`Error::InvalidFile`] if its tokenizer is none that llama.cpp could use.
pub fn metadata(dir: &Path, file_type: u32) -> Result<Metadata> {
    let config = ModelConfig::from_dir(dir)?;
    let mut metadata = Metadata::default();
    let text = |text: &str| Value::String(text.to_owned());
    metadata.set(config::ARCHITECTURE_KEY, text(config::ARCHITECTURE));
    metadata.set("general.type", text("model"));
    let defaults = GenerationDefaults::from_dir(dir, &config)?;
    generation::write_sampling(&mut metadata, &read_optional(&dir.join(GENERATION_CONFIG))?);
    metadata.set("general.name", Value::String(name(dir)));
    metadata.set("general.size_label", Value::String(size_label(config.num_params())));
    if let Some(license) = license(dir) {
        metadata.set("general.license", Value::String(license));
    }
    config::write(&mut metadata, &config);
    metadata.set("general.file_type", Value::U32(file_type));
    metadata.set("general.quantization_version", Value::U32(QUANTIZATION_VERSION));
    tokenizer(&mut metadata, dir, &config)?;
    generation::write_rest(&mut metadata, &defaults);
    Ok(metadata)
}

/// Lays a `generation_config.json` in a GGUF file's folder, if there is one, over the metadata of the file;
/// `defaults` are what a load makes of both.
pub(crate) fn lay_over(
    metadata: &mut Metadata,
    dir: &Path,
    defaults: &GenerationDefaults,
) -> Result<()> {
    let file = dir.join(GENERATION_CONFIG);
    if file.is_file() {
        generation::remove(metadata);
        generation::write_sampling(metadata, &read_optional(&file)?);
        generation::write_rest(metadata, defaults);
    }
    Ok(())
}

/// The folder's name in words that begin with capitals. In the hub's cache, where a folder is called
/// after its commit, it is the repository's.
fn name(dir: &Path) -> String {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let file_name = |path: &Path| Some(path.file_name()?.to_string_lossy().into_owned());
    let repository = || {
        let snapshots = dir.parent().filter(|parent| parent.ends_with("snapshots"))?;
        let repository = file_name(snapshots.parent()?)?;
        Some(repository.strip_prefix("models--")?.rsplit("--").next()?.to_owned())
    };
    let name = repository().or_else(|| file_name(&dir)).unwrap_or_default();
    let words = name.split(['-', ' ']).filter(|word| !word.is_empty());
    words.map(title).collect::<Vec<_>>().join(" ")
}

/// A word with a capital, unless it has one or is a number or a version.
fn title(word: &str) -> String {
    let is_version = word.strip_prefix('v').unwrap_or(word).starts_with(|c: char| c.is_numeric());
    if is_version || word.chars().any(char::is_uppercase) {
        return word.to_owned();
    }
    let mut after_letter = false;
    let raise = |c: char| {
        let raised = if after_letter { c } else { c.to_ascii_uppercase() };
        after_letter = c.is_alphabetic();
        raised
    };
    word.chars().map(raise).collect()
}

/// `1.5B`, `13B`, `190M`, `71K`: two digits at least.
fn size_label(params: u64) -> String {
    let (unit, suffix) = match params {
        1_000_000_000_001.. => (1e12, "T"),
        1_000_000_001.. => (1e9, "B"),
        1_000_001.. => (1e6, "M"),
        _ => (1e3, "K"),
    };
    let size = params as f64 / unit;
    let digits = format!("{}", size.round_ties_even()).trim_start_matches('0').len();
    format!("{size:.*}{suffix}", 2usize.saturating_sub(digits))
}

fn tokenizer(metadata: &mut Metadata, dir: &Path, config: &ModelConfig) -> Result<()> {
    let (file, json) = read_required(dir, "tokenizer.json", MOST_BYTES)?;
    let invalid = |problem: String| Error::InvalidFile { file: file.clone(), problem };
    crate::tokenizer::file::check(&json).map_err(&invalid)?;
    let json: Json = serde_json::from_slice(&json)
        .map_err(|error| invalid(format!("this is not a tokenizer: {error}")))?;
    let parts = Parts { json: &json };
    let pre = parts.pre().ok_or_else(|| {
        invalid("it is not a byte-level BPE that splits words as GPT-2 or GPT-4 do, so llama.cpp has no name for it".into())
    })?;
    let added = parts.added();
    let tokens = parts.tokens(config.vocab_size, &added).map_err(&invalid)?;

    metadata.set(vocabulary::MODEL, Value::String(vocabulary::BPE_MODEL.into()));
    metadata.set(vocabulary::PRE, Value::String(pre.into()));
    let texts = Array::of_strings(tokens.iter().map(|(text, _)| text));
    metadata.set(vocabulary::TOKENS, Value::Array(texts));
    let types = Array::of_i32s(tokens.iter().map(|(_, kind)| *kind));
    metadata.set(vocabulary::TOKEN_TYPES, Value::Array(types));
    let merges = parts.merges().ok_or_else(|| invalid("its merges are no pairs".into()))?;
    metadata.set(vocabulary::MERGES, Value::Array(Array::of_strings(merges)));

    let settings = read_optional(&dir.join("tokenizer_config.json"))?;
    let config = read_optional(&dir.join("config.json"))?;
    special_tokens(metadata, &added, &settings, &config, tokens.len());
    for part in ["bos", "eos"] {
        let key = format!("add_{part}_token");
        let flag = settings.get(&key).and_then(Json::as_bool);
        if let Some(flag) = flag.or_else(|| parts.adds(part, &settings)) {
            metadata.set(&format!("tokenizer.ggml.{key}"), Value::Bool(flag));
        }
    }
    chat_templates(metadata, dir, &settings)
}

/// A token that is found in a text before words are split.
struct Added {
    id: u64,
    text: String,
    is_special: bool,
}

/// The parts of a `tokenizer.json`.
struct Parts<'a> {
    json: &'a Json,
}

impl Parts<'_> {
    /// llama.cpp's name for how words are split.
    fn pre(&self) -> Option<&'static str> {
        let model = &self.json["model"];
        if model["type"] != "BPE" || !self.json["normalizer"].is_null() {
            return None;
        }
        let ignore_merges = model["ignore_merges"].as_bool().unwrap_or(false);
        let words = match self.json["pre_tokenizer"]["type"].as_str()? {
            "ByteLevel" => {
                let splits = self.json["pre_tokenizer"]["use_regex"].as_bool().unwrap_or(true);
                (splits && !ignore_merges).then_some(Words::Gpt2)?
            }
            "Sequence" => {
                let parts = self.json["pre_tokenizer"]["pretokenizers"].as_array()?;
                let [split, bytes] = parts.as_slice() else { return None };
                let is_known = split["pattern"]["Regex"] == GPT4_WORDS
                    && bytes["type"] == "ByteLevel"
                    && bytes["use_regex"] == false
                    && bytes["add_prefix_space"] == false;
                is_known.then_some(Words::Gpt4 { ignore_merges })?
            }
            _ => return None,
        };
        let (name, _) = vocabulary::WORDS.iter().find(|(_, known)| *known == words)?;
        Some(name)
    }

    fn added(&self) -> Vec<Added> {
        let tokens = self.json["added_tokens"].as_array().into_iter().flatten();
        let added = |token: &Json| {
            Some(Added {
                id: token["id"].as_u64()?,
                text: token["content"].as_str()?.to_owned(),
                is_special: token["special"].as_bool().unwrap_or(false),
            })
        };
        tokens.filter_map(added).collect()
    }

    /// Text and kind of every id below `vocab_size`.
    fn tokens(&self, vocab_size: usize, added: &[Added]) -> Result<Vec<(String, i32)>, String> {
        let filler = |id| (format!("[PAD{id}]"), vocabulary::UNUSED);
        let mut tokens: Vec<(String, i32)> = (0..vocab_size).map(filler).collect();
        let mut put = |id: Option<u64>, text: &str, kind: i32| {
            let place = id.and_then(|id| tokens.get_mut(usize::try_from(id).ok()?));
            let place = place.ok_or_else(|| {
                format!("the id of its token {text:?} is not below vocab_size in config.json, {vocab_size}")
            })?;
            *place = (text.to_owned(), kind);
            Ok::<(), String>(())
        };
        let vocab =
            self.json["model"]["vocab"].as_object().ok_or("its vocabulary is not an object")?;
        for (text, id) in vocab {
            put(id.as_u64(), text, vocabulary::NORMAL)?;
        }
        for Added { id, text, is_special } in added {
            let looks_special = text.starts_with("<|") && text.ends_with("|>");
            let kind = match *is_special || looks_special {
                true => vocabulary::CONTROL,
                false => vocabulary::USER_DEFINED,
            };
            put(Some(*id), text, kind)?;
        }
        Ok(tokens)
    }

    /// Each merge as two tokens with a blank between them, whichever way the file has them.
    fn merges(&self) -> Option<Vec<String>> {
        let merge = |merge: &Json| match merge {
            Json::String(pair) => Some(pair.clone()),
            pair => Some(format!("{} {}", pair.get(0)?.as_str()?, pair.get(1)?.as_str()?)),
        };
        self.json["model"]["merges"].as_array()?.iter().map(merge).collect()
    }

    /// Whether a template puts the first (`bos`) or last (`eos`) token around each text.
    fn adds(&self, part: &str, settings: &Map<String, Json>) -> Option<bool> {
        let processor = &self.json["post_processor"];
        let several = processor["processors"].as_array().map(Vec::as_slice);
        let template = several
            .unwrap_or(std::slice::from_ref(processor))
            .iter()
            .find(|processor| processor["type"] == "TemplateProcessing")?;
        let pieces = template["single"].as_array().filter(|pieces| pieces.len() > 1)?;
        let piece = if part == "bos" { pieces.first() } else { pieces.last() }?;
        let text = piece["SpecialToken"]["id"].as_str()?;
        Some(content(settings.get(&format!("{part}_token"))) == Some(text))
    }
}

/// Adds the ids of the tokens that have a task: by their texts in `tokenizer_config.json`, or else
/// from `config.json`.
fn special_tokens(
    metadata: &mut Metadata,
    added: &[Added],
    settings: &Map<String, Json>,
    config: &Map<String, Json>,
    vocab_size: usize,
) {
    let tasks = [
        ("bos", "bos"),
        ("eos", "eos"),
        ("unk", "unknown"),
        ("sep", "seperator"), // as llama.cpp spells it
        ("pad", "padding"),
        ("mask", "mask"),
    ];
    let by_text = |task: &str| {
        let text = content(settings.get(&format!("{task}_token")))?;
        added.iter().find(|token| token.text == text).map(|token| token.id)
    };
    let by_id = |task: &str| config.get(&format!("{task}_token_id"))?.as_u64();
    // First all of the one file, then what is missing from the other.
    for find in [&by_text as &dyn Fn(&str) -> Option<u64>, &by_id] {
        for (task, name) in tasks {
            let key = format!("tokenizer.ggml.{name}_token_id");
            let id = find(task).filter(|&id| id < vocab_size as u64);
            if let Some(id) = id.filter(|_| !metadata.contains(&key)) {
                metadata.set(&key, Value::U32(id as u32));
            }
        }
    }
}

/// A token in `tokenizer_config.json`: a text, or an object with it in `content`.
fn content(token: Option<&Json>) -> Option<&str> {
    match token? {
        Json::String(text) => Some(text),
        token => token["content"].as_str(),
    }
}

/// Adds a folder's chat templates, by their names. As in transformers `chat_template.jinja` and the folder
/// beside it go before `chat_template` in `tokenizer_config.json`.
fn chat_templates(metadata: &mut Metadata, dir: &Path, settings: &Map<String, Json>) -> Result<()> {
    let mut templates = template_files(dir)?;
    if templates.is_empty() {
        templates = match settings.get("chat_template") {
            Some(Json::String(template)) => vec![(vocabulary::DEFAULT.into(), template.clone())],
            Some(Json::Array(several)) => several.iter().filter_map(named).collect(),
            _ => Vec::new(),
        };
    }
    let names: Vec<String> = templates.iter().map(|(name, _)| name.clone()).collect();
    for (name, template) in templates {
        metadata.set(&vocabulary::template_key(&name), Value::String(template));
    }
    let others = names.into_iter().filter(|name| name != vocabulary::DEFAULT);
    let others = Array::of_strings(others);
    if !others.is_empty() {
        metadata.set(vocabulary::CHAT_TEMPLATES, Value::Array(others));
    }
    Ok(())
}

/// The templates that are files of their own: `chat_template.jinja` and `additional_chat_templates/*.jinja`.
pub(crate) fn template_files(dir: &Path) -> Result<Vec<(String, String)>> {
    let mut files = vec![(vocabulary::DEFAULT.to_owned(), dir.join("chat_template.jinja"))];
    let entries = std::fs::read_dir(dir.join("additional_chat_templates"));
    let mut others: Vec<PathBuf> =
        entries.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    others.sort();
    for file in others.into_iter().filter(|file| file.extension().is_some_and(|end| end == "jinja"))
    {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        files.push((name, file));
    }
    let mut templates = Vec::new();
    for (name, file) in files {
        if let Some(template) = files::read_if_there(&file, files::MOST_CONFIG)? {
            templates.push((name, files::text(&file, template)?));
        }
    }
    Ok(templates)
}

/// One of a list of templates.
fn named(template: &Json) -> Option<(String, String)> {
    Some((template["name"].as_str()?.into(), template["template"].as_str()?.into()))
}

/// A JSON object in a file; an empty one if there is no such file.
fn read_optional(file: &Path) -> Result<Map<String, Json>> {
    let Some(json) = files::read_if_there(file, files::MOST_CONFIG)? else { return Ok(Map::new()) };
    let json = files::text(file, json)?;
    serde_json::from_str(&json).map_err(|error| Error::InvalidFile {
        file: file.to_owned(),
        problem: format!("this is not a JSON object: {error}"),
    })
}
