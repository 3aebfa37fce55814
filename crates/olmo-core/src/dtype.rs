//! How numbers are stored: one by one, or in blocks.

use crate::quant::BlockType;
use crate::{Error, Result};

/// How a tensor in a file is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TensorType {
    Float(DType),
    Block(BlockType),
}

impl TensorType {
    pub fn name(self) -> &'static str {
        match self {
            TensorType::Float(dtype) => dtype.name(),
            TensorType::Block(block) => block.name(),
        }
    }

    /// The numbers to compute with where there are only floats: its own, or f16, whose range and
    /// precision blocks are made for.
    pub fn float(self) -> DType {
        match self {
            TensorType::Float(dtype) => dtype,
            TensorType::Block(_) => DType::F16,
        }
    }

    /// Bytes of that many elements in a row; `None` if they are not whole blocks, or too many.
    pub fn bytes(self, elements: usize) -> Option<usize> {
        match self {
            TensorType::Float(dtype) => elements.checked_mul(dtype.size()),
            TensorType::Block(block) => block.bytes(elements),
        }
    }
}

/// How a number is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DType {
    F32,
    F16,
    BF16,
}

impl DType {
    pub const ALL: [DType; 3] = [DType::F32, DType::F16, DType::BF16];

    /// The short name, as in options and messages.
    pub fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::F16 => "f16",
            DType::BF16 => "bf16",
        }
    }

    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            DType::F32 => 4,
            DType::F16 | DType::BF16 => 2,
        }
    }

    /// Reads the short name, torch's (`bfloat16`, with or without `torch.`) or safetensors' (`BF16`).
    pub fn parse(name: &str) -> Option<DType> {
        match name.strip_prefix("torch.").unwrap_or(name) {
            "f32" | "F32" | "float32" | "float" => Some(DType::F32),
            "f16" | "F16" | "float16" | "half" => Some(DType::F16),
            "bf16" | "BF16" | "bfloat16" => Some(DType::BF16),
            _ => None,
        }
    }
}

impl std::str::FromStr for DType {
    type Err = Error;

    fn from_str(name: &str) -> Result<DType> {
        DType::parse(name).ok_or_else(|| {
            Error::option("dtype", format!("`{name}`"), "it must be f32, f16 or bf16")
        })
    }
}
