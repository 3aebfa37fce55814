//! What the weights of a model are held in: in memory, or in a file to be written.

mod scheme;

pub use scheme::{Outline, Scheme};

use crate::dtype::{DType, TensorType};
use crate::{Error, Result};

/// The type of all weights of a model. Where there may be none, each weight keeps the type it is
/// stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// All in one dtype.
    Float(DType),
    /// Matrices in a mix of blocks, multiplied with 8-bit activations.
    Mix(Scheme),
}

const FLOATS: usize = DType::ALL.len();

impl Precision {
    /// Those of most bits first.
    pub const ALL: [Precision; FLOATS + Scheme::ALL.len()] = {
        let mut all = [Precision::Float(DType::F32); FLOATS + Scheme::ALL.len()];
        let mut i = 0;
        while i < all.len() {
            all[i] = match i < FLOATS {
                true => Precision::Float(DType::ALL[i]),
                false => Precision::Mix(Scheme::ALL[i - FLOATS]),
            };
            i += 1;
        }
        all
    };

    pub fn name(self) -> &'static str {
        match self {
            Precision::Float(dtype) => dtype.name(),
            Precision::Mix(scheme) => scheme.name(),
        }
    }

    /// Reads a name in small or capital letters, or another that [`DType::parse`] knows.
    pub fn parse(name: &str) -> Option<Precision> {
        let same = |precision: &Precision| precision.name().eq_ignore_ascii_case(name);
        let named = Precision::ALL.into_iter().find(same);
        named.or_else(|| DType::parse(name).map(Precision::Float))
    }

    /// The same for the value of an option.
    ///
    /// # Errors
    /// [`Error::InvalidOption`], which lists the names.
    pub fn of_option(option: &'static str, name: &str) -> Result<Precision> {
        Precision::parse(name).ok_or_else(|| {
            let names = Precision::ALL.map(Precision::name).join(", ");
            Error::option(option, format!("`{name}`"), format!("it must be one of {names}"))
        })
    }

    /// What a model is said to be in, most of whose weights are stored in a type. A mix that is none of
    /// ours goes by the name of its nearest.
    pub fn of_stored(stored: TensorType) -> Precision {
        match stored {
            TensorType::Float(dtype) => Precision::Float(dtype),
            TensorType::Block(block) => Precision::Mix(Scheme::of_mostly(block)),
        }
    }

    /// The type of the tensor `name` (Hugging Face's) of shape `shape` in a model.
    pub fn of(self, name: &str, shape: &[usize], model: impl Into<Outline>) -> TensorType {
        match self {
            Precision::Float(dtype) => TensorType::Float(dtype),
            Precision::Mix(scheme) => scheme.tensor_type(name, shape, model),
        }
    }

    /// The same in a GGUF file, in which vectors, which are norms, are always f32.
    pub fn in_file(self, name: &str, shape: &[usize], model: impl Into<Outline>) -> TensorType {
        match shape.len() {
            2.. => self.of(name, shape, model),
            _ => TensorType::Float(DType::F32),
        }
    }

    /// `general.file_type` of a GGUF file: `llama_ftype` in `llama.h` of llama.cpp.
    pub fn file_type(self) -> u32 {
        match self {
            Precision::Float(DType::F32) => 0,
            Precision::Float(DType::F16) => 1,
            Precision::Float(DType::BF16) => 32,
            Precision::Mix(scheme) => scheme.file_type(),
        }
    }

    /// What keys and values are cached in. Beside blocks f16 is more than exact enough.
    pub fn cache_dtype(self) -> DType {
        match self {
            Precision::Float(dtype) => dtype,
            Precision::Mix(_) => DType::F16,
        }
    }
}

impl From<DType> for Precision {
    fn from(dtype: DType) -> Precision {
        Precision::Float(dtype)
    }
}

impl std::str::FromStr for Precision {
    type Err = Error;

    fn from_str(name: &str) -> Result<Precision> {
        Precision::of_option("dtype", name)
    }
}
