//! Loops over the arm64 instructions that matrix products are made of.

use std::arch::asm;

use super::Peak;

pub fn all() -> Vec<Peak> {
    let dotprod = std::arch::is_aarch64_feature_detected!("dotprod");
    vec![
        Peak { name: "fmlaGops", operations: Some(10 * 4 * 2), run: fmla },
        Peak { name: "sdotGops", operations: dotprod.then_some(10 * 16 * 2), run: sdot },
    ]
}

/// A function that passes `n` times through a loop over registers; 30 and 31 are only read.
macro_rules! looped {
    ($name:ident, $($line:literal),+ $(,)?) => {
        fn $name(n: u64) {
            // SAFETY: `all` lets this run only on a CPU that has the instructions. They use no
            // memory and no registers but those declared, and the loop ends as `n` is above 0.
            unsafe {
                asm!(
                    ".arch_extension dotprod",
                    "movi v30.4s, #0",
                    "movi v31.4s, #0",
                    "2:",
                    $($line,)+
                    "subs {n}, {n}, #1",
                    "b.ne 2b",
                    n = inout(reg) n.max(1) => _,
                    out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _,
                    out("v5") _, out("v6") _, out("v7") _, out("v16") _, out("v17") _,
                    out("v30") _, out("v31") _,
                    options(nomem, nostack),
                );
            }
        }
    };
}

looped!(
    fmla,
    "fmla v0.4s, v30.4s, v31.4s",
    "fmla v1.4s, v30.4s, v31.4s",
    "fmla v2.4s, v30.4s, v31.4s",
    "fmla v3.4s, v30.4s, v31.4s",
    "fmla v4.4s, v30.4s, v31.4s",
    "fmla v5.4s, v30.4s, v31.4s",
    "fmla v6.4s, v30.4s, v31.4s",
    "fmla v7.4s, v30.4s, v31.4s",
    "fmla v16.4s, v30.4s, v31.4s",
    "fmla v17.4s, v30.4s, v31.4s",
);

looped!(
    sdot,
    "sdot v0.4s, v30.16b, v31.16b",
    "sdot v1.4s, v30.16b, v31.16b",
    "sdot v2.4s, v30.16b, v31.16b",
    "sdot v3.4s, v30.16b, v31.16b",
    "sdot v4.4s, v30.16b, v31.16b",
    "sdot v5.4s, v30.16b, v31.16b",
    "sdot v6.4s, v30.16b, v31.16b",
    "sdot v7.4s, v30.16b, v31.16b",
    "sdot v16.4s, v30.16b, v31.16b",
    "sdot v17.4s, v30.16b, v31.16b",
);
