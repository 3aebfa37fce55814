//! Intel's AMX: eight registers of sixteen rows of 64 bytes. Rust has no stable intrinsics for it, hence assembly.

use std::arch::asm;
use std::arch::x86_64::*;
use std::sync::OnceLock;

use half::bf16;

use super::{Square, Tiles, AT_ONCE, TILE};

pub struct Amx;

/// Whether the CPU has tiles and products of bf16 in them, and the system lets this process use them: the registers
/// are so large that Linux has to be asked.
pub fn is_supported() -> bool {
    static SUPPORTED: OnceLock<bool> = OnceLock::new();
    *SUPPORTED.get_or_init(|| has_instructions() && has_permission())
}

fn has_instructions() -> bool {
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    // Newer versions of Rust than the oldest that builds this call it safe.
    #[allow(unused_unsafe)]
    // SAFETY: every CPU of this architecture has the instruction; leaf 0 says how many leaves there are.
    let leaf = unsafe {
        match __cpuid(0).eax >= 7 {
            true => __cpuid_count(7, 0),
            false => return false,
        }
    };
    leaf.edx & (AMX_BF16 | AMX_TILE) == AMX_BF16 | AMX_TILE
}

/// `ARCH_REQ_XCOMP_PERM`, since Linux 5.16, for the state of tiles; all threads of the process have it then.
#[cfg(target_os = "linux")]
fn has_permission() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILE_DATA: libc::c_long = 18;
    // SAFETY: two numbers; the call touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA) == 0 }
}

/// Other systems have not been tried.
#[cfg(not(target_os = "linux"))]
fn has_permission() -> bool {
    false
}

/// What `ldtilecfg` reads: palette 1, and for each register the bytes of a row and the rows.
#[repr(C, align(64))]
struct Config {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static CONFIG: Config = {
    let (mut row_bytes, mut rows) = ([0; 16], [0; 16]);
    let mut register = 0;
    while register < 8 {
        row_bytes[register] = 64;
        rows[register] = TILE as u8;
        register += 1;
    }
    Config { palette: 1, start_row: 0, reserved: [0; 14], row_bytes, rows }
};

/// Assembly with all tile registers: first `$before`, then `$step` for each step, then `$after`. Registers 0 to 3 are
/// sums, 4 and 5 weights, 6 and 7 activations. Nothing stays in them from one of these to the next, for the
/// compiler knows nothing of tiles.
macro_rules! multiply {
    (steps: $steps:ident, sums: $sums:ident, $($register:ident = $pointer:expr),*;
     $before:literal; $($step:literal)*; $($after:literal)*; $($operands:tt)*) => {
        asm!(
            "ldtilecfg [{config}]",
            $before,
            "2:",
            $($step,)*
            "dec {steps}",
            "jnz 2b",
            $($after,)*
            "tilerelease",
            config = in(reg) &CONFIG,
            row = in(reg) 64usize,
            sums = in(reg) $sums,
            steps = inout(reg) $steps => _,
            $($register = inout(reg) $pointer => _,)*
            $($operands)*
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
}

// SAFETY: `is_supported` says whether the instructions may be used. They read 1 KB a step at each pointer, which are
// valid for `steps` tiles, and write 1 KB for each of the sums. `steps` is not zero.
impl Tiles for Amx {
    #[inline(always)]
    unsafe fn multiply<const R: usize>(
        [w0, w1]: [*const bf16; AT_ONCE],
        x: [*const bf16; R],
        steps: usize,
        sums: &mut [[Square<f32>; R]; AT_ONCE],
    ) {
        debug_assert!(steps > 0);
        let sums = sums.as_mut_ptr();
        match x[..] {
            [x0] => multiply!(
                steps: steps, sums: sums, w0 = w0, w1 = w1, x0 = x0;
                "tilezero tmm0; tilezero tmm1";
                "tileloadd tmm4, [{w0} + {row}]"
                "tileloadd tmm6, [{x0} + {row}]"
                "tileloadd tmm5, [{w1} + {row}]"
                "tdpbf16ps tmm0, tmm4, tmm6"
                "tdpbf16ps tmm1, tmm5, tmm6"
                "add {w0}, 1024"
                "add {w1}, 1024"
                "add {x0}, 1024";
                "tilestored [{sums} + {row}], tmm0"
                "tilestored [{sums} + {row} + 1024], tmm1";
            ),
            [x0, x1] => multiply!(
                steps: steps, sums: sums, w0 = w0, w1 = w1, x0 = x0, x1 = x1;
                "tilezero tmm0; tilezero tmm1; tilezero tmm2; tilezero tmm3";
                "tileloadd tmm4, [{w0} + {row}]"
                "tileloadd tmm6, [{x0} + {row}]"
                "tdpbf16ps tmm0, tmm4, tmm6"
                "tileloadd tmm7, [{x1} + {row}]"
                "tdpbf16ps tmm1, tmm4, tmm7"
                "tileloadd tmm5, [{w1} + {row}]"
                "tdpbf16ps tmm2, tmm5, tmm6"
                "tdpbf16ps tmm3, tmm5, tmm7"
                "add {w0}, 1024"
                "add {w1}, 1024"
                "add {x0}, 1024"
                "add {x1}, 1024";
                "tilestored [{sums} + {row}], tmm0"
                "tilestored [{sums} + {row} + 1024], tmm1"
                "tilestored [{sums} + {row} + 2048], tmm2"
                "tilestored [{sums} + {row} + 3072], tmm3";
            ),
            _ => unreachable!("at most two tiles of rows are multiplied at once"),
        }
    }

    /// The CPU itself asks for the lines ahead in each row: to ask for other rows meanwhile was slower.
    #[inline(always)]
    unsafe fn multiply_stored(
        [w0, w1]: [*const bf16; AT_ONCE],
        stride: usize,
        x: *const bf16,
        steps: usize,
        sums: &mut [[Square<f32>; 1]; AT_ONCE],
    ) {
        debug_assert!(steps > 0);
        let sums = sums.as_mut_ptr();
        multiply!(
            steps: steps, sums: sums, w0 = w0, w1 = w1, x = x;
            "tilezero tmm0; tilezero tmm1";
            "tileloadd tmm6, [{x} + {row}]"
            "tileloadd tmm4, [{w0} + {stride}]"
            "tdpbf16ps tmm0, tmm4, tmm6"
            "tileloadd tmm5, [{w1} + {stride}]"
            "tdpbf16ps tmm1, tmm5, tmm6"
            "add {w0}, 64"
            "add {w1}, 64"
            "add {x}, 1024";
            "tilestored [{sums} + {row}], tmm0"
            "tilestored [{sums} + {row} + 1024], tmm1";
            stride = in(reg) stride * size_of::<bf16>(),
        );
    }

    /// In pairs of rows, then of pairs, then of quarters of a register.
    #[inline(always)]
    unsafe fn transpose<T: Copy>(square: &Square<T>) -> Square<T> {
        const { assert!(size_of::<Square<T>>() == 1024) };
        let from = std::ptr::from_ref(square).cast::<__m512i>();
        let rows: [__m512i; TILE] = std::array::from_fn(|i| _mm512_load_si512(from.add(i)));
        let mut pairs = rows;
        for i in (0..TILE).step_by(2) {
            pairs[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
            pairs[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
        }
        // Row `4 i + j` has the columns `j`, `j + 4`, `j + 8` and `j + 12` of the rows from `4 i` on.
        let mut fours = pairs;
        for i in (0..TILE).step_by(4) {
            fours[i] = _mm512_unpacklo_epi64(pairs[i], pairs[i + 2]);
            fours[i + 1] = _mm512_unpackhi_epi64(pairs[i], pairs[i + 2]);
            fours[i + 2] = _mm512_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
            fours[i + 3] = _mm512_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
        }
        const EVEN: i32 = 0b10_00_10_00;
        const ODD: i32 = 0b11_01_11_01;
        let mut columns = fours;
        for j in 0..4 {
            let [a, b, c, d] = [fours[j], fours[j + 4], fours[j + 8], fours[j + 12]];
            let [low, high] =
                [_mm512_shuffle_i32x4::<EVEN>(a, b), _mm512_shuffle_i32x4::<EVEN>(c, d)];
            columns[j] = _mm512_shuffle_i32x4::<EVEN>(low, high);
            columns[j + 8] = _mm512_shuffle_i32x4::<ODD>(low, high);
            let [low, high] =
                [_mm512_shuffle_i32x4::<ODD>(a, b), _mm512_shuffle_i32x4::<ODD>(c, d)];
            columns[j + 4] = _mm512_shuffle_i32x4::<EVEN>(low, high);
            columns[j + 12] = _mm512_shuffle_i32x4::<ODD>(low, high);
        }
        std::mem::transmute_copy(&columns)
    }

    #[inline(always)]
    unsafe fn prefetch<T>(p: *const T) {
        _mm_prefetch::<_MM_HINT_T1>(p.cast())
    }
}
