//! The engine's inner loops. They know numbers and memory, and nothing of models.
//!
//! Each kernel is written once over [`lanes`], and compiled once for every kind of CPU. [`Kernels`]
//! is the table of the compiled functions; one is chosen when an engine starts. All tables give the
//! same bits, so the choice only changes the time.
//!
//! A kernel with a form of its own on some CPU (NEON, AMX, 8-bit weights) goes into the table of
//! that CPU in place of the generic one.

pub mod attention;
mod exp;
pub mod lanes;
pub mod matmul;
mod rows;
pub mod stored;
#[cfg(test)]
mod tests;

use half::{bf16, f16};

use crate::cache::CacheDType;
use crate::dtype::DType;
use crate::{Error, Result};
use attention::{KeyBlock, Queries};
use lanes::Element;
use matmul::Product;
use stored::{Floats, Stored, Q8_0};

/// A kind of CPU there are kernels for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Any CPU, and the meaning of the others.
    Scalar,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
}

/// The environment variable that overrides the choice of kernels, for tests and comparisons.
const OVERRIDE: &str = "OLMO2_KERNELS";

impl Variant {
    /// Best first.
    pub const ALL: [Variant; 3] = [Variant::Avx512, Variant::Avx2, Variant::Scalar];

    pub fn name(self) -> &'static str {
        match self {
            Variant::Scalar => "scalar",
            Variant::Avx2 => "avx2",
            Variant::Avx512 => "avx512",
        }
    }

    pub fn is_supported(self) -> bool {
        self.kernels().is_some()
    }

    /// The functions, if this CPU can run them.
    pub(in crate::backend::cpu) fn kernels(self) -> Option<&'static Kernels> {
        match self {
            Variant::Scalar => Some(&scalar::KERNELS),
            #[cfg(target_arch = "x86_64")]
            Variant::Avx2 => (is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c"))
            .then_some(&avx2::KERNELS),
            #[cfg(target_arch = "x86_64")]
            Variant::Avx512 => (is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("fma"))
            .then_some(&avx512::KERNELS),
            #[cfg(not(target_arch = "x86_64"))]
            _ => None,
        }
    }

    /// What the environment asks for, else the best this CPU can run.
    pub fn choose() -> Result<Variant> {
        match std::env::var(OVERRIDE) {
            Ok(name) => Variant::parse(&name),
            Err(_) => Ok(Variant::ALL
                .into_iter()
                .find(|variant| variant.kernels().is_some())
                .unwrap_or(Variant::Scalar)),
        }
    }

    fn parse(name: &str) -> Result<Variant> {
        let variants = || Variant::ALL.into_iter();
        let problem = match variants().find(|variant| variant.name() == name) {
            Some(variant) if variant.kernels().is_some() => return Ok(variant),
            Some(_) => "this CPU lacks the instructions; it",
            None => "it",
        };
        let runnable: Vec<&str> =
            variants().filter(|v| v.kernels().is_some()).map(Variant::name).collect();
        Err(Error::option(
            OVERRIDE,
            format!("`{name}`"),
            format!("{problem} must be one of {}", runnable.join(", ")),
        ))
    }
}

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
    attend: PerDType<Attend>,
    attend_q8_0: Attend,
    pub merge: unsafe fn(whole: &Queries, part: &Queries),
}

type Attend = unsafe fn(&Queries, &KeyBlock);

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
    /// [`matmul::matmul`] on weights of a dtype.
    pub fn matmul(&self, weights: DType) -> unsafe fn(&Product) {
        self.matmul.of(weights)
    }

    /// [`attention::attend`] to a cache of a dtype.
    pub fn attend(&self, cache: CacheDType) -> Attend {
        match cache {
            CacheDType::Float(dtype) => self.attend.of(dtype),
            CacheDType::Q8_0 => self.attend_q8_0,
        }
    }
}

/// Compiles the generic kernels for one kind of CPU. `tile` is the number of rows and of outputs a
/// matrix product works on at once, `queries` the number of queries attention does: as many as the
/// registers hold.
macro_rules! compile {
    (
        $(#[$enable:meta])* $name:ident, $variant:expr, $lanes:ty,
        tile: $rows:literal x $outputs:literal, queries: $queries:literal
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
            unsafe fn matmul<E: Element>(product: &Product) {
                matmul::matmul::<$lanes, E, $rows, $outputs>(product)
            }
            $(#[$enable])*
            unsafe fn attend<S: Stored>(queries: &Queries, block: &KeyBlock) {
                attention::attend::<$lanes, S, $queries>(queries, block)
            }

            $(#[$enable])*
            unsafe fn merge(whole: &Queries, part: &Queries) {
                attention::merge::<$lanes>(whole, part)
            }

            pub static KERNELS: Kernels = Kernels {
                variant: $variant,
                rms_norm,
                silu_mul,
                tile_rows: $rows,
                matmul: PerDType { f32: matmul::<f32>, f16: matmul::<f16>, bf16: matmul::<bf16> },
                attend: PerDType {
                    f32: attend::<Floats<f32>>,
                    f16: attend::<Floats<f16>>,
                    bf16: attend::<Floats<bf16>>,
                },
                attend_q8_0: attend::<Q8_0>,
                merge,
            };
        }
    };
}

compile!(scalar, Variant::Scalar, lanes::scalar::Scalar, tile: 1 x 4, queries: 1);

#[cfg(target_arch = "x86_64")]
compile!(
    #[target_feature(enable = "avx2,fma,f16c")]
    avx2, Variant::Avx2, lanes::avx2::Avx2, tile: 3 x 2, queries: 2
);

#[cfg(target_arch = "x86_64")]
compile!(
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma")]
    avx512, Variant::Avx512, lanes::avx512::Avx512, tile: 6 x 4, queries: 6
);
