//! The kernels for GPUs beside the CPU engine, on a driver that computes on the CPU (Debian's mesa-vulkan-drivers).
//! Without one each test says so and passes; `OLMO2_TEST_GPU` names another device, such as `gpu`, to hold to the same.

mod cpu_support;
mod wgpu_support;

use cpu_support::{
    forward, in_chunks, max_difference, random_model, random_weights, rounded, write_weights,
    Folder, Random, Shape,
};
use olmo_core::backend::cpu::{CpuOps, Variant};
use olmo_core::backend::wgpu::{verdict, Trace, WgpuOps};
use olmo_core::cache::CacheDType;
use olmo_core::config::ModelConfig;
use olmo_core::device::Adapter;
use olmo_core::dtype::DType;
use olmo_core::model::{Model, Probe, Runtime};
use olmo_core::ops::Batch;
use olmo_core::precision::{Precision, Scheme};
use olmo_core::weights::Checkpoint;
use wgpu_support::adapter;

const SHAPE: Shape = Shape {
    hidden: 100, // no whole units of weights
    intermediate: 204,
    layers: 2,
    heads: 10,
    kv_heads: 2,
    vocab: 300,
    context: 256,
};
const BLOCKS: usize = 32;

/// Rows of whole blocks of every format, and heads of whole groups of a cache.
const QUANTIZED: Shape =
    Shape { hidden: 256, intermediate: 768, layers: 3, heads: 4, kv_heads: 2, ..SHAPE };

fn on_gpu(
    adapter: &Adapter,
    precision: Precision,
    cache: CacheDType,
    config: &ModelConfig,
    checkpoint: &Checkpoint,
) -> Runtime<WgpuOps> {
    let ops = WgpuOps::new(adapter, Some(precision), config, cache).unwrap();
    Runtime::load(ops, config, checkpoint, BLOCKS, &mut |_| Ok(())).unwrap()
}

/// f32 arithmetic on the CPU, one number after the other.
fn on_cpu(
    precision: Precision,
    cache: CacheDType,
    config: &ModelConfig,
    checkpoint: &Checkpoint,
) -> Runtime<CpuOps> {
    let ops = CpuOps::with_variant(DType::F32, Some(2), Variant::Scalar).unwrap();
    let ops = ops.in_precision(Some(precision), config).with_cache(cache);
    Runtime::load(ops, config, checkpoint, BLOCKS, &mut |_| Ok(())).unwrap()
}

/// Two prompts, one of them in two parts, then both a token at a time: the largest difference.
fn difference(gpu: &mut dyn Model, cpu: &mut dyn Model, vocab: usize) -> f32 {
    let mut random = Random(2);
    let (a, b) = (random.tokens(150, vocab), random.tokens(40, vocab));
    let (blocks_a, blocks_b) = ([7, 3, 11, 1, 20], [0, 5]);
    let mut first = Batch::default();
    first.push(&a[..90], 0, &blocks_a, 0..90);
    first.push(&b[..36], 0, &blocks_b, 35..36);
    let mut second = Batch::default();
    second.push(&b[36..38], 36, &blocks_b, 0..2);
    second.push(&a[90..148], 90, &blocks_a, 0..58);
    let mut batches = vec![first, second];
    for step in 0..2 {
        let mut batch = Batch::default();
        batch.push(&a[148 + step..149 + step], 148 + step, &blocks_a, 0..1);
        batch.push(&b[38 + step..39 + step], 38 + step, &blocks_b, 0..1);
        batches.push(batch);
    }
    let differences = batches.iter().map(|batch| {
        let (expected, got) = (forward(cpu, batch), forward(gpu, batch));
        assert!(got.iter().all(|x| x.is_finite()));
        max_difference(&expected, &got)
    });
    differences.fold(0.0, f32::max)
}

#[test]
fn floats_give_the_logits_of_the_cpu() {
    let Some(adapter) = adapter("floats_give_the_logits_of_the_cpu") else { return };
    for dtype in DType::ALL {
        let (_folder, config, checkpoint) = random_model(&SHAPE, dtype, 1);
        let cache = CacheDType::Float(DType::F32);
        let mut gpu = on_gpu(&adapter, dtype.into(), cache, &config, &checkpoint);
        let mut cpu = on_cpu(dtype.into(), cache, &config, &checkpoint);
        let difference = difference(&mut gpu, &mut cpu, SHAPE.vocab);
        println!("{}: largest difference {difference:e}", dtype.name());
        assert!(difference < 1e-4, "{} {difference}", dtype.name());
    }
}

/// Beside what the CPU has for the same numbers in f32, since it rounds activations beside weights in blocks.
#[test]
fn blocks_give_the_logits_of_the_numbers_they_stand_for() {
    let Some(adapter) = adapter("blocks_give_the_logits_of_the_numbers_they_stand_for") else {
        return;
    };
    let (_folder, config, checkpoint) = random_model(&QUANTIZED, DType::F32, 21);
    let cache = CacheDType::Float(DType::F32);
    let load = |precision| {
        let ops = WgpuOps::new(&adapter, Some(precision), &config, cache).unwrap();
        let ops = ops.without_cooperative_matrices(); // which round them
        Runtime::load(ops, &config, &checkpoint, BLOCKS, &mut |_| Ok(())).unwrap()
    };
    for scheme in Scheme::ALL {
        let exact = Folder::new();
        let weights = random_weights(&config, 21).into_iter();
        let weights = weights.map(|weight| rounded(weight, scheme, &config)).collect();
        let numbers = write_weights(&exact, weights, DType::F32);
        let mut gpu = load(Precision::Mix(scheme));
        let mut cpu = on_cpu(DType::F32.into(), cache, &config, &numbers);
        let difference = difference(&mut gpu, &mut cpu, QUANTIZED.vocab);
        println!("{}: largest difference {difference:e}", scheme.name());
        assert!(difference < 1e-4, "{} {difference}", scheme.name());
    }
}

#[test]
fn caches_give_the_logits_of_the_cpu_s() {
    let Some(adapter) = adapter("caches_give_the_logits_of_the_cpu_s") else { return };
    let (_folder, config, checkpoint) = random_model(&QUANTIZED, DType::F32, 5);
    for cache in CacheDType::ALL {
        let mut gpu = on_gpu(&adapter, DType::F32.into(), cache, &config, &checkpoint);
        let mut cpu = on_cpu(DType::F32.into(), cache, &config, &checkpoint);
        let difference = difference(&mut gpu, &mut cpu, QUANTIZED.vocab);
        println!("{}: largest difference {difference:e}", cache.name());
        // A number between two that the cache has may go either way.
        let tolerance = match cache {
            CacheDType::Float(DType::F32) => 1e-4,
            CacheDType::Float(DType::F16) => 5e-3,
            CacheDType::Float(DType::BF16) | CacheDType::Q8_0 => 5e-2,
        };
        assert!(difference < tolerance, "{} {difference}", cache.name());
    }
}

/// The adapter, if it has cooperative matrices; a failure if it has some that do not do.
fn cooperative(test: &str) -> Option<Adapter> {
    let adapter = adapter(test)?;
    match verdict(&adapter) {
        Some(Ok(())) => return Some(adapter),
        Some(Err(reason)) => panic!("cooperative matrices are not used: {reason}"),
        None => println!("not run: {test}: {} has no cooperative matrices", adapter.name),
    }
    None
}

/// Products of prompts on units that multiply in f16.
#[test]
fn cooperative_matrices_give_the_logits_of_the_plain_kernel() {
    let test = "cooperative_matrices_give_the_logits_of_the_plain_kernel";
    let Some(adapter) = cooperative(test) else { return };
    let (_folder, config, checkpoint) = random_model(&QUANTIZED, DType::F32, 9);
    let cache = CacheDType::Float(DType::F32);
    let floats = [DType::F16, DType::BF16].map(Precision::from);
    for precision in floats.into_iter().chain(Scheme::ALL.map(Precision::Mix)) {
        let ops = || WgpuOps::new(&adapter, Some(precision), &config, cache).unwrap();
        let load = |ops| Runtime::load(ops, &config, &checkpoint, BLOCKS, &mut |_| Ok(())).unwrap();
        let trace = Trace::default();
        let mut fast = load(ops().with_trace(trace.clone()));
        let mut plain = load(ops().without_cooperative_matrices());
        trace.take();
        let difference = difference(&mut fast, &mut plain, QUANTIZED.vocab);
        let used = trace.take();
        let used = used.iter().filter(|one| one.kernel.starts_with("ProjectCooperative")).count();
        println!("{}: {used} products, largest difference {difference:e}", precision.name());
        assert!(used > 0, "{}", precision.name());
        // Weights in blocks are rounded to f16; those in f16 and nearly all in bf16 are what they were.
        let tolerance = if matches!(precision, Precision::Mix(_)) { 1e-2 } else { 1e-4 };
        assert!(difference < tolerance, "{} {difference}", precision.name());
    }
}

/// How a text is cut decides which kernel computes its products, and that changes the order of sums alone.
#[test]
fn chunks_change_hardly_anything() {
    let Some(adapter) = adapter("chunks_change_hardly_anything") else { return };
    let (_folder, config, checkpoint) = random_model(&QUANTIZED, DType::F16, 3);
    let tokens = Random(4).tokens(140, QUANTIZED.vocab);
    let cache = CacheDType::Float(DType::F16);
    let mut model = on_gpu(&adapter, DType::F16.into(), cache, &config, &checkpoint);
    let blocks = [9, 2, 4, 1, 0];
    let whole = in_chunks(&mut model, &tokens, &blocks, 140);
    for chunk in [1, 7, 8, 9, 64] {
        let parts = in_chunks(&mut model, &tokens, &blocks, chunk);
        let difference = max_difference(&whole, &parts);
        assert!(difference < 1e-2, "chunks of {chunk}: {difference}");
        let again = in_chunks(&mut model, &tokens, &blocks, chunk);
        assert_eq!(parts, again, "chunks of {chunk} give the same bits each time");
    }
}

/// A block that goes to the host and comes back is the same.
#[test]
fn blocks_of_the_cache_go_and_come_back() {
    let Some(adapter) = adapter("blocks_of_the_cache_go_and_come_back") else { return };
    let (_folder, config, checkpoint) = random_model(&QUANTIZED, DType::F32, 6);
    let tokens = Random(7).tokens(40, QUANTIZED.vocab);
    for cache in CacheDType::ALL {
        let mut model = on_gpu(&adapter, DType::F32.into(), cache, &config, &checkpoint);
        let mut prompt = Batch::default();
        prompt.push(&tokens[..39], 0, &[3, 5], 38..39);
        forward(&mut model, &prompt);
        let last = |blocks: &[u32]| {
            let mut batch = Batch::default();
            batch.push(&tokens[39..], 39, blocks, 0..1);
            batch
        };
        let expected = forward(&mut model, &last(&[3, 5]));
        for (from, to) in [(3, 8), (5, 9)] {
            let bytes = model.read_block(from).unwrap();
            model.write_block(to, &bytes).unwrap();
        }
        assert_eq!(forward(&mut model, &last(&[8, 9])), expected, "{}", cache.name());
        model.copy_block(3, 10).unwrap();
        model.copy_block(5, 11).unwrap();
        assert_eq!(forward(&mut model, &last(&[10, 11])), expected, "{}", cache.name());
        assert_eq!(model.copy_block(0, BLOCKS as u32).unwrap_err().code(), "INTERNAL");
        assert_eq!(model.read_block(BLOCKS as u32).unwrap_err().code(), "INTERNAL");
        assert_eq!(model.write_block(0, &[0; 7]).unwrap_err().code(), "INTERNAL");
    }
}

struct Attention(Vec<Vec<f32>>);

impl Probe for Attention {
    fn wants_attention(&self, _layer: usize) -> bool {
        true
    }
    fn attention(&mut self, _layer: usize, probabilities: &[f32]) {
        self.0.push(probabilities.to_vec());
    }
}

#[test]
fn attention_probabilities_are_those_of_the_cpu() {
    let Some(adapter) = adapter("attention_probabilities_are_those_of_the_cpu") else { return };
    let (_folder, config, checkpoint) = random_model(&SHAPE, DType::F32, 7);
    let cache = CacheDType::Float(DType::F32);
    let mut gpu = on_gpu(&adapter, DType::F32.into(), cache, &config, &checkpoint);
    let mut cpu = on_cpu(DType::F32.into(), cache, &config, &checkpoint);
    let tokens = Random(8).tokens(45, SHAPE.vocab);
    for (start, end) in [(0, 40), (40, 45)] {
        let mut batch = Batch::default();
        batch.push(&tokens[start..end], start, &[3, 1], end - start - 1..end - start);
        let (mut a, mut b) = (Attention(Vec::new()), Attention(Vec::new()));
        gpu.forward(&batch, &mut a, &mut Vec::new()).unwrap();
        cpu.forward(&batch, &mut b, &mut Vec::new()).unwrap();
        assert_eq!(a.0.len(), SHAPE.layers);
        for (a, b) in a.0.iter().zip(&b.0) {
            assert_eq!(a.len(), b.len());
            assert!(max_difference(a, b) < 1e-5);
        }
    }
}
