//! How keys and values are stored.

use crate::dtype::DType;
use crate::{Error, Result};

/// How the cache stores its numbers, whatever the weights are stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CacheDType {
    Float(DType),
    /// Each [`CACHE_GROUP`] consecutive numbers of one head of one token as 8-bit integers with a
    /// common scale in f16: 8.5 bits a number.
    Q8_0,
}

/// Numbers that share a scale in a [`CacheDType::Q8_0`] cache.
pub const CACHE_GROUP: usize = 32;

impl CacheDType {
    pub const ALL: [CacheDType; 4] = [
        CacheDType::Float(DType::F32),
        CacheDType::Float(DType::F16),
        CacheDType::Float(DType::BF16),
        CacheDType::Q8_0,
    ];

    /// The short name, as in options and messages.
    pub fn name(self) -> &'static str {
        match self {
            CacheDType::Float(dtype) => dtype.name(),
            CacheDType::Q8_0 => "q8_0",
        }
    }

    /// Bytes of that many numbers; they are whole groups, if groups are asked for.
    pub fn bytes(self, numbers: usize) -> usize {
        match self {
            CacheDType::Float(dtype) => numbers.saturating_mul(dtype.size()),
            CacheDType::Q8_0 => (numbers / CACHE_GROUP).saturating_mul(CACHE_GROUP + 2),
        }
    }

    /// Fails if heads of this size cannot be stored so.
    pub fn check(self, head_dim: usize) -> Result<()> {
        match self {
            CacheDType::Q8_0 if !head_dim.is_multiple_of(CACHE_GROUP) => {
                let expected = format!(
                    "it stores heads in groups of {CACHE_GROUP} numbers, and this model's have \
                     {head_dim}: use f16"
                );
                Err(Error::option("cache_dtype", self.name(), expected))
            }
            _ => Ok(()),
        }
    }
}

impl From<DType> for CacheDType {
    fn from(dtype: DType) -> CacheDType {
        CacheDType::Float(dtype)
    }
}

impl std::str::FromStr for CacheDType {
    type Err = Error;

    fn from_str(name: &str) -> Result<CacheDType> {
        match (name, DType::parse(name)) {
            ("q8_0", _) => Ok(CacheDType::Q8_0),
            (_, Some(dtype)) => Ok(CacheDType::Float(dtype)),
            (_, None) => {
                let expected = "it must be f32, f16, bf16 or q8_0";
                Err(Error::option("cache_dtype", format!("`{name}`"), expected))
            }
        }
    }
}
