//! GGUF, the one-file format of llama.cpp: metadata, a list of tensors, their bytes.
//!
//! ```text
//! "GGUF"  version u32  tensors u64  keys u64
//! keys ×     name  kind u32  value
//! tensors ×  name  dimensions u32  sizes u64 …  type u32  offset u64
//! padding, then each tensor's bytes at its offset, aligned
//! ```
//!
//! Numbers are little-endian, texts have their length in front. Sizes come with the shortest stride
//! first.
//!
//! Source: `docs/gguf.md` of ggml, and `gguf.cpp` of llama.cpp.

mod config;
mod convert;
mod generation;
mod metadata;
pub mod names;
mod read;
mod types;
mod vocabulary;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::read::{Entry, Head, Problem, Unread};
use super::bytes::{Access, FileBytes};
use super::{TensorData, Tensors};
use crate::config::ModelConfig;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

pub use self::convert::metadata as convert_metadata;
pub(crate) use self::convert::{lay_over, template_files};
pub use self::metadata::{Array, Kind, Metadata, Value};
pub use self::types::code;
pub use self::write::{GgufWriter, NewTensor};

const MAGIC: [u8; 4] = *b"GGUF";
const VERSION: u32 = 3;
const ALIGNMENT_KEY: &str = "general.alignment";
/// Where tensors begin is a multiple of this, unless [`ALIGNMENT_KEY`] says otherwise.
const ALIGNMENT: usize = 32;
/// ggml's tensors have no more dimensions.
const MAX_DIMS: usize = 4;

/// An open file. Its head has been read and checked; its tensors are mapped.
#[derive(Debug)]
pub struct Gguf {
    file: Arc<Path>,
    content: Arc<FileBytes>,
    metadata: Metadata,
    tensors: Vec<Entry>,
    unread: Vec<Unread>,
}

impl Gguf {
    /// Maps a file and reads its head; no weight is touched yet.
    ///
    /// Errors with [`Error::InvalidFile`] or [`Error::InvalidWeights`] on a file that is damaged.
    pub fn open(path: &Path) -> Result<Gguf> {
        Gguf::open_with(path, Access::Map)
    }

    /// The same with a say in how the file comes into memory.
    pub fn open_with(path: &Path, access: Access) -> Result<Gguf> {
        Gguf::of_content(path, FileBytes::open(path, access)?)
    }

    /// Reads the head of a file that is in memory; `path` is for messages, and for what lies beside it.
    pub fn of_bytes(path: &Path, bytes: Vec<u8>) -> Result<Gguf> {
        Gguf::of_content(path, FileBytes::Read(bytes))
    }

    fn of_content(path: &Path, content: FileBytes) -> Result<Gguf> {
        let Head { metadata, tensors, unread } =
            read::read(&content).map_err(|problem| error(path, problem))?;
        Ok(Gguf { file: path.into(), content: Arc::new(content), metadata, tensors, unread })
    }

    pub fn path(&self) -> &Path {
        &self.file
    }

    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The shape of the model.
    ///
    /// Errors with [`Error::InvalidConfig`] on anything but an OLMo 2.
    pub fn config(&self) -> Result<ModelConfig> {
        config::read(self)
    }

    /// The tokenizer that the metadata describes.
    ///
    /// Errors with [`Error::InvalidFile`] if there is none, or none that is known.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        vocabulary::read(self)
    }

    /// What the makers suggest, with the keys of `generation_config.json`. The ends are those of
    /// llama.cpp, unless the file was made here and has others.
    pub fn generation_config(&self) -> Result<serde_json::Value> {
        generation::read(&self.metadata)
            .map_err(|problem| Error::InvalidFile { file: self.path().to_owned(), problem })
    }

    /// How conversations are written, in Jinja: templates by their names. One is called `default`.
    pub fn chat_templates(&self) -> Vec<(String, String)> {
        vocabulary::chat_templates(&self.metadata)
    }

    /// `bos_token` and the like, with their texts.
    pub fn special_tokens(&self) -> Vec<(&'static str, String)> {
        vocabulary::special_tokens(&self.metadata)
    }

    /// All tensors under GGUF's names, in the file's order.
    pub fn tensors(&self) -> impl Iterator<Item = TensorData> + '_ {
        self.tensors.iter().map(|entry| self.tensor(entry, entry.name.clone()))
    }

    /// The shape of a tensor by GGUF's name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        let entry = self.tensors.iter().find(|entry| entry.name == name)?;
        Some(&entry.shape)
    }

    /// All tensors by Hugging Face's names; by GGUF's those that OLMo 2 has none for.
    pub(super) fn by_hugging_face_name(&self) -> Tensors {
        let other = |name: &str| names::to_hugging_face(name).unwrap_or_else(|| name.to_owned());
        let readable = self.tensors.iter().map(|entry| {
            let name = other(&entry.name);
            (name.clone(), self.tensor(entry, name))
        });
        let unreadable = self.unread.iter().map(|Unread { name, problem }| {
            (other(name), self.tensor_error(&other(name), problem.clone()))
        });
        Tensors {
            readable: readable.collect(),
            unreadable: unreadable.collect(),
            warnings: Vec::new(),
        }
    }

    fn tensor_error(&self, tensor: &str, problem: String) -> Error {
        let file = self.path().to_owned();
        Error::InvalidWeights { file, tensor: tensor.to_owned(), problem }
    }

    fn tensor(&self, entry: &Entry, name: String) -> TensorData {
        TensorData {
            name,
            file: self.file.clone(),
            dtype: entry.dtype,
            shape: entry.shape.clone(),
            content: self.content.clone(),
            range: entry.range.clone(),
        }
    }
}

fn error(path: &Path, Problem { tensor, text }: Problem) -> Error {
    let file = PathBuf::from(path);
    match tensor {
        Some(tensor) => Error::InvalidWeights { file, tensor, problem: text },
        None => Error::InvalidFile { file, problem: text },
    }
}
