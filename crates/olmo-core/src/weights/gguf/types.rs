//! How tensors are stored, by the numbers that stand for it in files.

use crate::dtype::{DType, TensorType};
use crate::quant::BlockType;

/// Source: `ggml_type` in `ggml.h` of llama.cpp.
const KNOWN: [(u32, TensorType); 8] = [
    (0, TensorType::Float(DType::F32)),
    (1, TensorType::Float(DType::F16)),
    (2, TensorType::Block(BlockType::Q4_0)),
    (8, TensorType::Block(BlockType::Q8_0)),
    (12, TensorType::Block(BlockType::Q4K)),
    (13, TensorType::Block(BlockType::Q5K)),
    (14, TensorType::Block(BlockType::Q6K)),
    (30, TensorType::Float(DType::BF16)),
];

/// Names of the types that are not read, for messages.
const OTHERS: [(u32, &str); 22] = [
    (3, "Q4_1"),
    (6, "Q5_0"),
    (7, "Q5_1"),
    (9, "Q8_1"),
    (10, "Q2_K"),
    (11, "Q3_K"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (28, "F64"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
    (40, "NVFP4"),
    (41, "Q1_0"),
];

/// The number of a type.
pub fn code(dtype: TensorType) -> u32 {
    let same = KNOWN.iter().find(|(_, known)| *known == dtype);
    same.expect("every type has a number").0
}

/// The type of a number, or else what is wrong with it.
pub(super) fn from_code(code: u32) -> Result<TensorType, String> {
    if let Some((_, dtype)) = KNOWN.iter().find(|(known, _)| *known == code) {
        return Ok(*dtype);
    }
    let name = OTHERS.iter().find(|(other, _)| *other == code);
    let name = name.map_or_else(|| format!("of an unknown type, {code}"), |(_, n)| (*n).to_owned());
    Err(format!("is {name}; only F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q5_K and Q6_K are read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_number() {
        let floats = DType::ALL.into_iter().map(TensorType::Float);
        for dtype in floats.chain(BlockType::ALL.into_iter().map(TensorType::Block)) {
            assert_eq!(from_code(code(dtype)), Ok(dtype));
        }
        assert!(from_code(10).unwrap_err().starts_with("is Q2_K; only F32,"));
        assert!(from_code(77).unwrap_err().starts_with("is of an unknown type, 77; only"));
    }
}
