//! What kind of model a path is: the one place that knows.

use std::path::{Path, PathBuf};

use crate::config::ModelConfig;
use crate::sampling::GenerationDefaults;
use crate::shapes::weight_shapes;
use crate::tokenizer::Tokenizer;
use crate::weights::gguf::Gguf;
use crate::weights::{license, Access, Checkpoint};
use crate::{Error, Result};

/// How a model writes a conversation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chat {
    /// In Jinja, by their names.
    pub templates: Vec<(String, String)>,
    /// `bos_token` and the like, with their texts.
    pub special_tokens: Vec<(&'static str, String)>,
}

/// A model's files, and how to read them.
#[derive(Debug)]
pub enum ModelSource {
    /// A folder as Hugging Face saves it: config.json, tokenizer.json, model.safetensors.
    Folder(PathBuf),
    /// One file with all of that, in a folder whose `tokenizer.json` and `generation_config.json` go
    /// before what it says itself.
    Gguf(Box<Gguf>),
}

impl ModelSource {
    /// Finds out what `path` is: a GGUF file, a checkpoint folder, or a folder without safetensors whose
    /// one GGUF file is meant.
    pub fn open(path: &Path) -> Result<ModelSource> {
        ModelSource::open_with(path, Access::Map)
    }

    /// The same with a say in how a GGUF file comes into memory.
    pub fn open_with(path: &Path, access: Access) -> Result<ModelSource> {
        let gguf = |path| Ok(ModelSource::Gguf(Box::new(Gguf::open_with(path, access)?)));
        if is_part_of_folder(path) {
            let folder = path.parent().unwrap_or(path).display();
            let problem =
                format!("this is one file of a checkpoint folder: name the folder, {folder}");
            return Err(Error::InvalidFile { file: path.to_owned(), problem });
        }
        // What is there and no folder may be a pipe, which says so when it is opened.
        if (path.exists() && !path.is_dir()) || (is_gguf(path) && !path.exists()) {
            return gguf(path);
        }
        if Checkpoint::is_in(path) {
            return Ok(ModelSource::Folder(path.to_owned()));
        }
        match gguf_files(path).as_slice() {
            [] => Ok(ModelSource::Folder(path.to_owned())), // which then says what is missing
            [file] => gguf(file),
            [first, ..] => {
                let name = first.file_name().unwrap_or_default().to_string_lossy();
                let problem = format!("the folder has several GGUF files: name one, as in {name}");
                Err(Error::InvalidFile { file: path.to_owned(), problem })
            }
        }
    }

    pub fn config(&self) -> Result<ModelConfig> {
        match self {
            ModelSource::Folder(dir) => ModelConfig::from_dir(dir),
            ModelSource::Gguf(gguf) => gguf.config(),
        }
    }

    pub fn tokenizer(&self) -> Result<Tokenizer> {
        match self {
            ModelSource::Folder(dir) => Tokenizer::from_dir(dir),
            ModelSource::Gguf(_) if self.dir().join("tokenizer.json").is_file() => {
                Tokenizer::from_dir(self.dir())
            }
            ModelSource::Gguf(gguf) => gguf.tokenizer(),
        }
    }

    pub fn generation_defaults(&self, config: &ModelConfig) -> Result<GenerationDefaults> {
        match self {
            ModelSource::Gguf(gguf) if !self.dir().join("generation_config.json").is_file() => {
                let json = gguf.generation_config()?.to_string();
                Ok(GenerationDefaults::from_json(&json, gguf.path(), config)?.in_gguf())
            }
            ModelSource::Gguf(gguf) => {
                // Without an end of its own the folder's file leaves those of the GGUF file.
                let json = gguf.generation_config()?.to_string();
                let own = GenerationDefaults::from_json(&json, gguf.path(), config)?;
                let eos_token_ids = own.options.eos_token_ids.unwrap_or_default();
                let config = ModelConfig { eos_token_ids, ..config.clone() };
                Ok(GenerationDefaults::from_dir(self.dir(), &config)?.beside_gguf())
            }
            ModelSource::Folder(dir) => GenerationDefaults::from_dir(dir, config),
        }
    }

    /// The weights as the files have them.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        self.checkpoint_with(Access::Map)
    }

    fn checkpoint_with(&self, access: Access) -> Result<Checkpoint> {
        match self {
            ModelSource::Folder(dir) => Checkpoint::open_with(dir, access),
            ModelSource::Gguf(gguf) => Checkpoint::of_gguf(gguf),
        }
    }

    /// The model's shape and its weights, held against each other. Whether embeddings are tied may hang
    /// on both. `access` is how a folder's files come into memory.
    pub fn weights(&self, access: Access) -> Result<(ModelConfig, Checkpoint)> {
        let mut config = self.config()?;
        let mut checkpoint = self.checkpoint_with(access)?;
        checkpoint.settle_tie(&mut config);
        checkpoint.check(&weight_shapes(&config))?;
        Ok((config, checkpoint))
    }

    /// What a file itself says of conversations; nothing of a folder, whose files say it.
    pub fn chat(&self) -> Chat {
        match self {
            ModelSource::Folder(_) => Chat::default(),
            ModelSource::Gguf(gguf) => {
                Chat { templates: gguf.chat_templates(), special_tokens: gguf.special_tokens() }
            }
        }
    }

    /// The licence that the metadata names, or the model card in its front matter.
    pub fn license(&self) -> Option<String> {
        let own = match self {
            ModelSource::Folder(_) => None,
            ModelSource::Gguf(gguf) => gguf.metadata().get("general.license"),
        };
        let own = own.and_then(|value| value.as_str());
        own.map(str::to_owned).or_else(|| license(self.dir()))
    }

    /// The folder that everything lies in.
    pub fn dir(&self) -> &Path {
        match self {
            ModelSource::Folder(dir) => dir,
            ModelSource::Gguf(gguf) => match gguf.path().parent() {
                Some(dir) if !dir.as_os_str().is_empty() => dir,
                _ => Path::new("."),
            },
        }
    }
}

/// The GGUF files in a folder, in the order of their names.
fn gguf_files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut files: Vec<PathBuf> = paths.filter(|path| is_gguf(path)).collect();
    files.sort();
    files
}

fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "gguf")
}

/// Whether a path is a file that makes a model only together with those beside it.
fn is_part_of_folder(path: &Path) -> bool {
    let ends = ["safetensors", "json", "jinja"];
    path.is_file() && path.extension().is_some_and(|end| ends.iter().any(|part| end == *part))
}
