//! What a model can be turned into.

use crate::config::ModelConfig;
use crate::dtype::{DType, TensorType};
use crate::quant::Scheme;
use crate::{Error, Result};

/// The type of a new file's matrices. Vectors, which are norms, are always f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Float(DType),
    Scheme(Scheme),
}

impl Target {
    pub fn name(self) -> &'static str {
        match self {
            Target::Float(dtype) => dtype.name(),
            Target::Scheme(scheme) => scheme.name(),
        }
    }

    /// How the tensor `name` (Hugging Face's) of shape `shape` is stored.
    pub fn tensor_type(self, name: &str, shape: &[usize], config: &ModelConfig) -> TensorType {
        match self {
            Target::Float(_) if shape.len() < 2 => TensorType::Float(DType::F32),
            Target::Float(dtype) => TensorType::Float(dtype),
            Target::Scheme(scheme) => scheme.tensor_type(name, shape, config),
        }
    }

    /// `general.file_type`: `llama_ftype` in `llama.h` of llama.cpp.
    pub fn file_type(self) -> u32 {
        match self {
            Target::Float(DType::F32) => 0,
            Target::Float(DType::F16) => 1,
            Target::Float(DType::BF16) => 32,
            Target::Scheme(scheme) => scheme.file_type(),
        }
    }
}

impl std::str::FromStr for Target {
    type Err = Error;

    fn from_str(name: &str) -> Result<Target> {
        let float = DType::ALL.into_iter().find(|dtype| dtype.name().eq_ignore_ascii_case(name));
        let scheme = || Scheme::parse(name).map(Target::Scheme);
        float.map(Target::Float).or_else(scheme).ok_or_else(|| {
            let floats = DType::ALL.map(DType::name).join(", ");
            let schemes = Scheme::ALL.map(Scheme::name).join(", ");
            let expected = format!("it must be one of {floats}, {schemes}");
            Error::option("type", format!("`{name}`"), expected)
        })
    }
}
