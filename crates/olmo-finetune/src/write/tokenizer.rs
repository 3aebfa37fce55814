//! The tokenizer's own files, with the template that the data was made with.

use std::path::Path;

use olmo_core::files::{read_if_there, MOST_CONFIG};
use olmo_core::{Error, Result};
use serde_json::{json, Map, Value};

use super::Files;
use crate::setup::Run;

/// Writes `tokenizer/`.
pub fn write(run: &Run, files: &mut Files) -> Result<()> {
    let setup = run.setup;
    let path = &run.options.tokenizer;
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new(".")) };
    files.write("tokenizer/tokenizer.json", &setup.tokenizer_json)?;
    let mut config = read(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
    for (name, text) in &setup.tokens.special {
        config.entry(name.clone()).or_insert_with(|| json!(text));
    }
    // transformers 5 puts GPT-2's own way to split words in place of the file's under that name.
    if matches!(config.get("tokenizer_class"), None | Some(Value::Null))
        || config["tokenizer_class"] == "GPT2Tokenizer"
    {
        config.insert("tokenizer_class".to_owned(), json!("PreTrainedTokenizerFast"));
    }
    let own = setup.tokens.templates.iter().find(|(name, _)| name == "default");
    let template = match &setup.template {
        Some(template) => Some(template.source()),
        None => own.map(|(_, text)| text.as_str()),
    };
    if let Some(template) = template {
        config.insert("chat_template".to_owned(), json!(template));
        files.write("tokenizer/chat_template.jinja", template.as_bytes())?;
    }
    let text = serde_json::to_string_pretty(&config).expect("plain JSON") + "\n";
    files.write("tokenizer/tokenizer_config.json", text.as_bytes())?;
    if let Some(map) = read_if_there(&folder.join("special_tokens_map.json"), MOST_CONFIG)? {
        files.write("tokenizer/special_tokens_map.json", &map)?;
    }
    Ok(())
}

fn read(file: &Path) -> Result<Option<Map<String, Value>>> {
    let Some(bytes) = read_if_there(file, MOST_CONFIG)? else { return Ok(None) };
    let parsed = serde_json::from_slice(&bytes).map_err(|error| Error::InvalidFile {
        file: file.to_owned(),
        problem: format!("this is not a JSON object: {error}"),
    });
    parsed.map(Some)
}
