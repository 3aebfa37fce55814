//! Every kind of kernels this CPU can run gives the bits the definitions give.

mod attention;
mod matmul;

use proptest::prelude::*;

use super::{Kernels, Variant};

/// The tables to test, scalar among them. Says which there are.
pub(super) fn runnable() -> Vec<&'static Kernels> {
    let (run, skipped): (Vec<Variant>, Vec<Variant>) =
        Variant::ALL.into_iter().partition(|variant| variant.is_supported());
    let names = |variants: &[Variant]| variants.iter().map(|v| v.name()).collect::<Vec<_>>();
    println!("kernels run: {:?}; not on this CPU: {:?}", names(&run), names(&skipped));
    run.into_iter().filter_map(Variant::kernels).collect()
}

/// Bits, with all NaNs alike: IEEE leaves open which one comes out.
pub(super) fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }).collect()
}

/// Numbers of all sizes, some of them special.
fn number() -> impl Strategy<Value = f32> {
    prop_oneof![
        20 => -2.0f32..2.0,
        2 => proptest::num::f32::NORMAL,
        1 => proptest::num::f32::SUBNORMAL,
        1 => Just(0.0f32),
        1 => Just(-0.0f32),
    ]
}

/// As above, with infinities and NaN.
fn wild() -> impl Strategy<Value = f32> {
    prop_oneof![
        40 => number(),
        1 => Just(f32::INFINITY),
        1 => Just(f32::NEG_INFINITY),
        1 => Just(f32::NAN),
        1 => Just(f32::MAX),
    ]
}

/// As many numbers as asked for, from a few that proptest chose.
fn spread(seeds: &[f32], count: usize, salt: usize) -> Vec<f32> {
    (0..count)
        .map(|i| {
            let mixed = (i + salt * 7919).wrapping_mul(0x9e37_79b9) >> 7;
            seeds[mixed % seeds.len()] * (1.0 + (mixed % 61) as f32 / 64.0)
        })
        .collect()
}

#[test]
fn nothing_in_nothing_out() {
    for kernels in runnable() {
        // SAFETY: empty slices are equally long.
        unsafe {
            (kernels.rms_norm)(&mut [], &[], 1e-6);
            (kernels.silu_mul)(&mut [], &[]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..Default::default() })]

    #[test]
    fn rows_are_the_same_everywhere(
        x in proptest::collection::vec(wild(), 1..200),
        weight in number(),
    ) {
        let weights = spread(&[weight, 1.0], x.len(), 5);
        let run = |kernels: &Kernels| {
            let (mut norm, mut gate) = (x.clone(), x.clone());
            // SAFETY: the slices are equally long, and the table is for this CPU.
            unsafe {
                (kernels.rms_norm)(&mut norm, &weights, 1e-6);
                (kernels.silu_mul)(&mut gate, &weights);
            }
            (bits(&norm), bits(&gate))
        };
        let expected = run(Variant::Scalar.kernels().unwrap());
        for kernels in runnable() {
            prop_assert_eq!(run(kernels), expected.clone(), "{}", kernels.variant.name());
        }
    }
}

/// silu with up = 1 gives exp away: silu(g) / g = 1 / (1 + exp(-g)).
#[test]
fn silu_is_accurate_and_keeps_nan_and_infinity() {
    for kernels in runnable() {
        let mut gate: Vec<f32> = (-12_000..12_000).map(|i| i as f32 / 100.0).collect();
        let ones = vec![1.0; gate.len()];
        let before = gate.clone();
        // SAFETY: the slices are equally long, and the table is for this CPU.
        unsafe { (kernels.silu_mul)(&mut gate, &ones) };
        for (g, silu) in before.iter().zip(&gate) {
            let exact = *g as f64 / (1.0 + (-*g as f64).exp());
            assert!(
                (*silu as f64 - exact).abs() <= exact.abs() * 4e-7 + 1e-35,
                "silu({g}) = {silu}"
            );
        }
        let mut special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        // SAFETY: as above.
        unsafe { (kernels.silu_mul)(&mut special, &[1.0; 3]) };
        assert!(special[0].is_nan());
        assert_eq!(special[1], f32::INFINITY);
    }
}

#[test]
fn unknown_kernels_are_an_error_that_lists_the_known() {
    let error = Variant::parse("sse9").unwrap_err().to_string();
    assert!(error.contains("OLMO2_KERNELS") && error.contains("scalar"), "{error}");
    assert_eq!(Variant::parse("scalar").unwrap(), Variant::Scalar);
}
