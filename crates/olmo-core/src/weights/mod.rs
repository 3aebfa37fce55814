//! Where weights come from: files mapped or read, checked as a whole before any is used.

mod bytes;
pub mod gguf;
mod model_card;
mod safetensors;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use model_card::license;
use sha2::{Digest, Sha256};

use self::bytes::FileBytes;
use self::gguf::Gguf;
use crate::config::ModelConfig;
use crate::dtype::{DType, TensorType};
use crate::files::hashed::hex;
use crate::shapes::{EMBEDDING, OUTPUT};
use crate::{Error, Result};

pub use self::bytes::Access;

/// One tensor in a file. Cloning shares the file's bytes.
#[derive(Debug, Clone)]
pub struct TensorData {
    pub name: String,
    pub file: Arc<Path>,
    pub dtype: TensorType,
    pub shape: Vec<usize>,
    content: Arc<FileBytes>,
    range: Range<usize>,
}

impl TensorData {
    /// The elements as the file holds them: little-endian, row-major, not necessarily aligned. Blocks are
    /// of one row.
    pub fn bytes(&self) -> &[u8] {
        &self.content[self.range.clone()]
    }

    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The elements as f32, whatever their dtype.
    pub fn to_f32(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.elements()];
        read_f32(self.dtype, self.bytes(), &mut out);
        out
    }

    /// Whether two tensors are of one shape and hold the same numbers.
    fn has_values_of(&self, other: &TensorData) -> bool {
        if self.shape != other.shape {
            return false;
        }
        let equal = match self.dtype == other.dtype {
            true => self.bytes() == other.bytes(),
            false => self.to_f32() == other.to_f32(),
        };
        other.release();
        equal
    }

    /// Says that the elements are not needed in memory any more: who asks for them again reads them
    /// again from the file. Else all that was ever read counts as this process's memory.
    pub fn release(&self) {
        self.content.release(&self.range);
    }

    pub(crate) fn error(&self, problem: String) -> Error {
        Error::InvalidWeights { file: self.file.to_path_buf(), tensor: self.name.clone(), problem }
    }
}

/// Widens stored elements to f32.
///
/// # Panics
/// If `bytes` are not exactly as many elements as `out` has.
pub fn read_f32(stored: TensorType, bytes: &[u8], out: &mut [f32]) {
    assert_eq!(Some(bytes.len()), stored.bytes(out.len()));
    match stored {
        TensorType::Float(DType::F32) => {
            for (out, b) in out.iter_mut().zip(bytes.chunks_exact(4)) {
                *out = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
            }
        }
        TensorType::Float(DType::F16) => {
            for (out, b) in out.iter_mut().zip(bytes.chunks_exact(2)) {
                *out = half::f16::from_le_bytes([b[0], b[1]]).to_f32();
            }
        }
        TensorType::Float(DType::BF16) => {
            for (out, b) in out.iter_mut().zip(bytes.chunks_exact(2)) {
                *out = half::bf16::from_le_bytes([b[0], b[1]]).to_f32();
            }
        }
        TensorType::Block(block) => block.dequantize(bytes, out),
    }
}

/// What was found of a model's tensors, by Hugging Face's names.
#[derive(Debug, Clone, Default)]
struct Tensors {
    readable: BTreeMap<String, TensorData>,
    /// Those whose type is not read: an error each, for the case that the model needs it.
    unreadable: BTreeMap<String, Error>,
    /// What is odd about the files.
    warnings: Vec<String>,
}

/// All tensors of a model, by Hugging Face's names.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The folder or the file.
    path: PathBuf,
    /// What describes the model that the tensors belong to.
    config: &'static str,
    tensors: Tensors,
}

impl Checkpoint {
    /// Maps the weight files of a folder and reads their headers; no weight is touched yet.
    pub fn open(dir: &Path) -> Result<Checkpoint> {
        Checkpoint::open_with(dir, Access::Map)
    }

    /// The same with a say in how the files come into memory.
    pub fn open_with(dir: &Path, access: Access) -> Result<Checkpoint> {
        let tensors = safetensors::open(dir, access)?;
        Ok(Checkpoint { path: dir.to_owned(), config: "config.json", tensors })
    }

    /// The tensors of a GGUF file.
    pub fn of_gguf(gguf: &Gguf) -> Result<Checkpoint> {
        let tensors = gguf.by_hugging_face_name();
        Ok(Checkpoint { path: gguf.path().to_owned(), config: "its metadata", tensors })
    }

    /// Whether a folder has weight files that [`Checkpoint::open`] would read.
    pub fn is_in(dir: &Path) -> bool {
        safetensors::is_in(dir)
    }

    /// Holds the tensors against the names and shapes a model needs: all must be there. What else there
    /// is, is put out of the way, and [`warnings`](Self::warnings) names it.
    pub fn check(&mut self, expected: &[(String, Vec<usize>)]) -> Result<()> {
        for (name, shape) in expected {
            let tensor = self.get(name)?;
            if tensor.shape != *shape {
                let problem =
                    format!("has shape {:?}, but {} asks for {shape:?}", tensor.shape, self.config);
                return Err(tensor.error(problem));
            }
        }
        let known: BTreeSet<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
        let Tensors { readable, unreadable, warnings } = &mut self.tensors;
        let all = readable.keys().chain(unreadable.keys()).map(String::as_str);
        let unused: BTreeSet<&str> = all.filter(|name| !known.contains(name)).collect();
        if !unused.is_empty() {
            warnings.push(unused_warning(&unused));
        }
        readable.retain(|name, _| known.contains(name.as_str()));
        unreadable.clear();
        Ok(())
    }

    /// What is odd about the files and changes nothing: a line each.
    pub fn warnings(&self) -> &[String] {
        &self.tensors.warnings
    }

    /// As transformers does of a model whose output matrix is its embedding table by the config, but whose
    /// files have both: they are two if they differ.
    ///
    /// Of two that are equal the table alone is read on; where there is only an output matrix, it is the
    /// table too.
    ///
    /// Source: `PreTrainedModel.tie_weights` of transformers 5.24.0.
    pub fn settle_tie(&mut self, config: &mut ModelConfig) {
        if !config.tie_word_embeddings {
            return;
        }
        let tensors = &mut self.tensors;
        match (tensors.readable.get(EMBEDDING), tensors.readable.get(OUTPUT)) {
            (Some(table), Some(output)) if !table.has_values_of(output) => {
                config.tie_word_embeddings = false;
                tensors.warnings.push(format!(
                    "`tie_word_embeddings` is true, but `{OUTPUT}` differs from `{EMBEDDING}`: both \
                     are used"
                ));
            }
            (None, Some(output)) if !tensors.unreadable.contains_key(EMBEDDING) => {
                let table = TensorData { name: EMBEDDING.to_owned(), ..output.clone() };
                tensors.readable.remove(OUTPUT);
                tensors.readable.insert(EMBEDDING.to_owned(), table);
            }
            _ => {}
        }
    }

    pub fn get(&self, name: &str) -> Result<&TensorData> {
        self.tensors.readable.get(name).ok_or_else(|| {
            let unreadable = self.tensors.unreadable.get(name).cloned();
            unreadable.unwrap_or_else(|| Error::InvalidWeights {
                file: self.path.clone(),
                tensor: name.to_owned(),
                problem: match self.path.is_file() {
                    true => "is missing in this file".into(),
                    false => "is in none of the folder's weight files".into(),
                },
            })
        })
    }

    /// A hash of all weights, with their names, types and shapes: the same however they lie in files.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for (name, tensor) in &self.tensors.readable {
            let head = format!("{name} {} {:?} ", tensor.dtype.name(), tensor.shape);
            hash.update(head.as_bytes());
            hash.update(tensor.bytes());
            tensor.release();
        }
        hex(&hash.finalize())
    }

    /// The type most of the elements are in.
    pub fn dtype(&self) -> TensorType {
        let mut elements = std::collections::HashMap::new();
        for tensor in self.tensors.readable.values() {
            *elements.entry(tensor.dtype).or_insert(0) += tensor.elements();
        }
        let most = elements.into_iter().max_by_key(|&(dtype, count)| (count, dtype.name()));
        most.map_or(TensorType::Float(DType::F32), |(dtype, _)| dtype)
    }
}

/// Names that a warning spells out.
const NAMED: usize = 3;

fn unused_warning(unused: &BTreeSet<&str>) -> String {
    let names: Vec<String> = unused.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
    let others = match unused.len() - names.len() {
        0 => String::new(),
        others => format!(" and {others} more"),
    };
    let (count, are) = match unused.len() {
        1 => ("1 tensor".to_owned(), "is"),
        count => (format!("{count} tensors"), "are"),
    };
    format!(
        "{count} of the weight files {are} no part of this model and not used: {}{others}",
        names.join(", ")
    )
}
