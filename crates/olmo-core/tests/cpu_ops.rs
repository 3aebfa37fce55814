//! Each operation of the CPU engine beside candle's, on random numbers.

mod cpu_support;

use cpu_support::{weight, write_weights, Folder, Random, Shape};
use olmo_core::backend::candle::CandleOps;
use olmo_core::backend::cpu::CpuOps;
use olmo_core::cache::CacheShape;
use olmo_core::config::AttentionKind;
use olmo_core::dtype::DType;
use olmo_core::ops::Ops;
use olmo_core::ops::{Batch, RopeTable};
use olmo_core::weights::Checkpoint;

const HEADS: usize = 6;
const KV_HEADS: usize = 2;
const HEAD_DIM: usize = 20;
const WIDTH: usize = HEADS * HEAD_DIM;
const KV_WIDTH: usize = KV_HEADS * HEAD_DIM;
const ROWS: usize = 75;

/// The numbers the operations work on. Tables stand for activations: embedding their rows gives
/// tensors of any backend.
fn numbers() -> (Folder, Checkpoint) {
    let (folder, mut random) = (Folder::new(), Random(11));
    let mut tensor = |name, shape: &[usize]| {
        let numbers = random.numbers(shape.iter().product());
        weight(name, shape, numbers)
    };
    let weights = vec![
        tensor("x", &[ROWS, WIDTH]),
        tensor("y", &[ROWS, WIDTH]),
        tensor("k", &[ROWS, KV_WIDTH]),
        tensor("v", &[ROWS, KV_WIDTH]),
        tensor("a", &[33, WIDTH]),
        tensor("b", &[130, WIDTH]),
        tensor("norm", &[WIDTH]),
    ];
    let checkpoint = write_weights(&folder, weights, DType::F32);
    (folder, checkpoint)
}

fn tensor<O: Ops>(ops: &O, checkpoint: &Checkpoint, name: &str, rows: usize) -> O::Tensor {
    let table = ops.matrix(checkpoint.get(name).unwrap()).unwrap();
    let ids: Vec<u32> = (0..rows as u32).collect();
    ops.embed(&table, &ids).unwrap()
}

fn read<O: Ops>(ops: &O, x: &O::Tensor) -> Vec<f32> {
    let mut numbers = vec![0.0; 3]; // is replaced
    ops.read(x, &mut numbers).unwrap();
    numbers
}

fn rope_table() -> RopeTable {
    let shape = Shape {
        hidden: WIDTH,
        intermediate: 8,
        layers: 1,
        heads: HEADS,
        kv_heads: KV_HEADS,
        vocab: 8,
        context: 200,
    };
    RopeTable::new(&shape.config())
}

/// Two batches: three sequences of which two go on in the second. Blocks are in no order.
fn batches() -> [Batch; 2] {
    let tokens = [0; ROWS];
    let (a, b, c) = ([5, 1, 7], [0, 3], [6, 2]);
    let mut first = Batch::default();
    first.push(&tokens[..37], 0, &a, 0..0);
    first.push(&tokens[..1], 0, &b, 0..0);
    first.push(&tokens[..32], 0, &c, 0..0);
    let mut second = Batch::default();
    second.push(&tokens[..1], 1, &b, 0..0);
    second.push(&tokens[..40], 37, &a, 0..0);
    second.push(&tokens[..1], 32, &c, 0..0);
    [first, second]
}

/// All operations, by name.
fn run<O: Ops>(ops: &O, checkpoint: &Checkpoint) -> Vec<(String, Vec<f32>)> {
    let mut results = Vec::new();
    for rows in [1, 2, 5, 6, 7, ROWS] {
        let x = || tensor(ops, checkpoint, "x", rows);
        let y = tensor(ops, checkpoint, "y", rows);
        let mut note = |name: &str, x: &O::Tensor| {
            results.push((format!("{name} of {rows} rows"), read(ops, x)));
        };
        note("embed", &x());
        let matrix = |name: &str| ops.matrix(checkpoint.get(name).unwrap()).unwrap();
        let [a, b] = ops.project(&x(), [&matrix("a"), &matrix("b")]).unwrap();
        note("project a", &a);
        note("project b", &b);
        let norm = ops.vector(checkpoint.get("norm").unwrap()).unwrap();
        note("rms_norm", &ops.rms_norm(x(), &norm, 1e-6).unwrap());
        note("silu_mul", &ops.silu_mul(x(), &y).unwrap());
        note("add", &ops.add(x(), &y).unwrap());
        note("select_rows", &ops.select_rows(&x(), &[rows - 1, 0, rows / 2]).unwrap());
        let positions: Vec<u32> = (0..rows as u32).map(|row| (row * 37) % 200).collect();
        note("rope", &ops.rope(x(), &rope_table(), &positions).unwrap());
    }
    let shape = CacheShape { layers: 2, blocks: 8, kv_heads: KV_HEADS, head_dim: HEAD_DIM };
    let mut cache = ops.cache(&shape).unwrap();
    for (index, batch) in batches().iter().enumerate() {
        for layer in 0..2 {
            let (q, k) = match layer {
                0 => ("x", "k"),
                _ => ("y", "v"),
            };
            let q = tensor(ops, checkpoint, q, batch.rows());
            let k = tensor(ops, checkpoint, k, batch.rows());
            let v = tensor(ops, checkpoint, "v", batch.rows());
            let kind = AttentionKind::Full;
            let x = ops.attention(&q, &k, &v, &mut cache, layer, kind, batch).unwrap();
            results.push((format!("attention {index}, layer {layer}"), read(ops, &x)));
        }
    }
    results
}

#[test]
fn every_operation_agrees_with_candle() {
    let (_folder, checkpoint) = numbers();
    for (dtype, tolerance) in [(DType::F32, 2e-6), (DType::F16, 4e-3), (DType::BF16, 3e-2)] {
        let candle = CandleOps::new(candle_core::Device::Cpu, dtype);
        for threads in [1, 3] {
            let cpu = CpuOps::new(dtype, Some(threads)).unwrap();
            let (expected, got) = (run(&candle, &checkpoint), run(&cpu, &checkpoint));
            for ((name, expected), (_, got)) in expected.iter().zip(&got) {
                assert_eq!(expected.len(), got.len(), "{name}");
                let scale = expected.iter().fold(1.0f32, |scale, x| scale.max(x.abs()));
                for (expected, got) in expected.iter().zip(got) {
                    let difference = (expected - got).abs();
                    assert!(
                        difference <= tolerance * scale,
                        "{name} in {}: {got} instead of {expected}",
                        dtype.name()
                    );
                }
            }
        }
    }
}

#[test]
fn no_rows_are_no_work() {
    let (_folder, checkpoint) = numbers();
    let ops = CpuOps::new(DType::F32, Some(2)).unwrap();
    let x = tensor(&ops, &checkpoint, "x", 4);
    let none = ops.select_rows(&x, &[]).unwrap();
    let norm = ops.vector(checkpoint.get("norm").unwrap()).unwrap();
    let none = ops.rms_norm(none, &norm, 1e-6).unwrap();
    let matrix = ops.matrix(checkpoint.get("b").unwrap()).unwrap();
    let [none] = ops.project(&none, [&matrix]).unwrap();
    assert!(read(&ops, &none).is_empty());
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let (_folder, checkpoint) = numbers();
    let ops = CpuOps::new(DType::F32, Some(1)).unwrap();
    let (x, k) = (tensor(&ops, &checkpoint, "x", 4), tensor(&ops, &checkpoint, "k", 4));
    let matrix = ops.matrix(checkpoint.get("a").unwrap()).unwrap();
    let norm = ops.vector(checkpoint.get("norm").unwrap()).unwrap();
    assert!(ops.project(&k, [&matrix]).is_err());
    assert!(ops.add(tensor(&ops, &checkpoint, "x", 4), &k).is_err());
    assert!(ops.rms_norm(tensor(&ops, &checkpoint, "k", 4), &norm, 1e-6).is_err());
    assert!(ops.matrix(checkpoint.get("norm").unwrap()).is_err());

    // Blocks the cache does not have, or too few of them.
    let shape = CacheShape { layers: 1, blocks: 2, kv_heads: KV_HEADS, head_dim: HEAD_DIM };
    let mut cache = ops.cache(&shape).unwrap();
    for (start, blocks) in [(0, vec![2]), (30, vec![0]), (0, vec![])] {
        let mut batch = Batch::default();
        batch.push(&[0; 4], start, &blocks, 0..0);
        assert!(ops.attention(&x, &k, &k, &mut cache, 0, AttentionKind::Full, &batch).is_err());
    }
}
