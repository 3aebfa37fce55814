//! Weights in blocks of few-bit integers: the formats of GGUF files, and how to get there and back.
//!
//! A block is some consecutive weights of one row, 32 or 256 of them, with the scales that turn its
//! integers into numbers. Each format is one file: the bytes of its block, and what they mean. The
//! layouts are those of `ggml-common.h` in llama.cpp, so that files can be exchanged.
//!
//! This module defines the formats, number by number; the kernels of the CPU engine are held against
//! it. It knows nothing of files ([`crate::weights`]); of models only [`Scheme`] knows.
//!
//! Quantising gives the bytes that llama.cpp gives, compiled for any x86-64: with the same sums in the
//! same order. `ggml-base`, which holds that code, is built without FMA there. Where a compiler fuses
//! products with additions, as on arm64, llama.cpp's own bytes differ in a block here and there.

mod affine;
mod lanes;
mod q4_0;
mod q4_k;
mod q5_k;
mod q6_k;
mod q8_0;
mod scales;
mod scheme;
mod search;

pub use q4_0::BlockQ4_0;
pub use q4_k::BlockQ4K;
pub use q5_k::BlockQ5K;
pub use q6_k::BlockQ6K;
pub use q8_0::BlockQ8_0;
pub(crate) use scales::unpack as unpack_scales;
pub use scheme::Scheme;

/// One block of a format, as files have it: little-endian, without padding, aligned to nothing.
pub trait Block: Copy + Send + Sync + 'static {
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

/// The formats there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockType {
    Q8_0,
    Q4_0,
    Q4K,
    Q5K,
    Q6K,
}

/// Calls a generic function with the block of a [`BlockType`].
macro_rules! with_block {
    ($block_type:expr, $function:ident::<_>($($argument:expr),*)) => {
        match $block_type {
            BlockType::Q8_0 => $function::<BlockQ8_0>($($argument),*),
            BlockType::Q4_0 => $function::<BlockQ4_0>($($argument),*),
            BlockType::Q4K => $function::<BlockQ4K>($($argument),*),
            BlockType::Q5K => $function::<BlockQ5K>($($argument),*),
            BlockType::Q6K => $function::<BlockQ6K>($($argument),*),
        }
    };
}

impl BlockType {
    pub const ALL: [BlockType; 5] =
        [BlockType::Q8_0, BlockType::Q4_0, BlockType::Q4K, BlockType::Q5K, BlockType::Q6K];

    /// The format's name, as llama.cpp writes it but in small letters.
    pub fn name(self) -> &'static str {
        match self {
            BlockType::Q8_0 => "q8_0",
            BlockType::Q4_0 => "q4_0",
            BlockType::Q4K => "q4_k",
            BlockType::Q5K => "q5_k",
            BlockType::Q6K => "q6_k",
        }
    }

    /// Weights in a block.
    pub fn block_len(self) -> usize {
        fn len<B: Block>() -> usize {
            B::LEN
        }
        with_block!(self, len::<_>())
    }

    /// Bytes of a block.
    pub fn block_bytes(self) -> usize {
        with_block!(self, size_of::<_>())
    }

    /// Bytes of that many weights; `None` if they are not whole blocks, or too many.
    pub fn bytes(self, weights: usize) -> Option<usize> {
        match weights.is_multiple_of(self.block_len()) {
            true => (weights / self.block_len()).checked_mul(self.block_bytes()),
            false => None,
        }
    }

    /// The blocks of a row of weights; `importance` (none below zero) says how much the error of each
    /// matters, such as the mean square of the input it is multiplied with. A format searches with it
    /// as llama.cpp does, or ignores it (`q8_0`).
    ///
    /// Errors if a weight is not a number, or too large; what `blocks` hold is then of no use.
    ///
    /// # Panics
    /// If `blocks` is not the room `row` takes, or there are not as many of `importance`.
    pub fn quantize(
        self,
        row: &[f32],
        importance: Option<&[f32]>,
        blocks: &mut [u8],
    ) -> Result<(), Unquantizable> {
        assert_eq!(Some(blocks.len()), self.bytes(row.len()));
        assert!(importance.is_none_or(|importance| importance.len() == row.len()));
        with_block!(self, quantize::<_>(row, importance, blocks))
    }

    /// The numbers of whole blocks.
    ///
    /// # Panics
    /// If `blocks` are not as many whole blocks as `out` has room for.
    pub fn dequantize(self, blocks: &[u8], out: &mut [f32]) {
        assert_eq!(Some(blocks.len()), self.bytes(out.len()));
        with_block!(self, dequantize::<_>(blocks, out))
    }
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

    fn both<B: Block>(row: &[f32], importance: Option<&[f32]>) -> [Vec<u8>; 2] {
        [
            bytes::<B>(|blocks| B::quantize(row, importance, blocks)),
            bytes::<B>(|blocks| vectorized(row, importance, blocks)),
        ]
    }

    proptest! {
        #[test]
        fn wider_vectors_change_no_bit(
            row in prop::collection::vec(-2.0f32..2.0, 512),
            importance in prop::collection::vec(0.0f32..100.0, 512),
        ) {
            for block in BlockType::ALL {
                for importance in [None, Some(importance.as_slice())] {
                    let [plain, wide] = with_block!(block, both::<_>(&row, importance));
                    prop_assert_eq!(plain, wide, "{}", block.name());
                }
            }
        }
    }
}
