//! Weights in blocks of few-bit integers: the formats of GGUF files, and how to get there and back.
//!
//! A block is some consecutive weights of one row, 32 or 256 of them, with the scales that turn its
//! integers into numbers. Each format is one file: the bytes of its block, and what they mean. The
//! layouts are those of `ggml-common.h` in llama.cpp, so that files can be exchanged.
//!
//! This module defines the formats, number by number; the kernels of the CPU engine are held against
//! it. It knows nothing of files ([`crate::weights`]), and nothing of models: which weight gets which
//! format is for [`crate::precision`] to say.
//!
//! Quantising gives the bytes that llama.cpp gives, compiled for any x86-64: with the same sums in the
//! same order. `ggml-base`, which holds that code, is built without FMA there. Where a compiler fuses
//! products with additions, as on arm64, llama.cpp's own bytes differ in a block here and there.

mod affine;
mod block_type;
mod formats;
mod lanes;
mod q4_0;
mod q4_k;
mod q5_0;
mod q5_k;
mod q6_k;
mod q8_0;
mod scales;
mod search;
mod signed;

pub use block_type::BlockType;
pub(crate) use formats::formats;
pub(crate) use scales::unpack as unpack_scales;

macro_rules! export_blocks {
    ($($format:ident: $file:ident::$block:ident, mix $scheme:ident $about:tt;)*) => {
        $(pub use $file::$block;)*
    };
}
formats!(export_blocks);

/// One block of a format, as files have it: little-endian, without padding, aligned to nothing.
pub trait Block: Copy + Send + Sync + 'static {
    /// The format's name, as llama.cpp writes it but in small letters.
    const NAME: &'static str;

    /// The number that stands for it in GGUF files: `ggml_type` in `ggml.h` of llama.cpp.
    const GGML_TYPE: u32;

    /// Weights in a block.
    const LEN: usize;

    /// The blocks closest to the weights of a row, of finite numbers, in the sense of llama.cpp.
    /// `importance` says how much the error of each weight matters.
    fn quantize(row: &[f32], importance: Option<&[f32]>, blocks: &mut [Self]);

    /// Whether the scales are numbers.
    fn is_finite(&self) -> bool;

    /// The numbers a block stands for, [`Block::LEN`] of them.
    fn dequantize(&self, out: &mut [f32]);
}

/// Why a row cannot be stored in blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unquantizable {
    /// A weight is NaN or infinite.
    NotFinite,
    /// A scale is beyond what 16 bits can hold.
    TooLarge,
}

/// Beyond this no format has a scale: of all, `q6_k` reaches furthest, to 65504 · 128 · 32.
const TOO_LARGE: f32 = 1e9;

impl std::fmt::Display for Unquantizable {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            Unquantizable::NotFinite => "holds NaN or infinity",
            Unquantizable::TooLarge => "holds numbers too large for 16-bit scales",
        })
    }
}

fn quantize<B: Block>(
    row: &[f32],
    importance: Option<&[f32]>,
    blocks: &mut [u8],
) -> Result<(), Unquantizable> {
    // SAFETY: a block consists of bytes, whole ones, so any bits and any alignment will do.
    let (before, blocks, after) = unsafe { blocks.align_to_mut::<B>() };
    assert!(before.is_empty() && after.is_empty());
    let largest = largest(row);
    if !largest.is_finite() {
        return Err(Unquantizable::NotFinite);
    }
    // Squares and sums of larger ones could overflow, and a search end with nothing.
    if largest > TOO_LARGE {
        return Err(Unquantizable::TooLarge);
    }
    vectorized(row, importance, blocks);
    match blocks.iter().all(Block::is_finite) {
        true => Ok(()),
        false => Err(Unquantizable::TooLarge),
    }
}

/// [`Block::quantize`], compiled for the wider vectors too. Nothing is fused for them, so the bits are
/// the same.
fn vectorized<B: Block>(row: &[f32], importance: Option<&[f32]>, blocks: &mut [B]) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn avx2<B: Block>(row: &[f32], importance: Option<&[f32]>, blocks: &mut [B]) {
            B::quantize(row, importance, blocks);
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the CPU has AVX2.
            return unsafe { avx2(row, importance, blocks) };
        }
    }
    B::quantize(row, importance, blocks);
}

/// The largest absolute value; NaN if there is one.
///
/// Without their signs, floats are in the order of their bits, and NaN comes last. Unlike a maximum of
/// floats, one of integers may be taken in any order, and so in vectors.
#[inline(always)]
fn largest(weights: &[f32]) -> f32 {
    let size = |x: &f32| x.to_bits() & 0x7fff_ffff;
    f32::from_bits(weights.iter().map(size).fold(0, u32::max))
}

/// What weights are multiplied with to get integers of a scale. `None` if the scale is so small that this
/// is beyond f32.
#[inline(always)]
fn inverse(scale: f32) -> Option<f32> {
    match scale == 0.0 {
        true => Some(0.0),
        false => Some(1.0 / scale).filter(|inverse| inverse.is_finite()),
    }
}

fn dequantize<B: Block>(blocks: &[u8], out: &mut [f32]) {
    let blocks = blocks.chunks_exact(size_of::<B>());
    for (bytes, out) in blocks.zip(out.chunks_exact_mut(B::LEN)) {
        // SAFETY: as many bytes as a block has, whose fields are integers and take any bits.
        let block = unsafe { bytes.as_ptr().cast::<B>().read_unaligned() };
        block.dequantize(out);
    }
}

/// A 16-bit float as blocks hold it: two bytes, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Half([u8; 2]);

impl Half {
    pub fn new(x: f32) -> Half {
        Half(half::f16::from_f32(x).to_le_bytes())
    }

    pub fn get(self) -> f32 {
        half::f16::from_le_bytes(self.0).to_f32()
    }

    pub fn from_bytes(bytes: [u8; 2]) -> Half {
        Half(bytes)
    }

    pub fn to_bytes(self) -> [u8; 2] {
        self.0
    }

    /// With the other sign.
    pub fn negated(self) -> Half {
        Half([self.0[0], self.0[1] ^ 0x80])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes<B: Block>(quantize: impl Fn(&mut [B])) -> Vec<u8> {
        let mut bytes = vec![0; 512 / B::LEN * size_of::<B>()];
        // SAFETY: a block consists of bytes.
        let (_, blocks, _) = unsafe { bytes.align_to_mut::<B>() };
        quantize(blocks);
        bytes
    }

    fn same<B: Block>(row: &[f32], importance: Option<&[f32]>) {
        let plain = bytes::<B>(|blocks| B::quantize(row, importance, blocks));
        let wide = bytes::<B>(|blocks| vectorized(row, importance, blocks));
        assert_eq!(plain, wide, "{}", B::NAME);
    }

    macro_rules! same_of_all {
        ($($format:ident: $file:ident::$block:ident, mix $scheme:ident $about:tt;)*) => {
            fn same_of_all(row: &[f32], importance: Option<&[f32]>) {
                $(same::<$block>(row, importance);)*
            }
        };
    }
    formats!(same_of_all);

    proptest! {
        #[test]
        fn wider_vectors_change_no_bit(
            row in prop::collection::vec(-2.0f32..2.0, 512),
            importance in prop::collection::vec(0.0f32..100.0, 512),
        ) {
            for importance in [None, Some(importance.as_slice())] {
                same_of_all(&row, importance);
            }
        }
    }
}
