//! Writing a file: the head first, then the tensors' bytes, one after another.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::metadata::{push_string, push_value, Metadata};
use super::{types, ALIGNMENT, ALIGNMENT_KEY, MAGIC, MAX_DIMS, VERSION};
use crate::dtype::TensorType;
use crate::files::NewFile;
use crate::{Error, Result};

/// A tensor that a new file is to have.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTensor {
    /// GGUF's name; see [`super::names`].
    pub name: String,
    pub dtype: TensorType,
    /// The longest stride first, as Hugging Face has it; files have the opposite order.
    pub shape: Vec<usize>,
}

impl NewTensor {
    /// Bytes it takes. `None` if its rows are not whole blocks, or if it is too large.
    pub fn bytes(&self) -> Option<usize> {
        let row = self.dtype.bytes(*self.shape.last()?)?;
        let rows = &self.shape[..self.shape.len() - 1];
        rows.iter().try_fold(row, |bytes, &n| bytes.checked_mul(n))
    }
}

/// A GGUF file being written. It appears under its name when it is finished, or not at all.
///
/// ```text
/// let mut writer = GgufWriter::create(path, &metadata, tensors)?;
/// for tensor in … { writer.write(&tensor.name, &bytes)?; }
/// writer.finish()?;
/// ```
pub struct GgufWriter {
    path: PathBuf,
    file: NewFile,
    /// Name and bytes of each tensor.
    tensors: Vec<(String, usize)>,
    /// The tensor that comes next, and how many of its bytes are there.
    next: usize,
    written: usize,
    alignment: usize,
}

impl GgufWriter {
    /// Starts a file. The tensors get their places in this order, aligned to `general.alignment`, or
    /// else to 32 bytes.
    ///
    /// Errors with [`Error::InvalidWeights`] on a tensor that no file can have.
    pub fn create(path: &Path, metadata: &Metadata, tensors: &[NewTensor]) -> Result<GgufWriter> {
        let alignment = match metadata.get(ALIGNMENT_KEY) {
            None => ALIGNMENT,
            Some(value) => value
                .as_u64()
                .and_then(|n| usize::try_from(n).ok())
                .filter(|n| n.is_power_of_two())
                .ok_or_else(|| Error::InvalidFile {
                    file: path.to_owned(),
                    problem: format!("`{ALIGNMENT_KEY}` must be a power of two"),
                })?,
        };
        let sizes = sizes(path, tensors)?;
        let mut file = NewFile::create(path)?;
        file.write(&head(metadata, tensors, &sizes, alignment))?;
        let tensors = tensors.iter().map(|tensor| tensor.name.clone()).zip(sizes).collect();
        Ok(GgufWriter { path: path.to_owned(), file, tensors, next: 0, written: 0, alignment })
    }

    /// Writes the bytes of the tensor `name`, the next in order: little-endian, row-major. A large one
    /// may come in pieces.
    ///
    /// Errors with [`Error::InvalidWeights`] if it is another's turn, or on more bytes than it has.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let Some((expected, size)) = self.tensors.get(self.next).filter(|(n, _)| n == name) else {
            return Err(self.error(name, "comes out of turn, or was not announced".into()));
        };
        let room = size - self.written;
        if bytes.len() > room {
            let problem = format!("has {} bytes too many", bytes.len() - room);
            return Err(self.error(expected, problem));
        }
        self.file.write(bytes)?;
        self.written += bytes.len();
        if self.written == *size {
            self.file.write(&vec![0; size.next_multiple_of(self.alignment) - size])?;
            (self.next, self.written) = (self.next + 1, 0);
        }
        Ok(())
    }

    /// Puts the file in its place.
    ///
    /// Errors with [`Error::InvalidWeights`] if a tensor is not whole.
    pub fn finish(self) -> Result<()> {
        match self.tensors.get(self.next) {
            Some((name, size)) => {
                let problem = format!("has {} of its {size} bytes", self.written);
                Err(self.error(name, problem))
            }
            None => self.file.finish(),
        }
    }

    fn error(&self, tensor: &str, problem: String) -> Error {
        Error::InvalidWeights { file: self.path.clone(), tensor: tensor.to_owned(), problem }
    }
}

/// Bytes of each tensor, none of which may be such that a reader refuses it.
fn sizes(path: &Path, tensors: &[NewTensor]) -> Result<Vec<usize>> {
    let mut names = HashSet::new();
    let size = |tensor: &NewTensor| {
        let problem = if !names.insert(tensor.name.clone()) {
            "is there twice".to_owned()
        } else if !(1..=MAX_DIMS).contains(&tensor.shape.len()) || tensor.shape.contains(&0) {
            format!("has shape {:?}, but 1 to {MAX_DIMS} sizes above 0 are needed", tensor.shape)
        } else {
            match tensor.bytes() {
                Some(bytes) => return Ok(bytes),
                None => format!(
                    "has shape {:?}, whose rows are not whole blocks of {}",
                    tensor.shape,
                    tensor.dtype.name()
                ),
            }
        };
        Err(Error::InvalidWeights { file: path.to_owned(), tensor: tensor.name.clone(), problem })
    };
    tensors.iter().map(size).collect()
}

/// All that stands before the first tensor's bytes.
fn head(metadata: &Metadata, tensors: &[NewTensor], sizes: &[usize], alignment: usize) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend(VERSION.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata.iter() {
        push_string(&mut out, key);
        push_value(&mut out, value);
    }
    let mut offset: u64 = 0;
    for (tensor, &size) in tensors.iter().zip(sizes) {
        push_string(&mut out, &tensor.name);
        out.extend((tensor.shape.len() as u32).to_le_bytes());
        for &n in tensor.shape.iter().rev() {
            out.extend((n as u64).to_le_bytes());
        }
        out.extend(types::code(tensor.dtype).to_le_bytes());
        out.extend(offset.to_le_bytes());
        offset += size.next_multiple_of(alignment) as u64;
    }
    out.resize(out.len().next_multiple_of(alignment), 0);
    out
}
