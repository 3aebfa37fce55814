//! The kernels that do several operations at once, and those that do one, beside the CPU engine's.

mod cpu_support;
mod wgpu_support;

use cpu_support::{max_difference, tensor, weight, write_weights, Folder, Random, Shape, Weight};
use olmo_core::backend::cpu::{CpuOps, Variant};
use olmo_core::backend::wgpu::{Limits, WgpuOps};
use olmo_core::cache::{CacheDType, CacheShape};
use olmo_core::config::{AttentionKind, ModelConfig};
use olmo_core::device::Adapter;
use olmo_core::dtype::DType;
use olmo_core::ops::{Batch, LayerKind, LayerSpec, Ops, QkNorm, RopeTable};
use olmo_core::weights::Checkpoint;
use wgpu_support::adapter;

const LAYER: LayerSpec = LayerSpec { index: 0, kind: 0 };
const ROWS: usize = 70;
const CACHE: CacheDType = CacheDType::Float(DType::F32);

/// Heads of whole fours in rows of whole units, and heads and rows of neither; key heads for three, five and nine heads.
const SHAPES: [Shape; 4] = [
    Shape { hidden: 192, intermediate: 96, heads: 6, kv_heads: 2, ..BASE },
    Shape { hidden: 90, intermediate: 50, heads: 5, kv_heads: 1, ..BASE },
    Shape { hidden: 72, intermediate: 44, heads: 9, kv_heads: 1, ..BASE },
    Shape { hidden: 512, intermediate: 64, heads: 1, kv_heads: 1, ..BASE },
];
const BASE: Shape =
    Shape { hidden: 0, intermediate: 0, layers: 1, heads: 0, kv_heads: 0, vocab: 8, context: 512 };

fn numbers(config: &ModelConfig, dtype: DType) -> (Folder, Checkpoint) {
    let (folder, mut random) = (Folder::new(), Random(11));
    let kv_width = config.num_key_value_heads * config.head_dim;
    let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
    let shapes: [(&str, Vec<usize>); 12] = [
        ("x", vec![ROWS, hidden]),
        ("y", vec![ROWS, hidden]),
        ("k", vec![ROWS, kv_width]),
        ("v", vec![ROWS, kv_width]),
        ("gate", vec![intermediate, hidden]),
        ("up", vec![intermediate, hidden]),
        ("q_proj", vec![hidden, hidden]),
        ("k_proj", vec![kv_width, hidden]),
        ("v_proj", vec![kv_width, hidden]),
        ("norm", vec![hidden]),
        ("k_norm", vec![kv_width]),
        ("alone", vec![33, hidden]),
    ];
    let tensor = |(name, shape): (&str, Vec<usize>)| -> Weight {
        let numbers = random.numbers(shape.iter().product());
        weight(name, &shape, numbers)
    };
    let weights = shapes.into_iter().map(tensor).collect();
    let checkpoint = write_weights(&folder, weights, dtype);
    (folder, checkpoint)
}

/// What operations gave, by name.
type Results = Vec<(String, Vec<f32>)>;

fn note<O: Ops>(results: &mut Results, ops: &O, name: &str, x: &O::Tensor) {
    let mut numbers = Vec::new();
    ops.read(x, &mut numbers).unwrap();
    results.push((format!("{name} {}", results.len()), numbers));
}

fn products<O: Ops>(ops: &mut O, checkpoint: &Checkpoint, rows: usize) -> Results {
    let mut results = Vec::new();
    let x = tensor(ops, checkpoint, "x", rows);
    let [h, again] = [tensor(ops, checkpoint, "y", rows), tensor(ops, checkpoint, "y", rows)];
    let of = |name: &str| checkpoint.get(name).unwrap();
    let [q, k, v] = ops.matrices([of("q_proj"), of("k_proj"), of("v_proj")]).unwrap();
    let [gate, up] = ops.matrices([of("gate"), of("up")]).unwrap();
    let alone = ops.matrix(of("alone")).unwrap();
    let norm = ops.vector(of("norm")).unwrap();
    for y in ops.project(&x, [&q, &k, &v]).unwrap() {
        note(&mut results, ops, "together", &y);
    }
    // Not in one buffer, or more than are multiplied at once.
    for y in ops.project(&x, [&alone, &q]).unwrap() {
        note(&mut results, ops, "apart", &y);
    }
    for y in ops.project(&x, [&q, &k, &v, &alone]).unwrap() {
        note(&mut results, ops, "many", &y);
    }
    note(&mut results, ops, "swiglu", &ops.swiglu(&x, &gate, &up).unwrap());
    note(&mut results, ops, "of unlike weights", &ops.swiglu(&x, &k, &v).unwrap());
    let [a, b] = ops.project(&x, [&gate, &up]).unwrap();
    note(&mut results, ops, "silu_mul", &ops.silu_mul(a, &b).unwrap());
    note(&mut results, ops, "norm_add", &ops.norm_add(&x, h, &norm, 1e-6).unwrap());
    let h = ops.rms_norm(again, &norm, 1e-6).unwrap();
    note(&mut results, ops, "rms_norm and add", &ops.add(h, &x).unwrap());
    results
}

/// A text in chunks, so that keys of earlier batches are in the cache, and a second one beside it from the second on.
fn batches() -> Vec<Batch> {
    let (tokens, blocks, other) = ([0; ROWS], [5, 1, 7, 0, 9, 2, 11, 3, 8, 10, 12, 13], [4, 6]);
    let mut start = 0;
    let chunk = |(index, rows): (usize, usize)| {
        let mut batch = Batch::default();
        batch.push(&tokens[..rows], start, &blocks, 0..0);
        start += rows;
        if index > 0 && index < 4 {
            batch.push(&tokens[..1], index - 1, &other, 0..0);
        }
        batch
    };
    [60, 1, 7, 66, 70, 2, 70, 8].into_iter().enumerate().map(chunk).collect()
}

fn attention<O: Ops>(
    ops: &mut O,
    checkpoint: &Checkpoint,
    config: &ModelConfig,
    attention: AttentionKind,
) -> Results {
    let mut results = Vec::new();
    let kind = LayerKind { attention, rope: RopeTable::new(config) };
    let kinds = [kind];
    let shape = CacheShape {
        blocks: vec![16],
        kv_heads: config.num_key_value_heads,
        head_dim: config.head_dim,
    };
    let [mut cache, mut plain] = [ops.cache(&shape).unwrap(), ops.cache(&shape).unwrap()];
    let q_norm = ops.vector(checkpoint.get("norm").unwrap()).unwrap();
    let k_norm = ops.vector(checkpoint.get("k_norm").unwrap()).unwrap();
    for batch in batches() {
        let mut of = |name: &str| tensor(ops, checkpoint, name, batch.rows());
        let [together, apart] = [(); 2].map(|()| [of("x"), of("k"), of("v")]);
        let pass = ops.begin(&batch, &kinds).unwrap();
        let norms = QkNorm { q: &q_norm, k: &k_norm, eps: 1e-6 };
        let [q, h] = ops.normed_attention(together, norms, &mut cache, LAYER, &pass).unwrap();
        note(&mut results, ops, "queries", &q);
        note(&mut results, ops, "normed_attention", &h);
        let [q, k, v] = apart;
        let q = ops.rms_norm(q, &q_norm, 1e-6).unwrap();
        let k = ops.rms_norm(k, &k_norm, 1e-6).unwrap();
        let q = ops.rope(q, LAYER, &pass).unwrap();
        let k = ops.rope(k, LAYER, &pass).unwrap();
        let h = ops.attention(&q, &k, &v, &mut plain, LAYER, &pass).unwrap();
        note(&mut results, ops, "one after the other", &h);
    }
    results
}

fn assert_agree(expected: Results, got: Results, tolerance: f32) {
    assert_eq!(expected.len(), got.len());
    for ((name, expected), (_, got)) in expected.iter().zip(&got) {
        assert_eq!(expected.len(), got.len(), "{name}");
        let scale = expected.iter().fold(1.0f32, |scale, x| scale.max(x.abs()));
        let difference = max_difference(expected, got);
        assert!(difference <= tolerance * scale, "{name}: {difference}");
    }
}

/// f32 arithmetic on the CPU, one number after the other.
fn cpu(dtype: DType, config: &ModelConfig) -> CpuOps {
    let cpu = CpuOps::with_variant(DType::F32, Some(2), Variant::Scalar).unwrap();
    cpu.in_precision(Some(dtype.into()), config).with_cache(CACHE)
}

fn gpu(adapter: &Adapter, dtype: DType, config: &ModelConfig) -> WgpuOps {
    WgpuOps::new(adapter, Some(dtype.into()), config, CACHE).unwrap()
}

#[test]
fn operations_give_what_the_cpu_s_do() {
    let Some(adapter) = adapter("operations_give_what_the_cpu_s_do") else { return };
    for shape in SHAPES {
        let config = shape.config();
        for dtype in DType::ALL {
            let (_folder, checkpoint) = numbers(&config, dtype);
            let (mut cpu, mut gpu) = (cpu(dtype, &config), gpu(&adapter, dtype, &config));
            for rows in [1, 2, 5, 8, 9, ROWS] {
                let expected = products(&mut cpu, &checkpoint, rows);
                assert_agree(expected, products(&mut gpu, &checkpoint, rows), 1e-5);
            }
            let expected = attention(&mut cpu, &checkpoint, &config, AttentionKind::Full);
            let got = attention(&mut gpu, &checkpoint, &config, AttentionKind::Full);
            assert_agree(expected, got, 1e-5);
        }
    }
}

/// Without subgroups, and in sliding windows.
#[test]
fn other_devices_and_other_kinds_of_attention_give_the_same() {
    let test = "other_devices_and_other_kinds_of_attention_give_the_same";
    let Some(adapter) = adapter(test) else { return };
    for shape in SHAPES {
        let config = shape.config();
        let (_folder, checkpoint) = numbers(&config, DType::F16);
        let mut cpu = cpu(DType::F16, &config);
        let mut gpu = gpu(&adapter, DType::F16, &config).without_subgroups();
        let expected = products(&mut cpu, &checkpoint, 5);
        assert_agree(expected, products(&mut gpu, &checkpoint, 5), 1e-5);
        for kind in [AttentionKind::Full, AttentionKind::Sliding { window: 45 }] {
            let expected = attention(&mut cpu, &checkpoint, &config, kind);
            assert_agree(expected, attention(&mut gpu, &checkpoint, &config, kind), 1e-5);
        }
    }
}

/// Matrices that no kernel sees whole, and a dispatch for each tile.
#[test]
fn a_device_that_takes_little_at_once_gives_the_same() {
    let test = "a_device_that_takes_little_at_once_gives_the_same";
    let Some(adapter) = adapter(test) else { return };
    let little = |bytes| Limits { bytes, work: 1 };
    for shape in SHAPES {
        let config = shape.config();
        let (_folder, checkpoint) = numbers(&config, DType::F32);
        let mut cpu = cpu(DType::F32, &config);
        for rows in [3, 40] {
            let expected = products(&mut cpu, &checkpoint, rows);
            // Enough for the activations, and for some rows of a matrix.
            let bytes = 4 * 40 * config.hidden_size + 256;
            let mut gpu = gpu(&adapter, DType::F32, &config).with_limits(little(bytes));
            assert_agree(expected, products(&mut gpu, &checkpoint, rows), 1e-5);
        }
        let expected = attention(&mut cpu, &checkpoint, &config, AttentionKind::Full);
        let mut gpu = gpu(&adapter, DType::F32, &config).with_limits(little(usize::MAX));
        let got = attention(&mut gpu, &checkpoint, &config, AttentionKind::Full);
        assert_agree(expected, got, 1e-5);
    }
}
