//! Products of floats.

use half::{bf16, f16};
use proptest::prelude::*;

use super::super::lanes::{Element, LANES};
use super::super::matmul::{self, Product, CHUNK, PANEL_OUTPUTS};
use super::super::{tiles, Bf16Products, Kernels};
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

/// The definition of a dot product in tiles, in plain words.
fn dot_tiles<E: Element>(x: &[f32], w: &[E]) -> f32 {
    let number = |x: f32| normal(bf16::from_f32(x).to_f32());
    let mut total = 0.0;
    for (x, w) in x.chunks(tiles::CHUNK).zip(w.chunks(tiles::CHUNK)) {
        let mut sum = 0.0f32;
        for (x, w) in x.chunks(tiles::STEP).zip(w.chunks(tiles::STEP)) {
            let (mut even, mut odd) = (0.0f32, 0.0f32);
            for (x, w) in x.chunks(2).zip(w.chunks(2)) {
                even = normal(number(x[0]).mul_add(normal(w[0].to_f32()), even));
                if let ([_, x], [_, w]) = (x, w) {
                    odd = normal(number(*x).mul_add(normal(w.to_f32()), odd));
                }
            }
            sum = normal(sum + normal(even + odd));
        }
        total += sum;
    }
    total
}

/// Rows as the engine packs them.
fn pack(kernels: &Kernels, dtype: DType, x: &[f32], rows: usize, inputs: usize) -> Vec<f32> {
    let room = matmul::packed_len(rows, inputs).max(tiles::packed_len(rows, inputs));
    let mut packed = vec![f32::NAN; room];
    let to = packed.as_mut_ptr();
    match (kernels.activations(dtype), kernels.pack_tiles) {
        (DType::BF16, Some(pack)) => {
            for first in (0..rows).step_by(tiles::TILE) {
                // SAFETY: there is room, more than enough of it for bf16, and one thread; the table is for this CPU.
                unsafe { pack(x, inputs, first, to.cast()) }
            }
        }
        (narrow, _) => {
            for (row, x) in x.chunks_exact(inputs).enumerate() {
                // SAFETY: as above.
                unsafe {
                    match narrow {
                        DType::BF16 => {
                            matmul::pack(x, row, rows, kernels.tile_rows, to.cast::<bf16>())
                        }
                        _ => matmul::pack(x, row, rows, kernels.tile_rows, to),
                    }
                }
            }
        }
    }
    packed
}

/// The kernels' product.
fn product<E: Element>(
    kernels: &Kernels,
    dtype: DType,
    x: &[f32],
    w: &[E],
    rows: usize,
    inputs: usize,
) -> Vec<f32> {
    let outputs = w.len().checked_div(inputs).unwrap_or(0);
    let packed = pack(kernels, dtype, x, rows, inputs);
    let mut panel = vec![f32::NAN; tiles::PANEL.max(PANEL_OUTPUTS * CHUNK)];
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
    let (of_f32, of_pairs, of_tiles) = (expected(dot), expected(dot_pairs), expected(dot_tiles));
    for kernels in runnable() {
        let expected = match kernels.bf16_products {
            Bf16Products::Pairs if dtype == DType::BF16 => &of_pairs,
            Bf16Products::Tiles if dtype == DType::BF16 => &of_tiles,
            _ => &of_f32,
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
        for rows in [1, 2, 3, 5, 6, 7, 13, 16, 17, 32, 33, 49, 54, 55] {
            for outputs in [1, 3, 4, 5, 16, 17, 33, PANEL_OUTPUTS - 1, PANEL_OUTPUTS] {
                for inputs in [1, 15, 16, 17, 31, 32, 33, 64, 65] {
                    check_matmul_in(dtype, &seeds, rows, inputs, outputs);
                }
            }
            for inputs in [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 17, tiles::CHUNK + 33] {
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
