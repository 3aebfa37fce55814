//! Loops over the x86-64 instructions that matrix products are made of.

use std::arch::asm;

use olmo_core::backend::cpu::Variant;

use super::Peak;

pub fn all() -> Vec<Peak> {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let avx512 = is_x86_feature_detected!("avx512f");
    let vnni = avx512 && is_x86_feature_detected!("avx512vnni");
    let bf16 = avx512 && is_x86_feature_detected!("avx512bf16");
    let peak = |name, has: bool, operations, run| Peak {
        name,
        operations: has.then_some(operations),
        run,
    };
    vec![
        peak("fmaAvx2Gops", avx2, 10 * 8 * 2, fma_avx2),
        peak("maddubsMaddwdAdddGops", avx2, 4 * 32 * 2, maddubs_maddwd_addd),
        peak("maddubsAddwGops", avx2, 4 * 32 * 2, maddubs_addw),
        peak("fmaAvx512Gops", avx512, 10 * 16 * 2, fma_avx512),
        peak("vpdpbusdGops", vnni, 10 * 64 * 2, vpdpbusd),
        peak("vdpbf16psGops", bf16, 10 * 32 * 2, vdpbf16ps),
        peak("tdpbf16psGops", Variant::Avx512Amx.is_supported(), 4 * 16 * 16 * 32 * 2, tdpbf16ps),
    ]
}

/// A function that passes `n` times through a loop over registers; all are zero.
macro_rules! looped {
    ($name:ident, $($line:literal),+ $(,)?) => {
        fn $name(n: u64) {
            // SAFETY: `all` names this function only for a CPU that has the instructions. They use
            // no memory and no registers but those declared, and the loop ends as `n` is above 0.
            unsafe {
                asm!(
                    // Denormals or NaNs left in the sums would slow some CPUs down: all start at 0.
                    "vzeroall",
                    ".p2align 6",
                    "2:",
                    $($line,)+
                    "dec {n}",
                    "jnz 2b",
                    n = inout(reg) n.max(1) => _,
                    out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                    out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                    out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                    out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
                    options(nomem, nostack),
                );
            }
        }
    };
}

looped!(
    fma_avx2,
    "vfmadd231ps ymm0, ymm14, ymm15",
    "vfmadd231ps ymm1, ymm14, ymm15",
    "vfmadd231ps ymm2, ymm14, ymm15",
    "vfmadd231ps ymm3, ymm14, ymm15",
    "vfmadd231ps ymm4, ymm14, ymm15",
    "vfmadd231ps ymm5, ymm14, ymm15",
    "vfmadd231ps ymm6, ymm14, ymm15",
    "vfmadd231ps ymm7, ymm14, ymm15",
    "vfmadd231ps ymm8, ymm14, ymm15",
    "vfmadd231ps ymm9, ymm14, ymm15",
);

// Bytes times bytes, summed in pairs to 16 bits, those in pairs to 32 bits, which are added up.
looped!(
    maddubs_maddwd_addd,
    "vpmaddubsw ymm0, ymm14, ymm15",
    "vpmaddubsw ymm1, ymm14, ymm15",
    "vpmaddubsw ymm2, ymm14, ymm15",
    "vpmaddubsw ymm3, ymm14, ymm15",
    "vpmaddwd ymm0, ymm0, ymm15",
    "vpmaddwd ymm1, ymm1, ymm15",
    "vpmaddwd ymm2, ymm2, ymm15",
    "vpmaddwd ymm3, ymm3, ymm15",
    "vpaddd ymm4, ymm4, ymm0",
    "vpaddd ymm5, ymm5, ymm1",
    "vpaddd ymm6, ymm6, ymm2",
    "vpaddd ymm7, ymm7, ymm3",
);

// The same with sums in 16 bits, which 4-bit weights leave room for.
looped!(
    maddubs_addw,
    "vpmaddubsw ymm0, ymm14, ymm15",
    "vpmaddubsw ymm1, ymm14, ymm15",
    "vpmaddubsw ymm2, ymm14, ymm15",
    "vpmaddubsw ymm3, ymm14, ymm15",
    "vpaddw ymm4, ymm4, ymm0",
    "vpaddw ymm5, ymm5, ymm1",
    "vpaddw ymm6, ymm6, ymm2",
    "vpaddw ymm7, ymm7, ymm3",
);

looped!(
    fma_avx512,
    "vfmadd231ps zmm0, zmm14, zmm15",
    "vfmadd231ps zmm1, zmm14, zmm15",
    "vfmadd231ps zmm2, zmm14, zmm15",
    "vfmadd231ps zmm3, zmm14, zmm15",
    "vfmadd231ps zmm4, zmm14, zmm15",
    "vfmadd231ps zmm5, zmm14, zmm15",
    "vfmadd231ps zmm6, zmm14, zmm15",
    "vfmadd231ps zmm7, zmm14, zmm15",
    "vfmadd231ps zmm8, zmm14, zmm15",
    "vfmadd231ps zmm9, zmm14, zmm15",
);

looped!(
    vpdpbusd,
    "vpdpbusd zmm0, zmm14, zmm15",
    "vpdpbusd zmm1, zmm14, zmm15",
    "vpdpbusd zmm2, zmm14, zmm15",
    "vpdpbusd zmm3, zmm14, zmm15",
    "vpdpbusd zmm4, zmm14, zmm15",
    "vpdpbusd zmm5, zmm14, zmm15",
    "vpdpbusd zmm6, zmm14, zmm15",
    "vpdpbusd zmm7, zmm14, zmm15",
    "vpdpbusd zmm8, zmm14, zmm15",
    "vpdpbusd zmm9, zmm14, zmm15",
);

looped!(
    vdpbf16ps,
    "vdpbf16ps zmm0, zmm14, zmm15",
    "vdpbf16ps zmm1, zmm14, zmm15",
    "vdpbf16ps zmm2, zmm14, zmm15",
    "vdpbf16ps zmm3, zmm14, zmm15",
    "vdpbf16ps zmm4, zmm14, zmm15",
    "vdpbf16ps zmm5, zmm14, zmm15",
    "vdpbf16ps zmm6, zmm14, zmm15",
    "vdpbf16ps zmm7, zmm14, zmm15",
    "vdpbf16ps zmm8, zmm14, zmm15",
    "vdpbf16ps zmm9, zmm14, zmm15",
);

/// What `ldtilecfg` reads: palette 1, then eight registers of 64 bytes in each of 16 rows.
#[repr(align(64))]
struct TileConfig([u8; 64]);

static TILES: TileConfig = {
    let mut config = [0; 64];
    config[0] = 1;
    let mut register = 0;
    while register < 8 {
        config[16 + 2 * register] = 64;
        config[48 + register] = 16;
        register += 1;
    }
    TileConfig(config)
};

/// As the others, on tiles. Those that `ldtilecfg` configures are zero.
fn tdpbf16ps(n: u64) {
    // SAFETY: `all` names this function only for a CPU that has the instructions, in a process that may use
    // them. They read the configuration, and the loop ends as `n` is above 0.
    unsafe {
        asm!(
            "ldtilecfg [{tiles}]",
            ".p2align 6",
            "2:",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "dec {n}",
            "jnz 2b",
            "tilerelease",
            tiles = in(reg) TILES.0.as_ptr(),
            n = inout(reg) n.max(1) => _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(readonly, nostack),
        );
    }
}
