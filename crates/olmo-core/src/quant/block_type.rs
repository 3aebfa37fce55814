//! The formats as values, by which they are told apart while the program runs.

use super::formats::formats;
use super::{dequantize, quantize, Block, Unquantizable};

macro_rules! declare {
    ($($format:ident: $file:ident::$block:ident, mix $scheme:ident $about:tt;)*) => {
        /// The formats there are.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum BlockType {
            $($format,)*
        }

        impl BlockType {
            pub const ALL: [BlockType; FORMATS.len()] = [$(BlockType::$format),*];
        }

        /// In the order of [`BlockType::ALL`].
        const FORMATS: &[Format] = &[$(Format::of::<super::$file::$block>()),*];
    };
}

formats!(declare);

/// Turns a row, with or without the importance of its weights, into blocks.
type Quantize = fn(&[f32], Option<&[f32]>, &mut [u8]) -> Result<(), Unquantizable>;

/// What is known of a format, and its functions.
struct Format {
    name: &'static str,
    ggml_type: u32,
    block_len: usize,
    block_bytes: usize,
    quantize: Quantize,
    dequantize: fn(&[u8], &mut [f32]),
}

impl Format {
    const fn of<B: Block>() -> Format {
        Format {
            name: B::NAME,
            ggml_type: B::GGML_TYPE,
            block_len: B::LEN,
            block_bytes: size_of::<B>(),
            quantize: quantize::<B>,
            dequantize: dequantize::<B>,
        }
    }
}

impl BlockType {
    fn format(self) -> &'static Format {
        &FORMATS[self as usize]
    }

    /// The format's name, as llama.cpp writes it but in small letters.
    pub fn name(self) -> &'static str {
        self.format().name
    }

    /// The number that stands for it in GGUF files.
    pub fn ggml_type(self) -> u32 {
        self.format().ggml_type
    }

    /// Weights in a block.
    pub fn block_len(self) -> usize {
        self.format().block_len
    }

    /// Bytes of a block.
    pub fn block_bytes(self) -> usize {
        self.format().block_bytes
    }

    /// Bits of a weight, its share in the scales among them.
    pub fn bits_per_weight(self) -> f64 {
        8.0 * self.block_bytes() as f64 / self.block_len() as f64
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
        (self.format().quantize)(row, importance, blocks)
    }

    /// The numbers of whole blocks.
    ///
    /// # Panics
    /// If `blocks` are not as many whole blocks as `out` has room for.
    pub fn dequantize(self, blocks: &[u8], out: &mut [f32]) {
        assert_eq!(Some(blocks.len()), self.bytes(out.len()));
        (self.format().dequantize)(blocks, out)
    }
}
