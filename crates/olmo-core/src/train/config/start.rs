//! A run that starts from a checkpoint: model and tokenizer are its own.

use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use super::{SourceConfig, TrainConfig};
use crate::config::ModelConfig;
use crate::dtype::DType;
use crate::files;
use crate::{Error, Result};

/// Puts the shape of the model in `start` where the config would have one, and returns its `config.json`.
pub(super) fn put_model(config: &mut Value, file: &Path) -> Result<Option<Value>> {
    let Some(start) = config["start"].as_str() else { return Ok(None) };
    let wrong = |key: &str, file: &Path, problem: &str| Error::InvalidConfig {
        file: file.to_owned(),
        key: key.to_owned(),
        problem: problem.to_owned(),
    };
    if !config["model"].is_null() {
        return Err(wrong("model", file, "has no place beside `start`, whose config.json says it"));
    }
    let folder = file.parent().unwrap_or(Path::new("")).join(start);
    let path = folder.join("config.json");
    let text = files::read_text(&path, files::MOST_CONFIG)?;
    let model = ModelConfig::from_json(&text, &path)?;
    let Some(&eos) = model.eos_token_ids.first() else {
        return Err(wrong("eos_token_id", &path, "is missing: what ends a document is not known"));
    };
    config["model"] = json!({
        "vocab_size": model.vocab_size,
        "hidden_size": model.hidden_size,
        "intermediate_size": model.intermediate_size,
        "num_hidden_layers": model.layers.len(),
        "num_attention_heads": model.num_attention_heads,
        "num_key_value_heads": model.num_key_value_heads,
        "max_position_embeddings": model.max_position_embeddings,
        "rope_theta": model.rope_theta,
        "rms_norm_eps": model.rms_norm_eps,
        "tie_word_embeddings": model.tie_word_embeddings,
        "eos_token_id": eos,
        "pad_token_id": model.pad_token_id.unwrap_or(eos),
    });
    Ok(Some(serde_json::from_str(&text).expect("it was read as JSON just now")))
}

impl TrainConfig {
    /// The `config.json` of a checkpoint: the one the run started from, or one of the model's shape.
    pub fn checkpoint_json(&self, dtype: DType) -> Value {
        let mut json = self.model.to_json(dtype);
        let Some(start) = &self.start_config else { return json };
        let name = json["torch_dtype"].take();
        let mut json = start.clone();
        let key = if json.get("dtype").is_some() { "dtype" } else { "torch_dtype" };
        json[key] = name;
        json
    }

    /// Finds the tokenizer of a run that names none: what its conversations were encoded with, which has
    /// their chat template, or else that of the checkpoint it starts from.
    pub(super) fn settle_tokenizer(&mut self) {
        if self.tokenizer.is_some() {
            return;
        }
        let data =
            self.stage1.data.iter().filter_map(|source: &SourceConfig| source.prepared.as_ref());
        let of_data = data.map(|folder| folder.join("tokenizer"));
        let mut all: Vec<PathBuf> = of_data.chain(self.start.clone()).collect();
        all.retain(|folder| folder.join("tokenizer.json").is_file());
        self.tokenizer = all.into_iter().next();
    }
}
