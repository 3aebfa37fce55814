//! What ends an answer and how it is drawn, in metadata and back.
//!
//! llama.cpp has keys for some of it. The rest of a checkpoint's `generation_config.json` goes into a
//! key of ours, [`OWN`], so that a file answers as the folder it was made from.

use serde_json::{Map, Value as Json};

use super::{vocabulary, Metadata, Value};
use crate::sampling::{GenerationDefaults, Kind, OptionEntry, OptionValue, OPTIONS};

/// What llama.cpp has no key for, or would understand otherwise: JSON with the keys of
/// `generation_config.json`. It takes precedence over the other keys.
pub(super) const OWN: &str = "olmo2.generation_config";

const EOS_ID: &str = "tokenizer.ggml.eos_token_id";
const EOT_ID: &str = "tokenizer.ggml.eot_token_id";
const EOM_ID: &str = "tokenizer.ggml.eom_token_id";

/// The keys of tokens that end an answer, a turn and a message.
pub(super) const END_IDS: [&str; 3] = [EOS_ID, EOT_ID, EOM_ID];

/// Tokens that end an answer wherever they are in a vocabulary, whatever the keys say.
///
/// Source: `special_eog_ids` in `llama-vocab.cpp` of llama.cpp. Those that other models' protocols have are
/// left out.
const END_TEXTS: [&str; 14] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
];

/// Adds the sampling options that llama.cpp knows, out of a `generation_config.json`.
pub(super) fn write_sampling(metadata: &mut Metadata, generation: &Map<String, Json>) {
    for entry in OPTIONS {
        let (Some(key), Some(value)) = (entry.gguf, generation.get(entry.name)) else { continue };
        let value = match entry.kind {
            Kind::Count => value.as_i64().map(|k| Value::I32(k as i32)),
            _ => value.as_f64().map(|x| Value::F32(x as f32)),
        };
        if let Some(value) = value {
            metadata.set(key, value);
        }
    }
}

/// Adds the ends, and what the keys so far do not say of a checkpoint's defaults.
pub(super) fn write_rest(metadata: &mut Metadata, defaults: &GenerationDefaults) {
    let ends = defaults.options.eos_token_ids.clone().unwrap_or_default();
    let known = END_IDS.map(|key| metadata.get(key).and_then(Value::as_u64));
    let mut unsaid = ends.iter().filter(|&&id| !known.contains(&Some(id.into())));
    for key in END_IDS {
        if metadata.contains(key) {
            continue;
        }
        let Some(&id) = unsaid.next() else { break };
        metadata.set(key, Value::U32(id));
    }
    let said = standard(metadata);
    let mut rest = wanted(defaults);
    rest.retain(|key, value| !is_said(&said, key, value));
    if !rest.is_empty() {
        metadata.set(OWN, Value::String(Json::Object(rest).to_string()));
    }
}

/// Removes what [`write_sampling`] adds and what [`write_rest`] has in a key of its own. The ends that other
/// engines read stay.
pub(super) fn remove(metadata: &mut Metadata) {
    for key in OPTIONS.iter().filter_map(|entry| entry.gguf).chain([OWN]) {
        metadata.remove(key);
    }
}

/// What the makers suggest, as `generation_config.json` would say it.
///
/// Errors with what is wrong with [`OWN`].
pub(super) fn read(metadata: &Metadata) -> Result<Json, String> {
    let mut json = standard(metadata);
    if let Some(own) = metadata.get(OWN) {
        let own: Option<Map<String, Json>> =
            own.as_str().and_then(|text| serde_json::from_str(text).ok());
        json.extend(own.ok_or_else(|| format!("`{OWN}` is not a JSON object"))?);
    }
    Ok(json.into())
}

/// What llama.cpp would understand.
fn standard(metadata: &Metadata) -> Map<String, Json> {
    let mut json = Map::new();
    for entry in OPTIONS {
        let value = entry.gguf.and_then(|key| metadata.get(key));
        if let Some(value) = value {
            json.insert(entry.name.to_owned(), option(entry, value));
        }
    }
    for (key, name) in [(vocabulary::BOS_ID, "bos_token_id"), (vocabulary::PAD_ID, "pad_token_id")]
    {
        if let Some(id) = metadata.get(key).and_then(Value::as_u64) {
            json.insert(name.to_owned(), id.into());
        }
    }
    json.insert("eos_token_id".to_owned(), ends(metadata).into());
    json
}

fn option(entry: &OptionEntry, value: &Value) -> Json {
    match value {
        // To llama.cpp a count of 0 or less is off.
        Value::I8(..=-1) | Value::I16(..=-1) | Value::I32(..=-1) | Value::I64(..=-1)
            if entry.kind == Kind::Count =>
        {
            0.into()
        }
        value => value.as_u64().map(Json::from).unwrap_or_else(|| value.as_f64().into()),
    }
}

/// The tokens at which llama.cpp ends an answer: those that the keys name, and those of certain texts.
pub(super) fn ends(metadata: &Metadata) -> Vec<u64> {
    let tokens = metadata.get(vocabulary::TOKENS).and_then(Value::as_array);
    let texts = tokens.and_then(|tokens| tokens.strings());
    let of_text = (0u64..).zip(texts.into_iter().flatten());
    let of_text = of_text.filter(|(_, text)| END_TEXTS.contains(text)).map(|(id, _)| id);
    let of_key = END_IDS.into_iter().filter_map(|key| metadata.get(key)?.as_u64());
    let mut ends = Vec::new();
    for id in of_key.chain(of_text) {
        if !ends.contains(&id) {
            ends.push(id);
        }
    }
    ends
}

/// A checkpoint's defaults, as its `generation_config.json` has them.
fn wanted(defaults: &GenerationDefaults) -> Map<String, Json> {
    let options = OPTIONS.iter().filter(|entry| entry.in_config).filter_map(|entry| {
        let value = match defaults.options.get(entry.name)? {
            OptionValue::Flag(flag) => flag.into(),
            OptionValue::Count(n) => n.into(),
            OptionValue::Number(x) => x.into(),
            OptionValue::Seed(n) => n.into(),
            OptionValue::Ids(ids) => ids.into(),
            OptionValue::IdLists(lists) => lists.into(),
            OptionValue::Texts(texts) => texts.into(),
            OptionValue::Off
            | OptionValue::Biases(_)
            | OptionValue::Text(_)
            | OptionValue::Schema(_) => return None,
        };
        Some((entry.name.to_owned(), value))
    });
    let ids = [("bos_token_id", defaults.bos_token_id), ("pad_token_id", defaults.pad_token_id)];
    let ids = ids.into_iter().filter_map(|(name, id)| Some((name.to_owned(), id?.into())));
    options.chain(ids).collect()
}

/// Whether a key already has a value; the order of ids tells nothing.
fn is_said(said: &Map<String, Json>, key: &str, value: &Json) -> bool {
    let sorted = |ids: &Json| {
        let mut ids: Vec<u64> = ids.as_array()?.iter().filter_map(Json::as_u64).collect();
        ids.sort_unstable();
        Some(ids)
    };
    match said.get(key) {
        Some(known) if key == "eos_token_id" => sorted(known) == sorted(value),
        known => known == Some(value),
    }
}
