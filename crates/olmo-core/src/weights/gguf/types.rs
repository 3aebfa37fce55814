//! How tensors are stored, by the numbers that stand for it in files.

use crate::dtype::{DType, TensorType};
use crate::quant::BlockType;

/// What llama.cpp calls the types, those among them that are not read.
///
/// Source: `ggml_type` in `ggml.h` of llama.cpp.
const NAMES: [(u32, &str); 30] = [
    (0, "F32"),
    (1, "F16"),
    (2, "Q4_0"),
    (3, "Q4_1"),
    (6, "Q5_0"),
    (7, "Q5_1"),
    (8, "Q8_0"),
    (9, "Q8_1"),
    (10, "Q2_K"),
    (11, "Q3_K"),
    (12, "Q4_K"),
    (13, "Q5_K"),
    (14, "Q6_K"),
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
    (30, "BF16"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
    (40, "NVFP4"),
    (41, "Q1_0"),
];

/// The types that are read.
fn known() -> impl Iterator<Item = TensorType> {
    let floats = DType::ALL.into_iter().map(TensorType::Float);
    floats.chain(BlockType::ALL.into_iter().map(TensorType::Block))
}

/// The number of a type.
pub fn code(dtype: TensorType) -> u32 {
    match dtype {
        TensorType::Float(DType::F32) => 0,
        TensorType::Float(DType::F16) => 1,
        TensorType::Float(DType::BF16) => 30,
        TensorType::Block(block) => block.ggml_type(),
    }
}

/// The type of a number, or else what is wrong with it.
pub(super) fn from_code(number: u32) -> Result<TensorType, String> {
    if let Some(dtype) = known().find(|dtype| code(*dtype) == number) {
        return Ok(dtype);
    }
    let name = NAMES.iter().find(|(other, _)| *other == number);
    let name =
        name.map_or_else(|| format!("of an unknown type, {number}"), |(_, n)| (*n).to_owned());
    let read: Vec<String> = known().map(|dtype| dtype.name().to_uppercase()).collect();
    let (last, others) = read.split_last().expect("some types are read");
    Err(format!("is {name}; only {} and {last} are read", others.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_number() {
        for dtype in known() {
            assert_eq!(from_code(code(dtype)), Ok(dtype));
            let name = dtype.name().to_uppercase();
            assert!(NAMES.contains(&(code(dtype), &name)), "{name}");
        }
        assert!(from_code(10).unwrap_err().starts_with("is Q2_K; only F32,"));
        assert!(from_code(77).unwrap_err().starts_with("is of an unknown type, 77; only"));
    }
}
