//! Where a checkpoint says how it chats.
//!
//! Source: `PreTrainedTokenizerBase.from_pretrained` of transformers 5.24.

use std::io::ErrorKind;
use std::path::Path;

use crate::checkpoint::ModelSource;
use crate::jinja::Data;
use crate::weights::gguf::template_files;
use crate::{Error, Result};

/// The special tokens that a template knows by name.
const NAMES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

pub struct Found {
    pub templates: Vec<(String, String)>,
    pub special_tokens: Vec<(String, String)>,
}

/// `chat_template.jinja` and those in `additional_chat_templates`, or else `chat_template` in
/// `tokenizer_config.json`, or else what a GGUF file says; and the special tokens in the same files.
pub fn find(path: &Path) -> Result<Found> {
    if let Err(error) = std::fs::metadata(path) {
        return Err(Error::io(path, error));
    }
    let source = ModelSource::open(path)?;
    let own = source.chat();
    let config = object(&source.dir().join("tokenizer_config.json"))?;
    // Newer checkpoints have the tokens in the config itself; where it lists none, the map takes precedence.
    let map = match config.get("added_tokens_decoder") {
        Some(_) => Data::Null,
        None => object(&source.dir().join("special_tokens_map.json"))?,
    };
    let mut special_tokens: Vec<(String, String)> = Vec::new();
    let own_tokens = own.special_tokens;
    for name in NAMES {
        let own =
            own_tokens.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_str());
        let text = token(&map, name).or_else(|| token(&config, name)).or(own);
        if let Some(text) = text {
            special_tokens.push((name.to_owned(), text.to_owned()));
        }
    }
    let mut templates = template_files(source.dir())?;
    for next in [named(&config), own.templates] {
        if templates.is_empty() {
            templates = next;
        }
    }
    Ok(Found { templates, special_tokens })
}

/// `chat_template` is a text, or a list of named ones.
fn named(config: &Data) -> Vec<(String, String)> {
    match config.get("chat_template") {
        Some(Data::Text(text)) => vec![("default".to_owned(), text.clone())],
        Some(Data::List(several)) => {
            let pair = |entry: &Data| {
                let name = entry.get("name")?.as_text()?;
                Some((name.to_owned(), entry.get("template")?.as_text()?.to_owned()))
            };
            several.iter().filter_map(pair).collect()
        }
        _ => Vec::new(),
    }
}

/// A token is a text, or an object with it in `content`.
fn token<'d>(config: &'d Data, name: &str) -> Option<&'d str> {
    let value = config.get(name)?;
    value.as_text().or_else(|| value.get("content")?.as_text())
}

fn object(file: &Path) -> Result<Data> {
    let invalid = |problem: String| Error::InvalidFile { file: file.to_owned(), problem };
    let Some(text) = read(file)? else { return Ok(Data::Null) };
    match serde_json::from_str(&text) {
        Ok(object @ Data::Dict(_)) => Ok(object),
        Ok(_) => Err(invalid("this is not a JSON object: not an object".to_owned())),
        Err(error) => Err(invalid(format!("this is not a JSON object: {error}"))),
    }
}

/// The text of a file; none if there is no such file.
fn read(file: &Path) -> Result<Option<String>> {
    match std::fs::read(file) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let problem = format!("byte {at} is not UTF-8");
                Err(Error::InvalidFile { file: file.to_owned(), problem })
            }
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(file, error)),
    }
}
