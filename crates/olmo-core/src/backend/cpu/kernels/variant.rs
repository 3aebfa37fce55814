//! The kinds of CPU there are kernels for, and which one is chosen.

#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512, avx512amx, avx512bf16, avx512vnni, tiles};
#[cfg(target_arch = "aarch64")]
use super::{neon, neon_dotprod};
use super::{scalar, scalar_amx, scalar_bf16, Kernels};
use crate::{Error, Result};

/// A kind of CPU there are kernels for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Any CPU, and the meaning of the others.
    Scalar,
    /// Any CPU, and the meaning of those that multiply pairs of bf16. Only on request.
    ScalarBf16,
    /// Any CPU, and the meaning of those that multiply bf16 in tiles. Only on request.
    ScalarAmx,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// AVX-512 F, BW, DQ and VL. Weights in blocks use AVX2.
    Avx512,
    /// The same with VNNI, for weights in blocks.
    Avx512Vnni,
    /// The same with BF16, for weights in that.
    Avx512Bf16,
    /// AVX-512 with VNNI, and AMX for weights in bf16.
    Avx512Amx,
    /// Any arm64.
    Neon,
    /// arm64 with dot products of bytes (the extension `dotprod`), for weights in blocks.
    NeonDotprod,
}

/// How weights in bf16 are multiplied, which decides the bits of what they give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bf16Products {
    /// Widened to f32, beside activations in f32.
    Widened,
    /// As pairs, beside activations rounded to bf16.
    Pairs,
    /// In tiles, beside activations rounded to bf16.
    Tiles,
}

impl Bf16Products {
    /// The kernels that any CPU runs and that give these bits.
    pub fn scalar(self) -> Variant {
        match self {
            Bf16Products::Widened => Variant::Scalar,
            Bf16Products::Pairs => Variant::ScalarBf16,
            Bf16Products::Tiles => Variant::ScalarAmx,
        }
    }
}

/// The environment variable that overrides the choice of kernels, for tests and comparisons.
const OVERRIDE: &str = "OLMO2_KERNELS";

impl Variant {
    /// Best first.
    pub const ALL: [Variant; 10] = [
        Variant::Avx512Amx,
        Variant::Avx512Bf16,
        Variant::Avx512Vnni,
        Variant::Avx512,
        Variant::Avx2,
        Variant::NeonDotprod,
        Variant::Neon,
        Variant::Scalar,
        Variant::ScalarBf16,
        Variant::ScalarAmx,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Variant::Scalar => "scalar",
            Variant::ScalarBf16 => "scalarbf16",
            Variant::ScalarAmx => "scalaramx",
            Variant::Avx2 => "avx2",
            Variant::Avx512 => "avx512",
            Variant::Avx512Vnni => "avx512vnni",
            Variant::Avx512Bf16 => "avx512bf16",
            Variant::Avx512Amx => "avx512amx",
            Variant::Neon => "neon",
            Variant::NeonDotprod => "neondotprod",
        }
    }

    pub fn is_supported(self) -> bool {
        self.kernels().is_some()
    }

    /// How weights in bf16 are multiplied; none if this CPU lacks the instructions.
    pub fn bf16_products(self) -> Option<Bf16Products> {
        self.kernels().map(|kernels| kernels.bf16_products)
    }

    /// The functions, if this CPU can run them.
    pub(in crate::backend::cpu) fn kernels(self) -> Option<&'static Kernels> {
        match self {
            Variant::Scalar => Some(&scalar::KERNELS),
            Variant::ScalarBf16 => Some(&scalar_bf16::KERNELS),
            Variant::ScalarAmx => Some(&scalar_amx::KERNELS),
            #[cfg(target_arch = "x86_64")]
            Variant::Avx2 => (is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c"))
            .then_some(&avx2::KERNELS),
            #[cfg(target_arch = "x86_64")]
            Variant::Avx512 => has_avx512().then_some(&avx512::KERNELS),
            #[cfg(target_arch = "x86_64")]
            Variant::Avx512Vnni => has_vnni().then_some(&avx512vnni::KERNELS),
            #[cfg(target_arch = "x86_64")]
            Variant::Avx512Bf16 => (has_vnni() && is_x86_feature_detected!("avx512bf16"))
                .then_some(&avx512bf16::KERNELS),
            #[cfg(target_arch = "x86_64")]
            Variant::Avx512Amx => {
                (has_vnni() && tiles::amx::is_supported()).then_some(&avx512amx::KERNELS)
            }
            #[cfg(target_arch = "aarch64")]
            Variant::Neon => Some(&neon::KERNELS),
            #[cfg(target_arch = "aarch64")]
            Variant::NeonDotprod => {
                std::arch::is_aarch64_feature_detected!("dotprod").then_some(&neon_dotprod::KERNELS)
            }
            // Those of other kinds of CPU.
            _ => None,
        }
    }

    /// What the environment asks for, else the best this CPU can run.
    pub fn choose() -> Result<Variant> {
        match std::env::var(OVERRIDE) {
            Ok(name) => Variant::parse(&name),
            Err(_) => Ok(Variant::ALL
                .into_iter()
                .find(|variant| variant.kernels().is_some() && variant.is_worth_it())
                .unwrap_or(Variant::Scalar)),
        }
    }

    /// Whether it is faster than those after it. Intel's CPUs multiply pairs of bf16 at half the rate of f32 (178 and
    /// 347 GFLOP/s on the Xeon in `bench/README.md`), and with them lose the bits that all other kernels share.
    fn is_worth_it(self) -> bool {
        self != Variant::Avx512Bf16 || !is_intel()
    }

    pub(super) fn parse(name: &str) -> Result<Variant> {
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

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
}

#[cfg(target_arch = "x86_64")]
fn has_vnni() -> bool {
    has_avx512() && is_x86_feature_detected!("avx512vnni")
}

#[cfg(target_arch = "x86_64")]
fn is_intel() -> bool {
    // Newer versions of Rust than the oldest that builds this call it safe.
    #[allow(unused_unsafe)]
    // SAFETY: every CPU of this architecture has the instruction, and leaf 0 of it.
    let leaf = unsafe { std::arch::x86_64::__cpuid(0) };
    let vendor = [leaf.ebx, leaf.edx, leaf.ecx].map(u32::to_le_bytes);
    vendor.as_flattened() == b"GenuineIntel"
}

#[cfg(not(target_arch = "x86_64"))]
fn is_intel() -> bool {
    false
}
