//! Where weights come from: memory-mapped files, checked as a whole before any is used.

pub mod gguf;
mod safetensors;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;

use self::gguf::Gguf;
use crate::dtype::{DType, TensorType};
use crate::{Error, Result};

/// One tensor in a mapped file. Cloning shares the mapping.
#[derive(Debug, Clone)]
pub struct TensorData {
    pub name: String,
    pub file: Arc<Path>,
    pub dtype: TensorType,
    pub shape: Vec<usize>,
    map: Arc<Mmap>,
    range: Range<usize>,
}

impl TensorData {
    /// The elements as the file holds them: little-endian, row-major, not necessarily aligned. Blocks are
    /// of one row.
    pub fn bytes(&self) -> &[u8] {
        &self.map[self.range.clone()]
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

/// All tensors of a model, by Hugging Face's names.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The folder or the file.
    path: PathBuf,
    /// What describes the model that the tensors belong to.
    config: &'static str,
    tensors: BTreeMap<String, TensorData>,
}

impl Checkpoint {
    /// Maps the weight files of a folder and reads their headers; no weight is touched yet.
    pub fn open(dir: &Path) -> Result<Checkpoint> {
        let tensors = safetensors::open(dir)?;
        Ok(Checkpoint { path: dir.to_owned(), config: "config.json", tensors })
    }

    /// The tensors of a GGUF file.
    pub fn of_gguf(gguf: &Gguf) -> Result<Checkpoint> {
        let tensors = gguf.by_hugging_face_name()?;
        Ok(Checkpoint { path: gguf.path().to_owned(), config: "its metadata", tensors })
    }

    /// Whether a folder has weight files that [`Checkpoint::open`] would read.
    pub fn is_in(dir: &Path) -> bool {
        safetensors::is_in(dir)
    }

    /// Holds the tensors against the names and shapes a model needs: all there, and no others.
    pub fn check(&self, expected: &[(String, Vec<usize>)]) -> Result<()> {
        for (name, shape) in expected {
            let tensor = self.get(name)?;
            if tensor.shape != *shape {
                let problem =
                    format!("has shape {:?}, but {} asks for {shape:?}", tensor.shape, self.config);
                return Err(tensor.error(problem));
            }
        }
        let known: std::collections::BTreeSet<&str> =
            expected.iter().map(|(name, _)| name.as_str()).collect();
        match self.tensors.values().find(|tensor| !known.contains(tensor.name.as_str())) {
            Some(extra) => {
                let problem = format!("does not belong to the model {} describes", self.config);
                Err(extra.error(problem))
            }
            None => Ok(()),
        }
    }

    pub fn get(&self, name: &str) -> Result<&TensorData> {
        self.tensors.get(name).ok_or_else(|| Error::InvalidWeights {
            file: self.path.clone(),
            tensor: name.to_owned(),
            problem: match self.path.is_file() {
                true => "is missing in this file".into(),
                false => "is in none of the folder's weight files".into(),
            },
        })
    }

    /// The type most of the elements are in.
    pub fn dtype(&self) -> TensorType {
        let mut elements = std::collections::HashMap::new();
        for tensor in self.tensors.values() {
            *elements.entry(tensor.dtype).or_insert(0) += tensor.elements();
        }
        let most = elements.into_iter().max_by_key(|&(dtype, count)| (count, dtype.name()));
        most.map_or(TensorType::Float(DType::F32), |(dtype, _)| dtype)
    }
}
