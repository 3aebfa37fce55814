//! Golden data in JSON. See `golden/README.md` for what the files hold.

use std::sync::Arc;

use olmo_core::config::ModelConfig;
use olmo_core::sampling::{GenerationDefaults, GenerationOptions};
use olmo_core::tokenizer::Tokenizer;
use serde_json::{Map, Value};

use super::golden;

pub fn json(name: &str) -> Value {
    let file = golden(name);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_json::from_str(&text).unwrap()
}

pub fn list<'a>(json: &'a Value, key: &str) -> &'a [Value] {
    json[key].as_array().unwrap_or_else(|| panic!("no list `{key}` in {json}"))
}

pub fn text<'a>(json: &'a Value, key: &str) -> &'a str {
    json[key].as_str().unwrap_or_else(|| panic!("no text `{key}` in {json}"))
}

pub fn ids(json: &Value) -> Vec<u32> {
    let id = |id: &Value| u32::try_from(id.as_u64().unwrap()).unwrap();
    match json {
        Value::Array(values) => values.iter().map(id).collect(),
        value => vec![id(value)],
    }
}

pub fn tokenizer(folder: &str) -> Arc<Tokenizer> {
    Arc::new(Tokenizer::from_dir(&golden(folder)).unwrap())
}

/// A configuration with this vocabulary; its end token is the last id.
pub fn config(vocab_size: usize) -> ModelConfig {
    let mut config = json("tiny-mha-f32/config.json");
    config["vocab_size"] = vocab_size.into();
    config["eos_token_id"] = (vocab_size - 1).into();
    config["pad_token_id"] = 0.into();
    ModelConfig::from_json(&config.to_string(), "config.json".as_ref()).unwrap()
}

/// What a `generation_config.json` with this content says of a model with 40 ids.
pub fn generation_defaults(json: &Value) -> olmo_core::Result<GenerationDefaults> {
    let file = "there/generation_config.json".as_ref();
    GenerationDefaults::from_json(&json.to_string(), file, &config(40))
}

/// The options of a golden case, which are spelled as in `generation_config.json`; those it does
/// not name do nothing.
pub fn options(json: &Map<String, Value>, vocab_size: usize) -> GenerationOptions {
    // Without `do_sample` what needs it is not read; whether a token is drawn stays as the case says.
    let do_sample = json.get("do_sample").and_then(Value::as_bool).unwrap_or_default();
    let mut json = json.clone();
    json.insert("do_sample".into(), true.into());
    let text = serde_json::to_string(&json).unwrap();
    let file = "golden options".as_ref();
    let defaults = GenerationDefaults::from_json(&text, file, &config(vocab_size)).unwrap();
    let off = GenerationOptions { top_k: 0, ..GenerationOptions::from_defaults(&defaults) };
    GenerationOptions { do_sample, top_k: defaults.options.top_k.unwrap_or(off.top_k), ..off }
}
