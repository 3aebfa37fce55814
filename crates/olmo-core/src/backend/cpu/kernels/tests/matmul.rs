//! Products of floats.

use half::{bf16, f16};
use proptest::prelude::*;

use super::super::lanes::{Element, LANES};
use super::super::matmul::{self, Product, CHUNK, PANEL_OUTPUTS};
use super::super::Kernels;
use super::{bits, runnable, spread, wild};
use crate::dtype::DType;

fn to_bytes<E: Element>(numbers: &[f32]) -> Vec<E> {
    numbers.iter().map(|x| E::from_f32(*x)).collect()
}

/// The definition of a dot product of pairs, in plain words.
fn dot_pairs<E: Element>(x: &[f32], w: &[E]) -> f32 {
    let rounded = |x: f32| bf16::from_f32(x).to_f32();
    let mut total = 0.0;
    for (x, w) in x.chunks(CHUNK).zip(w.chunks(CHUNK)) {
        let number = |i: usize| match i < x.len() {
            true => (normal(rounded(x[i])), normal(w[i].to_f32())),
            false => (0.0, 0.0),
        };
        let mut lanes = [0.0f32; LANES];
        for pair in 0..x.len().next_multiple_of(2 * LANES) / 2 {
            for i in [2 * pair + 1, 2 * pair] {
                let (x, w) = number(i);
                lanes[pair % LANES] = normal(x.mul_add(w, lanes[pair % LANES]));
            }
        }
        total += halved(lanes);
    }
    total
}

/// Zero instead of a number that is subnormal.
fn normal(x: f32) -> f32 {
    match x.is_subnormal() {
        true => x * 0.0,
        false => x,
    }
}

fn halved(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        (0..half).for_each(|i| lanes[i] += lanes[i + half]);
        half /= 2;
    }
    lanes[0]
}

/// The definition of a dot product, in plain words.
fn dot<E: Element>(x: &[f32], w: &[E]) -> f32 {
    let mut total = 0.0;
    for (x, w) in x.chunks(CHUNK).zip(w.chunks(CHUNK)) {
        let mut lanes = [0.0f32; LANES];
        for i in 0..x.len().next_multiple_of(LANES) {
            let (x, w) = match i < x.len() {
                true => (x[i], w[i].to_f32()),
                false => (0.0, 0.0),
            };
            lanes[i % LANES] = x.mul_add(w, lanes[i % LANES]);
        }
        total += halved(lanes);
    }
    total
}

/// The kernels' product, packed as the engine packs.
fn product<E: Element>(
    kernels: &Kernels,
    dtype: DType,
    x: &[f32],
    w: &[E],
    rows: usize,
    inputs: usize,
) -> Vec<f32> {
    let outputs = w.len().checked_div(inputs).unwrap_or(0);
    let mut packed = vec![f32::NAN; matmul::packed_len(rows, inputs)];
    let pack = |row, x, to: *mut f32| match kernels.activations(dtype) {
        // SAFETY: there is room, more than enough of it for bf16, and one thread.
        DType::BF16 => unsafe { matmul::pack::<bf16>(x, row, rows, kernels.tile_rows, to.cast()) },
        // SAFETY: as above.
        _ => unsafe { matmul::pack::<f32>(x, row, rows, kernels.tile_rows, to) },
    };
    for (row, x) in x.chunks_exact(inputs).enumerate() {
        pack(row, x, packed.as_mut_ptr());
    }
    let mut panel = vec![f32::NAN; PANEL_OUTPUTS * CHUNK];
    let mut y = vec![f32::NAN; rows * outputs];
    let product = Product {
        x: packed.as_ptr().cast(),
        rows,
        inputs,
        w: w.as_ptr().cast(),
        outputs,
        y: y.as_mut_ptr(),
        y_stride: outputs,
        panel: panel.as_mut_ptr().cast(),
    };
    // SAFETY: all sizes are as stated, and the table is for this CPU.
    unsafe { kernels.matmul(dtype)(&product) };
    y
}

fn check_matmul<E: Element>(
    dtype: DType,
    seeds: &[f32],
    rows: usize,
    inputs: usize,
    outputs: usize,
) {
    let x = spread(seeds, rows * inputs, 1);
    let w: Vec<E> = to_bytes(&spread(seeds, outputs * inputs, 2));
    let expected = |dot: fn(&[f32], &[E]) -> f32| -> Vec<f32> {
        let rows = x.chunks_exact(inputs);
        rows.flat_map(|x| w.chunks_exact(inputs).map(move |w| dot(x, w))).collect()
    };
    let (of_f32, of_pairs) = (expected(dot), expected(dot_pairs));
    for kernels in runnable() {
        let expected = match dtype == DType::BF16 && kernels.variant.rounds_to_bf16() {
            true => &of_pairs,
            false => &of_f32,
        };
        let y = product(kernels, dtype, &x, &w, rows, inputs);
        assert_eq!(
            bits(&y),
            bits(expected),
            "{} {} [{rows}, {inputs}] · [{outputs}, {inputs}]ᵀ",
            kernels.variant.name(),
            dtype.name()
        );
    }
}

fn check_matmul_in(dtype: DType, seeds: &[f32], rows: usize, inputs: usize, outputs: usize) {
    match dtype {
        DType::F32 => check_matmul::<f32>(dtype, seeds, rows, inputs, outputs),
        DType::F16 => check_matmul::<f16>(dtype, seeds, rows, inputs, outputs),
        DType::BF16 => check_matmul::<bf16>(dtype, seeds, rows, inputs, outputs),
    }
}

#[test]
fn matmul_at_the_edges_of_tiles_chunks_and_lanes() {
    let seeds = [0.3, -1.1, 0.7, 1.9, -0.2, 0.01, -3.0];
    for dtype in DType::ALL {
        for rows in [1, 2, 3, 5, 6, 7, 13, 49, 54, 55] {
            for outputs in [1, 3, 4, 5, PANEL_OUTPUTS - 1, PANEL_OUTPUTS] {
                for inputs in [1, 15, 16, 17, 31, 32, 33, 40] {
                    check_matmul_in(dtype, &seeds, rows, inputs, outputs);
                }
            }
            for inputs in [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 17] {
                check_matmul_in(dtype, &seeds, rows, inputs, 5);
            }
        }
    }
}

#[test]
fn nothing_in_nothing_out() {
    for kernels in runnable() {
        assert!(product::<f32>(kernels, DType::F32, &[], &[1.0; 16], 0, 16).is_empty());
        assert!(product::<f32>(kernels, DType::F32, &[1.0; 16], &[], 1, 16).is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..Default::default() })]

    #[test]
    fn matmul_is_the_same_everywhere(
        seeds in proptest::collection::vec(wild(), 1..40),
        rows in prop_oneof![1usize..20, 45usize..70],
        inputs in 1usize..1200,
        outputs in 1usize..20,
        dtype in proptest::sample::select(DType::ALL.to_vec()),
    ) {
        check_matmul_in(dtype, &seeds, rows, inputs, outputs);
    }
}
