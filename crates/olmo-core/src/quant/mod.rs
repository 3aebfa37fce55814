//! Weights in blocks of few-bit integers: the formats of GGUF files, and how to get there and back.
//!
//! A block is some consecutive weights of one row, 32 or 256 of them, with the scales that turn its
//! integers into numbers. Each format is one file: the bytes of its block, and what they mean. The
//! layouts are those of `ggml-common.h` in llama.cpp, so that files can be exchanged.
//!
//! This module defines the formats, number by number; the kernels of the CPU engine are held against
//! it. It knows nothing of files ([`crate::weights`]) or of models.

mod q4_0;
mod q4_k;
mod q5_k;
mod q6_k;
mod q8_0;
mod scales;

pub use q4_0::BlockQ4_0;
pub use q4_k::BlockQ4K;
pub use q5_k::BlockQ5K;
pub use q6_k::BlockQ6K;
pub use q8_0::BlockQ8_0;
pub(crate) use scales::unpack as unpack_scales;

/// One block of a format, as files have it: little-endian, without padding, aligned to nothing.
pub trait Block: Copy + Send + Sync + 'static {
    /// Weights in a block.
    const LEN: usize;

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

    /// The numbers of whole blocks.
    ///
    /// # Panics
    /// If `blocks` are not as many whole blocks as `out` has room for.
    pub fn dequantize(self, blocks: &[u8], out: &mut [f32]) {
        assert_eq!(Some(blocks.len()), self.bytes(out.len()));
        with_block!(self, dequantize::<_>(blocks, out))
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
