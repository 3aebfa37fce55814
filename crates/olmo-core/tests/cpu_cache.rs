//! Caches of every kind: as close to one in f32 as their rounding allows, and the same bits however a
//! text comes in.

mod cpu_support;

use cpu_support::{max_difference, random_model, weight, write_weights, Folder, Random, Shape};
use olmo_core::backend::candle::CandleOps;
use olmo_core::backend::cpu::{CpuOps, Variant};
use olmo_core::cache::{blocks_for, CacheDType, CacheShape, CACHE_GROUP};
use olmo_core::config::{AttentionKind, ModelConfig};
use olmo_core::dtype::DType;
use olmo_core::model::{Model, NoProbe, Runtime};
use olmo_core::ops::{Batch, LayerKind, LayerSpec, Ops, RopeTable};
use olmo_core::weights::Checkpoint;

const F32: CacheDType = CacheDType::Float(DType::F32);

/// Long enough for attention to be split several times.
const TOKENS: usize = 600;

const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const HEAD_DIM: usize = 64;

/// Queries, keys and values of [`TOKENS`] tokens; embedding a table's rows gives tensors.
struct Numbers {
    checkpoint: Checkpoint,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    _folder: Folder,
}

impl Numbers {
    fn new() -> Numbers {
        let mut random = Random(21);
        let mut numbers = |width: usize| random.numbers(TOKENS * width);
        let q = numbers(HEADS * HEAD_DIM);
        let (k, v) = (numbers(KV_HEADS * HEAD_DIM), numbers(KV_HEADS * HEAD_DIM));
        let folder = Folder::new();
        let weights = vec![
            weight("q", &[TOKENS, HEADS * HEAD_DIM], q.clone()),
            weight("k", &[TOKENS, KV_HEADS * HEAD_DIM], k.clone()),
            weight("v", &[TOKENS, KV_HEADS * HEAD_DIM], v.clone()),
        ];
        let checkpoint = write_weights(&folder, weights, DType::F32);
        Numbers { checkpoint, q, k, v, _folder: folder }
    }

    fn attention<O: Ops>(&self, mut ops: O) -> Vec<f32> {
        let blocks = blocks_for(TOKENS);
        let shape = CacheShape { blocks: vec![blocks], kv_heads: KV_HEADS, head_dim: HEAD_DIM };
        let mut cache = ops.cache(&shape).unwrap();
        let mut batch = Batch::default();
        let blocks: Vec<u32> = (0..blocks as u32).rev().collect();
        let ids: Vec<u32> = (0..TOKENS as u32).collect();
        batch.push(&ids, 0, &blocks, 0..0);
        let rope = RopeTable::of_frequencies(vec![0.0; HEAD_DIM / 2], TOKENS);
        let kinds = [LayerKind { attention: AttentionKind::Full, rope }];
        let tables =
            ["q", "k", "v"].map(|name| ops.matrix(self.checkpoint.get(name).unwrap()).unwrap());
        let pass = ops.begin(&batch, &kinds).unwrap();
        let [q, k, v] = tables.each_ref().map(|table| ops.embed(table, &pass).unwrap());
        let layer = LayerSpec { index: 0, kind: 0 };
        let out = ops.attention(&q, &k, &v, &mut cache, layer, &pass).unwrap();
        let mut numbers = Vec::new();
        ops.read(&out, &mut numbers).unwrap();
        numbers
    }

    /// How far storing keys and values can put each output off, `[TOKENS, HEADS]`.
    ///
    /// Keys that are off by δk put a score off by ε = Σ |q|·δk / sqrt(head_dim) at most, and so a
    /// probability by the factor exp(2ε). The output is then off by (exp(2ε) - 1)·max |v| + max δv.
    fn bounds(&self, dtype: CacheDType) -> Vec<f32> {
        let (k_off, v_off) = (rounding(dtype, &self.k), rounding(dtype, &self.v));
        let (mut k_most, mut v_most) = (vec![0.0f32; KV_HEADS * HEAD_DIM], [0.0f32; KV_HEADS]);
        let mut v_off_most = [0.0f32; KV_HEADS];
        let mut bounds = Vec::new();
        for row in 0..TOKENS {
            for (column, k_most) in k_most.iter_mut().enumerate() {
                let (i, kv_head) = (row * KV_HEADS * HEAD_DIM + column, column / HEAD_DIM);
                *k_most = k_most.max(k_off[i]);
                v_most[kv_head] = v_most[kv_head].max(self.v[i].abs());
                v_off_most[kv_head] = v_off_most[kv_head].max(v_off[i]);
            }
            for head in 0..HEADS {
                let kv_head = head * KV_HEADS / HEADS;
                let q = &self.q[(row * HEADS + head) * HEAD_DIM..][..HEAD_DIM];
                let k_most = &k_most[kv_head * HEAD_DIM..][..HEAD_DIM];
                let dot: f32 = q.iter().zip(k_most).map(|(q, k)| q.abs() * k).sum();
                let score_off = dot / (HEAD_DIM as f32).sqrt();
                let arithmetic = 1e-5;
                bounds.push(
                    (2.0 * score_off).exp_m1() * v_most[kv_head] + v_off_most[kv_head] + arithmetic,
                );
            }
        }
        bounds
    }
}

/// How far off each number is at most once it is stored: half a unit in its last place, or half a
/// step of its group.
fn rounding(dtype: CacheDType, numbers: &[f32]) -> Vec<f32> {
    let relative = |bits: i32| numbers.iter().map(|x| x.abs() * 2.0f32.powi(-bits)).collect();
    match dtype {
        CacheDType::Float(DType::F32) => vec![0.0; numbers.len()],
        CacheDType::Float(DType::F16) => relative(11),
        CacheDType::Float(DType::BF16) => relative(8),
        CacheDType::Q8_0 => numbers
            .chunks_exact(CACHE_GROUP)
            .flat_map(|group| {
                let largest = group.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
                [largest / 127.0 / 2.0 * 1.001; CACHE_GROUP] // the scale is rounded too
            })
            .collect(),
    }
}

#[test]
fn attention_is_as_close_as_the_rounding_allows() {
    let numbers = Numbers::new();
    let run =
        |dtype| numbers.attention(CpuOps::new(DType::F32, Some(2)).unwrap().with_cache(dtype));
    let expected = run(F32);
    for dtype in CacheDType::ALL {
        let (got, bounds) = (run(dtype), numbers.bounds(dtype));
        let mut largest = 0.0f32;
        for (i, (expected, got)) in expected.iter().zip(&got).enumerate() {
            let (off, bound) = ((expected - got).abs(), bounds[i / HEAD_DIM]);
            assert!(off <= bound, "{}: off by {off}, not {bound}", dtype.name());
            largest = largest.max(off);
        }
        println!("{}: off by {largest:e} at most", dtype.name());
        assert_eq!(largest > 0.0, dtype != F32, "{} rounds", dtype.name());
    }
}

#[test]
fn candle_keeps_the_same_caches() {
    let numbers = Numbers::new();
    for dtype in CacheDType::ALL {
        let candle = CandleOps::new(candle_core::Device::Cpu, DType::F32).with_cache(dtype);
        if dtype == CacheDType::Q8_0 {
            let error = candle.err().expect("candle has no such tensors");
            assert_eq!(
                error.to_string(),
                "option `cache_dtype` is q8_0, but on this device it must be f32, f16 or bf16"
            );
            continue;
        }
        let cpu = CpuOps::new(DType::F32, Some(2)).unwrap().with_cache(dtype);
        let (expected, got) = (numbers.attention(candle.unwrap()), numbers.attention(cpu));
        let off = max_difference(&expected, &got);
        assert!(off <= 1e-5, "{}: {off}", dtype.name());
    }
}

#[test]
fn heads_that_are_not_whole_groups_are_an_error() {
    let ops = CpuOps::new(DType::F32, Some(1)).unwrap().with_cache(CacheDType::Q8_0);
    let shape = CacheShape { blocks: vec![1], kv_heads: 1, head_dim: 48 };
    let error = ops.cache(&shape).err().expect("an error");
    assert_eq!(
        error.to_string(),
        "option `cache_dtype` is q8_0, but it stores heads in groups of 32 numbers, and this \
         model's have 48: use f16"
    );
    assert_eq!(error.code(), "INVALID_OPTION");
}

const SHAPE: Shape = Shape {
    hidden: 64,
    intermediate: 64,
    layers: 2,
    heads: 2,
    kv_heads: 1,
    vocab: 50,
    context: 1024,
};
const BLOCKS: usize = 32;

fn load(
    (_, config, checkpoint): &(Folder, ModelConfig, Checkpoint),
    dtype: CacheDType,
    threads: usize,
    variant: Variant,
) -> Box<dyn Model> {
    let ops = CpuOps::with_variant(DType::BF16, Some(threads), variant).unwrap();
    let ops = ops.with_cache(dtype);
    Box::new(Runtime::load(ops, config, checkpoint, BLOCKS, &mut |_| Ok(())).unwrap())
}

/// Logits of the tokens of one sequence from `start` on, in chunks of a size.
fn forward(
    model: &mut dyn Model,
    tokens: &[u32],
    start: usize,
    blocks: &[u32],
    chunk: usize,
) -> Vec<f32> {
    let (mut all, mut logits) = (Vec::new(), Vec::new());
    for (i, tokens) in tokens[start..].chunks(chunk).enumerate() {
        let mut batch = Batch::default();
        batch.push(tokens, start + i * chunk, blocks, 0..tokens.len());
        model.forward(&batch, &mut NoProbe, &mut logits).unwrap();
        all.extend_from_slice(&logits);
    }
    all
}

fn bits(x: &[f32]) -> Vec<u32> {
    assert!(x.iter().all(|x| x.is_finite()));
    x.iter().map(|x| x.to_bits()).collect()
}

/// The same on every machine: these variants are what the others are.
#[test]
fn logits_are_off_by_what_a_cache_rounds() {
    let random = random_model(&SHAPE, DType::BF16, 3);
    let tokens = Random(4).tokens(TOKENS, SHAPE.vocab);
    let blocks: Vec<u32> = (0..blocks_for(TOKENS) as u32).collect();
    for variant in [Variant::Scalar, Variant::ScalarBf16, Variant::ScalarAmx] {
        let logits =
            |dtype| forward(load(&random, dtype, 1, variant).as_mut(), &tokens, 0, &blocks, TOKENS);
        let of_f32 = logits(F32);
        for dtype in CacheDType::ALL.into_iter().filter(|&dtype| dtype != F32) {
            let off = max_difference(&of_f32, &logits(dtype));
            let name = format!("{}, {} kernels", dtype.name(), variant.name());
            println!("{name}: logits off by {off:e} at most");
            // As for weights of f16 and bf16; steps of q8_0 are about those of bf16. Where activations
            // are rounded to bf16 afterwards, the least difference can tip such a step.
            let finely = dtype == DType::F16.into() && variant == Variant::Scalar;
            assert!(off > 0.0 && off < if finely { 2e-2 } else { 2e-1 }, "{name}: {off}");
        }
    }
}

#[test]
fn same_bits_in_any_company_chunks_threads_and_kernels() {
    let random = random_model(&SHAPE, DType::BF16, 3);
    let tokens = Random(4).tokens(TOKENS, SHAPE.vocab);
    let blocks: Vec<u32> = (0..blocks_for(TOKENS) as u32).map(|i| 30 - i).collect();
    let best = Variant::choose().unwrap();
    for dtype in CacheDType::ALL {
        let name = dtype.name();
        let whole = forward(load(&random, dtype, 1, best).as_mut(), &tokens, 0, &blocks, TOKENS);
        let reference = bits(&whole);
        for threads in [1, 2, 3] {
            let mut model = load(&random, dtype, threads, best);
            // Prompts in chunks, then steps, with few tasks for the threads and with many.
            for chunk in [TOKENS, 70, 31] {
                let logits = forward(model.as_mut(), &tokens, 0, &blocks, chunk);
                assert_eq!(bits(&logits), reference, "{name}, chunks of {chunk}");
            }
            let late = 530;
            let logits = forward(model.as_mut(), &tokens, late, &blocks, 1);
            assert_eq!(bits(&logits), reference[late * SHAPE.vocab..], "{name}, steps");
            let mut batch = Batch::default();
            batch.push(&tokens[..20], 0, &[31], 0..0);
            batch.push(&tokens[late..late + 1], late, &blocks, 0..1);
            batch.push(&tokens[..7], 0, &[0], 0..0);
            let mut logits = Vec::new();
            model.forward(&batch, &mut NoProbe, &mut logits).unwrap();
            let expected = &reference[late * SHAPE.vocab..][..SHAPE.vocab];
            assert_eq!(bits(&logits), expected, "{name}, in company, {threads} threads");
        }
        for variant in Variant::ALL {
            if !variant.is_supported() {
                println!("{} kernels: not on this CPU", variant.name());
                continue;
            }
            // The model's weights are in bf16.
            if variant.bf16_products() != best.bf16_products() {
                println!("{} kernels: compute something else", variant.name());
                continue;
            }
            println!("{} kernels: run", variant.name());
            let mut model = load(&random, dtype, 2, variant);
            let logits = forward(model.as_mut(), &tokens[..300], 0, &blocks, 300);
            assert_eq!(bits(&logits), reference[..logits.len()], "{name}, {}", variant.name());
        }
    }
}
