//! Each operation of the CPU engine beside candle's, on random numbers.

mod cpu_support;

use cpu_support::{tensor, weight, write_weights, Folder, Random, Shape};
use olmo_core::backend::candle::CandleOps;
use olmo_core::backend::cpu::CpuOps;
use olmo_core::cache::CacheShape;
use olmo_core::config::AttentionKind;
use olmo_core::dtype::DType;
use olmo_core::ops::{Batch, LayerKind, LayerSpec, Ops, RopeTable};
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

/// The only layer of its kind.
fn layer(index: usize) -> LayerSpec {
    LayerSpec { index, kind: 0 }
}

fn read<O: Ops>(ops: &O, x: &O::Tensor) -> Vec<f32> {
    let mut numbers = vec![0.0; 3]; // is replaced
    ops.read(x, &mut numbers).unwrap();
    numbers
}

fn kinds() -> [LayerKind; 1] {
    let shape = Shape {
        hidden: WIDTH,
        intermediate: 8,
        layers: 1,
        heads: HEADS,
        kv_heads: KV_HEADS,
        vocab: 8,
        context: 200,
    };
    [LayerKind { attention: AttentionKind::Full, rope: RopeTable::new(&shape.config()) }]
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
fn run<O: Ops>(ops: &mut O, checkpoint: &Checkpoint) -> Vec<(String, Vec<f32>)> {
    let mut results = Vec::new();
    let kinds = kinds();
    for rows in [1, 2, 5, 6, 7, ROWS] {
        let mut x = || tensor(ops, checkpoint, "x", rows);
        let [x, again, third, fourth, fifth] = [x(), x(), x(), x(), x()];
        let y = tensor(ops, checkpoint, "y", rows);
        let mut matrix = |name: &str| ops.matrix(checkpoint.get(name).unwrap()).unwrap();
        let weights = [matrix("a"), matrix("b")];
        let norm = ops.vector(checkpoint.get("norm").unwrap()).unwrap();
        let ops = &*ops;
        let mut note = |name: &str, x: &O::Tensor| {
            results.push((format!("{name} of {rows} rows"), read(ops, x)));
        };
        note("embed", &x);
        let [a, b] = ops.project(&x, weights.each_ref()).unwrap();
        note("project a", &a);
        note("project b", &b);
        note("rms_norm", &ops.rms_norm(again, &norm, 1e-6).unwrap());
        note("silu_mul", &ops.silu_mul(third, &y).unwrap());
        note("add", &ops.add(fourth, &y).unwrap());
        let mut batch = Batch::default();
        batch.push(&vec![0; rows], 0, &[0, 1, 2], 0..0);
        batch.outputs = vec![rows - 1, 0, rows / 2];
        batch.positions = (0..rows as u32).map(|row| (row * 37) % 200).collect();
        let pass = ops.begin(&batch, &kinds).unwrap();
        note("select_outputs", &ops.select_outputs(&x, &pass).unwrap());
        note("rope", &ops.rope(fifth, layer(0), &pass).unwrap());
    }
    let shape = CacheShape { blocks: vec![8; 2], kv_heads: KV_HEADS, head_dim: HEAD_DIM };
    let mut cache = ops.cache(&shape).unwrap();
    for (number, batch) in batches().iter().enumerate() {
        for index in 0..2 {
            let (q, k) = match index {
                0 => ("x", "k"),
                _ => ("y", "v"),
            };
            let q = tensor(ops, checkpoint, q, batch.rows());
            let k = tensor(ops, checkpoint, k, batch.rows());
            let v = tensor(ops, checkpoint, "v", batch.rows());
            let pass = ops.begin(batch, &kinds).unwrap();
            let x = ops.attention(&q, &k, &v, &mut cache, layer(index), &pass).unwrap();
            results.push((format!("attention {number}, layer {index}"), read(ops, &x)));
        }
    }
    results
}

#[test]
fn every_operation_agrees_with_candle() {
    let (_folder, checkpoint) = numbers();
    for (dtype, tolerance) in [(DType::F32, 2e-6), (DType::F16, 4e-3), (DType::BF16, 3e-2)] {
        let mut candle = CandleOps::new(candle_core::Device::Cpu, dtype);
        for threads in [1, 3] {
            let mut cpu = CpuOps::new(dtype, Some(threads)).unwrap();
            let (expected, got) = (run(&mut candle, &checkpoint), run(&mut cpu, &checkpoint));
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
    let mut ops = CpuOps::new(DType::F32, Some(2)).unwrap();
    let x = tensor(&mut ops, &checkpoint, "x", 4);
    let mut batch = Batch::default();
    batch.push(&[0; 4], 0, &[], 0..0);
    let none = ops.select_outputs(&x, &ops.begin(&batch, &[]).unwrap()).unwrap();
    let norm = ops.vector(checkpoint.get("norm").unwrap()).unwrap();
    let none = ops.rms_norm(none, &norm, 1e-6).unwrap();
    let matrix = ops.matrix(checkpoint.get("b").unwrap()).unwrap();
    let [none] = ops.project(&none, [&matrix]).unwrap();
    assert!(read(&ops, &none).is_empty());
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let (_folder, checkpoint) = numbers();
    let mut ops = CpuOps::new(DType::F32, Some(1)).unwrap();
    let (x, k) = (tensor(&mut ops, &checkpoint, "x", 4), tensor(&mut ops, &checkpoint, "k", 4));
    let matrix = ops.matrix(checkpoint.get("a").unwrap()).unwrap();
    let norm = ops.vector(checkpoint.get("norm").unwrap()).unwrap();
    assert!(ops.project(&k, [&matrix]).is_err());
    let (again, narrow) =
        (tensor(&mut ops, &checkpoint, "x", 4), tensor(&mut ops, &checkpoint, "k", 4));
    assert!(ops.add(again, &k).is_err());
    assert!(ops.rms_norm(narrow, &norm, 1e-6).is_err());
    assert!(ops.matrix(checkpoint.get("norm").unwrap()).is_err());

    // Blocks the cache does not have, or too few of them.
    let shape = CacheShape { blocks: vec![2], kv_heads: KV_HEADS, head_dim: HEAD_DIM };
    let mut cache = ops.cache(&shape).unwrap();
    for (start, blocks) in [(0, vec![2]), (30, vec![0]), (0, vec![])] {
        let mut batch = Batch::default();
        batch.push(&[0; 4], start, &blocks, 0..0);
        let kinds = kinds();
        let pass = ops.begin(&batch, &kinds);
        let out = pass.and_then(|pass| ops.attention(&x, &k, &k, &mut cache, layer(0), &pass));
        assert!(out.is_err());
    }
}
