//! The engine's inner loops. They know numbers and memory, and nothing of models.
//!
//! Each kernel is written once over [`lanes`], and compiled once for every kind of CPU. [`Kernels`]
//! is the table of the compiled functions; one is chosen when an engine starts. All tables give the
//! same bits, so the choice only changes the time; but for weights in bf16, which some CPUs multiply as
//! [pairs](factors::Pairs) or in [tiles] beside activations in bf16.
//!
//! Weights in blocks have kernels over integers ([`blocks`]) in the same manner.

pub mod attention;
pub mod blocks;
mod exp;
pub mod factors;
pub mod kv_block;
pub mod lanes;
pub mod matmul;
mod rows;
#[cfg(test)]
pub(super) mod tests;
pub mod tiles;
mod variant;

pub use variant::{Bf16Products, Variant};

use half::{bf16, f16};

use crate::cache::CacheDType;
use crate::dtype::DType;
use crate::quant::{formats, BlockType};
use attention::{KeyBlock, Queries};
use blocks::activations::{self, Activations, BlockLen};
use blocks::Format;
use factors::{Factors, Pairs, Widened};
use kv_block::{Floats, KvLayout, Q8_0};
use matmul::Product;

/// The compiled kernels for one kind of CPU.
///
/// # Safety
///
/// To call a function of the table, two things must hold: the CPU has the table's instructions,
/// which [`Variant::kernels`] has made sure of, and the function's own conditions, stated at the
/// generic function of its name.
pub struct Kernels {
    pub variant: Variant,
    pub rms_norm: unsafe fn(x: &mut [f32], weight: &[f32], eps: f32),
    pub silu_mul: unsafe fn(gate: &mut [f32], up: &[f32]),
    /// Rows of a tile of [`Kernels::matmul`], for [`matmul::pack`].
    pub tile_rows: usize,
    matmul: PerDType<unsafe fn(&Product)>,
    /// How [`Kernels::matmul`] multiplies weights in bf16.
    pub bf16_products: Bf16Products,
    /// [`tiles::pack`], if it multiplies them in tiles.
    pub pack_tiles: Option<PackTiles>,
    attend: PerDType<Attend>,
    attend_q8_0: Attend,
    pub merge: unsafe fn(whole: &Queries, part: &Queries),
    /// Rows of a tile of [`Kernels::blocks`], for [`activations::quantize`].
    pub block_tile_rows: usize,
    /// In the order of [`BlockType::ALL`].
    blocks: [unsafe fn(&blocks::Product); BlockType::ALL.len()],
    /// In the order of [`BlockLen`].
    quantize: [Quantize; BlockLen::COUNT],
}

pub type PackTiles = unsafe fn(x: &[f32], inputs: usize, first: usize, packed: *mut bf16);
type Attend = unsafe fn(&Queries, &KeyBlock);
type Quantize = unsafe fn(x: &[f32], row: usize, rows: usize, tile: usize, out: &Activations);

/// One function for each dtype of what is stored.
struct PerDType<F> {
    f32: F,
    f16: F,
    bf16: F,
}

impl<F: Copy> PerDType<F> {
    fn of(&self, dtype: DType) -> F {
        match dtype {
            DType::F32 => self.f32,
            DType::F16 => self.f16,
            DType::BF16 => self.bf16,
        }
    }
}

impl Kernels {
    /// [`blocks::product`] on weights in blocks.
    pub fn blocks(&self, weights: BlockType) -> unsafe fn(&blocks::Product) {
        self.blocks[weights as usize]
    }

    /// [`activations::quantize`] for weights in blocks.
    pub fn quantize(&self, weights: BlockType) -> Quantize {
        self.quantize[BlockLen::of(weights.block_len()) as usize]
    }

    /// [`matmul::matmul`] on weights of a dtype.
    pub fn matmul(&self, weights: DType) -> unsafe fn(&Product) {
        self.matmul.of(weights)
    }

    /// The dtype that activations are packed in for [`Kernels::matmul`].
    pub fn activations(&self, weights: DType) -> DType {
        match weights {
            DType::BF16 if self.bf16_products != Bf16Products::Widened => DType::BF16,
            _ => DType::F32,
        }
    }

    /// [`attention::attend`] to a cache of a dtype.
    pub fn attend(&self, cache: CacheDType) -> Attend {
        match cache {
            CacheDType::Float(dtype) => self.attend.of(dtype),
            CacheDType::Q8_0 => self.attend_q8_0,
        }
    }
}

/// `product` for every format.
macro_rules! products {
    ($($format:ident: $file:ident::$block:ident, mix $scheme:ident $about:tt;)*) => {
        [$(product::<blocks::$format>),*]
    };
}

/// Compiles the generic kernels for one kind of CPU. `tile` is the number of rows and of outputs a
/// matrix product works on at once, `queries` the number of queries attention does, `blocks` the lanes of
/// integers with the rows and the groups of a tile: as many as the registers hold.
macro_rules! compile {
    (
        $(#[$enable:meta])* $name:ident, $variant:expr, $lanes:ty,
        tile: $rows:literal x $outputs:literal, queries: $queries:literal,
        blocks: $integers:ty, $block_rows:literal x $groups:literal
    ) => {
        mod $name {
            use super::*;

            $(#[$enable])*
            unsafe fn rms_norm(x: &mut [f32], weight: &[f32], eps: f32) {
                rows::rms_norm::<$lanes>(x, weight, eps)
            }
            $(#[$enable])*
            unsafe fn silu_mul(gate: &mut [f32], up: &[f32]) {
                rows::silu_mul::<$lanes>(gate, up)
            }
            $(#[$enable])*
            unsafe fn matmul<F: Factors>(product: &Product) {
                matmul::matmul::<F, $rows, $outputs>(product)
            }
            $(#[$enable])*
            unsafe fn attend<S: KvLayout>(queries: &Queries, block: &KeyBlock) {
                attention::attend::<$lanes, S, $queries>(queries, block)
            }

            $(#[$enable])*
            unsafe fn merge(whole: &Queries, part: &Queries) {
                attention::merge::<$lanes>(whole, part)
            }
            integer_kernels!($(#[$enable])* $integers, $block_rows x $groups);

            pub const TABLE: Kernels = Kernels {
                variant: $variant,
                rms_norm,
                silu_mul,
                tile_rows: $rows,
                matmul: PerDType {
                    f32: matmul::<Widened<$lanes, f32>>,
                    f16: matmul::<Widened<$lanes, f16>>,
                    bf16: matmul::<Widened<$lanes, bf16>>,
                },
                bf16_products: Bf16Products::Widened,
                pack_tiles: None,
                attend: PerDType {
                    f32: attend::<Floats<f32>>,
                    f16: attend::<Floats<f16>>,
                    bf16: attend::<Floats<bf16>>,
                },
                attend_q8_0: attend::<Q8_0>,
                merge,
                block_tile_rows: $block_rows,
                blocks: formats!(products),
                quantize: [quantize::<32>, quantize::<256>],
            };
            pub static KERNELS: Kernels = TABLE;
        }
    };
}

/// The kernels over blocks of integers, for one kind of CPU.
macro_rules! integer_kernels {
    ($(#[$enable:meta])* $integers:ty, $block_rows:literal x $groups:literal) => {
        $(#[$enable])*
        unsafe fn product<F: Format>(product: &blocks::Product) {
            blocks::product::<$integers, F, $block_rows, $groups>(product)
        }
        $(#[$enable])*
        unsafe fn quantize<const LEN: usize>(
            x: &[f32],
            row: usize,
            rows: usize,
            tile: usize,
            out: &Activations,
        ) {
            activations::quantize::<LEN>(x, row, rows, tile, out)
        }
    };
}

/// A kind of CPU that has more than another for blocks of integers, and computes the rest with its kernels.
macro_rules! with_blocks {
    (
        $(#[$enable:meta])* $name:ident, $variant:expr, like: $base:ident,
        blocks: $integers:ty, $block_rows:literal x $groups:literal
    ) => {
        mod $name {
            use super::*;

            integer_kernels!($(#[$enable])* $integers, $block_rows x $groups);

            pub const TABLE: Kernels = Kernels {
                variant: $variant,
                block_tile_rows: $block_rows,
                blocks: formats!(products),
                quantize: [quantize::<32>, quantize::<256>],
                ..$base::TABLE
            };
            pub static KERNELS: Kernels = TABLE;
        }
    };
}

/// A kind of CPU that multiplies pairs of bf16, and computes the rest with another's kernels.
macro_rules! with_pairs {
    (
        $(#[$enable:meta])* $name:ident, $variant:expr, $lanes:ty, like: $base:ident,
        tile: $rows:literal x $outputs:literal
    ) => {
        mod $name {
            use super::*;

            $(#[$enable])*
            unsafe fn matmul(product: &Product) {
                matmul::matmul::<Pairs<$lanes, bf16>, $rows, $outputs>(product)
            }

            pub static KERNELS: Kernels = Kernels {
                variant: $variant,
                tile_rows: $rows,
                matmul: PerDType { bf16: matmul, ..$base::TABLE.matmul },
                bf16_products: Bf16Products::Pairs,
                ..$base::TABLE
            };
            // Rows are packed for all types of weights alike.
            const _: () = assert!($base::TABLE.tile_rows == $rows);
        }
    };
}

/// A kind of CPU that multiplies bf16 in tiles, and computes the rest with another's kernels.
macro_rules! with_tiles {
    ($(#[$enable:meta])* $name:ident, $variant:expr, $tiles:ty, like: $base:ident) => {
        mod $name {
            use super::*;

            $(#[$enable])*
            unsafe fn matmul(product: &Product) {
                tiles::matmul::<$tiles>(product)
            }
            $(#[$enable])*
            unsafe fn pack(x: &[f32], inputs: usize, first: usize, packed: *mut bf16) {
                tiles::pack::<$tiles>(x, inputs, first, packed)
            }

            pub static KERNELS: Kernels = Kernels {
                variant: $variant,
                matmul: PerDType { bf16: matmul, ..$base::TABLE.matmul },
                bf16_products: Bf16Products::Tiles,
                pack_tiles: Some(pack),
                ..$base::TABLE
            };
        }
    };
}

compile!(
    scalar, Variant::Scalar, lanes::scalar::Scalar, tile: 1 x 4, queries: 1,
    blocks: lanes::scalar::Scalar, 1 x 1
);

with_pairs!(
    scalar_bf16, Variant::ScalarBf16, lanes::scalar::Scalar, like: scalar, tile: 1 x 4
);

with_tiles!(scalar_amx, Variant::ScalarAmx, tiles::scalar::Scalar, like: scalar);

#[cfg(target_arch = "x86_64")]
compile!(
    #[target_feature(enable = "avx2,fma,f16c")]
    avx2, Variant::Avx2, lanes::avx2::Avx2, tile: 3 x 2, queries: 2,
    blocks: lanes::avx2::Avx2, 4 x 1
);

#[cfg(target_arch = "x86_64")]
compile!(
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
    avx512, Variant::Avx512, lanes::avx512::Avx512, tile: 6 x 4, queries: 6,
    blocks: lanes::avx2::Avx2, 4 x 1
);

#[cfg(target_arch = "x86_64")]
with_blocks!(
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
    avx512vnni, Variant::Avx512Vnni, like: avx512, blocks: lanes::avx512::Avx512, 8 x 2
);

#[cfg(target_arch = "x86_64")]
with_pairs!(
    #[target_feature(
        enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx2,fma,f16c"
    )]
    avx512bf16, Variant::Avx512Bf16, lanes::avx512::Avx512, like: avx512vnni, tile: 6 x 4
);

#[cfg(target_arch = "x86_64")]
with_tiles!(
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
    avx512amx, Variant::Avx512Amx, tiles::amx::Amx, like: avx512vnni
);

#[cfg(target_arch = "aarch64")]
compile!(
    #[target_feature(enable = "neon")]
    neon, Variant::Neon, lanes::neon::Neon<blocks::integers::neon::Widening>,
    tile: 2 x 2, queries: 2,
    blocks: lanes::neon::Neon<blocks::integers::neon::Widening>, 2 x 1
);

#[cfg(target_arch = "aarch64")]
with_blocks!(
    #[target_feature(enable = "neon,dotprod")]
    neon_dotprod, Variant::NeonDotprod, like: neon,
    blocks: lanes::neon::Neon<blocks::integers::neon::DotProduct>, 4 x 1
);
