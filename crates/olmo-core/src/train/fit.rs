//! Whether a config's parts fit each other: the model, its tokenizer, and what a preparation says of its
//! token files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::config::TrainConfig;
use crate::files::{self, hashed};
use crate::prepare::token_file::TokenType;
use crate::prepare::{Manifest, TokenEntry};
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

/// Checks the config against the tokenizer and the manifests beside its token files, and fills in what it
/// leaves to them: how ids are stored, and the bytes of held-out text.
///
/// Errors with [`Error::InvalidConfig`] that names the key and both values.
pub fn settle(config: &mut TrainConfig) -> Result<()> {
    let tokenizer_sha256 = match config.tokenizer.clone() {
        Some(folder) => Some(check_tokenizer(config, &folder)?),
        None => None,
    };
    let mut fit = Fit {
        file: config.file.clone(),
        vocab_size: config.model.vocab_size,
        eos_token_id: config.model.eos_token_id,
        tokenizer_sha256,
        manifests: HashMap::new(),
    };
    let stage2 = config.stage2.iter_mut().map(|stage| ("stage2.data", &mut stage.data));
    for (key, sources) in [("stage1.data", &mut config.stage1.data)].into_iter().chain(stage2) {
        for source in sources {
            for path in &source.paths {
                fit.dtype(key, path, &mut source.dtype)?;
            }
        }
    }
    for source in config.validation.iter_mut().flat_map(|validation| &mut validation.sources) {
        let mut bytes = (!source.paths.is_empty()).then_some(0);
        for path in &source.paths {
            fit.dtype("validation.sources", path, &mut source.dtype)?;
            let known = fit.entry(path)?.map(|(_, entry)| entry.bytes);
            bytes = bytes.zip(known).map(|(sum, bytes)| sum + bytes);
        }
        source.bytes = Some(match (source.bytes, bytes) {
            (Some(given), Some(known)) if given != known => {
                let problem = format!(
                    "gives `{}` {given} bytes, but its manifest says {known}: leave `bytes` out",
                    source.name
                );
                return Err(fit.error("validation.sources", problem));
            }
            (Some(given), _) => given,
            (None, Some(known)) if known > 0 => known,
            (None, _) => {
                let problem = format!(
                    "gives `{}` no bytes, and no manifest.json of a preparation says them",
                    source.name
                );
                return Err(fit.error("validation.sources", problem));
            }
        });
    }
    Ok(())
}

/// Returns the SHA-256 of the tokenizer.
fn check_tokenizer(config: &TrainConfig, folder: &Path) -> Result<String> {
    let file = folder.join("tokenizer.json");
    std::fs::metadata(&file).map_err(|error| Error::io(&file, error))?;
    let tokenizer = Tokenizer::from_dir(folder)?;
    let error = |key: &str, problem: String| Error::InvalidConfig {
        file: config.file.clone(),
        key: key.to_owned(),
        problem,
    };
    let model = &config.model;
    if tokenizer.vocab_size() > model.vocab_size {
        let (is, needs) = (model.vocab_size, tokenizer.vocab_size());
        let problem = format!("is {is}, but the tokenizer has {needs} tokens");
        return Err(error("model.vocab_size", problem));
    }
    let settings = settings(&folder.join("tokenizer_config.json"))?;
    for (key, name, id) in [
        ("model.eos_token_id", "eos_token", model.eos_token_id),
        ("model.pad_token_id", "pad_token", model.pad_token_id),
    ] {
        let token = settings.get(name);
        let text = token.and_then(|token| token.as_str().or_else(|| token["content"].as_str()));
        let Some(text) = text else { continue };
        let known = tokenizer.token_id(text);
        if let Some(known) = known.filter(|known| *known != id) {
            let is = tokenizer.token_text(id).map_or(String::new(), |text| format!(" ({text:?})"));
            let problem = format!("is {id}{is}, but the tokenizer's {name} is {known} ({text:?})");
            return Err(error(key, problem));
        }
    }
    let most = settings.get("model_max_length").and_then(Value::as_u64);
    if let Some(most) = most.filter(|&most| most < config.sequence_length as u64) {
        let is = config.sequence_length;
        let problem = format!("is {is}, but the tokenizer's model_max_length is {most}");
        return Err(error("sequence_length", problem));
    }
    Ok(hashed::sha256(&files::read(&file, u64::MAX - 1)?))
}

fn settings(file: &Path) -> Result<Map<String, Value>> {
    let Some(json) = files::read_if_there(file, files::MOST_CONFIG)? else { return Ok(Map::new()) };
    serde_json::from_str(&files::text(file, json)?).map_err(|error| Error::InvalidFile {
        file: file.to_owned(),
        problem: format!("this is not a JSON object: {error}"),
    })
}

struct Fit {
    /// The config's, for messages.
    file: PathBuf,
    vocab_size: usize,
    eos_token_id: u32,
    tokenizer_sha256: Option<String>,
    /// Of the folders that were looked into.
    manifests: HashMap<PathBuf, Option<Manifest>>,
}

impl Fit {
    fn error(&self, key: &str, problem: String) -> Error {
        Error::InvalidConfig { file: self.file.clone(), key: key.to_owned(), problem }
    }

    /// Settles how the ids of a file are stored, if a manifest says it.
    fn dtype(&mut self, key: &str, path: &Path, dtype: &mut Option<TokenType>) -> Result<()> {
        let Some((stored, _)) = self.entry(path)? else { return Ok(()) };
        match *dtype {
            Some(given) if given != stored => {
                let (given, stored, path) = (given.name(), stored.name(), path.display());
                let problem = format!("has dtype {given}, but {path} holds {stored}: leave it out");
                Err(self.error(key, problem))
            }
            _ => {
                *dtype = Some(stored);
                Ok(())
            }
        }
    }

    /// What a manifest in the file's folder or the one above says of it; the manifest fits the model then.
    fn entry(&mut self, path: &Path) -> Result<Option<(TokenType, TokenEntry)>> {
        for folder in path.ancestors().skip(1).take(2) {
            if !self.manifests.contains_key(folder) {
                self.manifests.insert(folder.to_owned(), Manifest::read(folder).ok());
            }
            let manifest = self.manifests.get(folder).and_then(Option::as_ref);
            let Some(manifest) = manifest else { continue };
            let entries =
                manifest.sources.iter().flat_map(|source| [&source.train, &source.validation]);
            let is_meant = |entry: &&TokenEntry| folder.join(&entry.file) == path;
            if let Some(entry) = entries.into_iter().find(is_meant).cloned() {
                let dtype = manifest.token_type();
                self.check_manifest(manifest, folder)?;
                check_whole(path, dtype, &entry)?;
                return Ok(Some((dtype, entry)));
            }
        }
        Ok(None)
    }

    fn check_manifest(&self, manifest: &Manifest, folder: &Path) -> Result<()> {
        let text = format!("the text in {}", folder.display());
        if manifest.vocab_size > self.vocab_size {
            let (is, needs) = (self.vocab_size, manifest.vocab_size);
            let problem = format!("is {is}, but {text} has a vocabulary of {needs}");
            return Err(self.error("model.vocab_size", problem));
        }
        if manifest.eos_token_id != self.eos_token_id {
            let (is, known) = (self.eos_token_id, manifest.eos_token_id);
            let problem = format!("is {is}, but documents of {text} end with {known}");
            return Err(self.error("model.eos_token_id", problem));
        }
        match &self.tokenizer_sha256 {
            Some(hash) if *hash != manifest.tokenizer_sha256 => {
                let problem = format!("is another than the one that {text} was encoded with");
                Err(self.error("tokenizer", problem))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a file is as long as its manifest says.
fn check_whole(path: &Path, dtype: TokenType, entry: &TokenEntry) -> Result<()> {
    let bytes = std::fs::metadata(path).map_err(|error| Error::io(path, error))?.len();
    let expected = entry.tokens * dtype.size() as u64;
    if bytes == expected {
        return Ok(());
    }
    Err(Error::InvalidFile {
        file: path.to_owned(),
        problem: format!(
            "it has {bytes} bytes, but the manifest has {} tokens of {}: prepare the text again",
            entry.tokens,
            dtype.size()
        ),
    })
}
