//! What a token costs on a GPU, counted in what the backend records: dispatches, and the bytes that kernels move. So a
//! regression shows on a machine without a GPU, on a driver that computes on the CPU. Without one each test says so.

mod cpu_support;
mod wgpu_support;

use cpu_support::{forward, random_model, Random, Shape};
use olmo_core::backend::wgpu::{by_kernel, Dispatch, Notes, Role, Trace, WgpuOps};
use olmo_core::cache::CacheDType;
use olmo_core::config::ModelConfig;
use olmo_core::dtype::DType;
use olmo_core::model::{Model, Runtime};
use olmo_core::ops::Batch;
use olmo_core::precision::{Outline, Precision, Scheme};
use olmo_core::sampling::{TopRequest, MOST_TOP_LOGITS};
use olmo_core::shapes::{weight_shapes, EMBEDDING};
use olmo_core::weights::Checkpoint;
use wgpu_support::adapter;

/// What is allowed for a layer, and for all that is beside the layers: embedding, norm and vocabulary.
const DISPATCHES_OF_A_LAYER: usize = 9;
const OTHER_DISPATCHES: usize = 3;

/// For the largest of OLMo 2's 100,352 logits: tiles of them, lists of tiles, and lists of those.
const TOP_DISPATCHES: usize = 3;

/// Bytes that come back of a row of logits: for a draw, and for the likeliest token alone.
const READ_BYTES: usize = 1024;
const READ_BYTES_OF_LIKELIEST: usize = 16;

/// Weights and cache move once, but for the words that rows are padded with.
const ONCE: std::ops::RangeInclusive<f64> = 1.0..=1.02;

/// Of the bytes of weights and cache.
const ACTIVATIONS: f64 = 0.02;

const SHAPE: Shape = Shape {
    hidden: 768,
    intermediate: 3072,
    layers: 2,
    heads: 6,
    kv_heads: 6,
    vocab: 640,
    context: 512,
};

/// A text long enough for attention to be split, in as many blocks.
const TOKENS: usize = 300;
const BLOCKS: [u32; 10] = [4, 2, 0, 9, 1, 3, 5, 8, 6, 7];

/// A model whose kernels are traced, with the text in its cache.
fn traced(
    precision: Precision,
    config: &ModelConfig,
    checkpoint: &Checkpoint,
    test: &str,
) -> Option<(Runtime<WgpuOps>, Trace)> {
    let adapter = adapter(test)?;
    let trace = Trace::default();
    let cache = CacheDType::Float(DType::F16);
    let ops = WgpuOps::new(&adapter, Some(precision), config, cache).unwrap();
    let ops = ops.with_trace(trace.clone());
    let mut model = Runtime::load(ops, config, checkpoint, 64, &mut |_| Ok(())).unwrap();
    let mut batch = Batch::default();
    batch.push(&Random(3).tokens(TOKENS, config.vocab_size), 0, &BLOCKS, 0..0);
    forward(&mut model, &batch);
    trace.take();
    Some((model, trace))
}

/// One token after so many.
fn token(model: &mut dyn Model, at: usize) {
    let mut batch = Batch::default();
    batch.push(&[5], at, &BLOCKS, 0..1);
    forward(model, &batch);
}

fn moved(dispatches: &[Dispatch], role: Role) -> f64 {
    let bindings = dispatches.iter().flat_map(|dispatch| &dispatch.bindings);
    bindings.filter(|binding| binding.role == role).map(|binding| binding.moved).sum::<usize>()
        as f64
}

/// The bytes of all weights that a token multiplies, in the types they run in.
fn weight_bytes(precision: Precision, config: &ModelConfig) -> f64 {
    let bytes = |(name, shape): (String, Vec<usize>)| match shape[..] {
        [width] => 4 * width,
        [outputs, inputs] => {
            let kind = precision.of(&name, &shape, Outline::from(config));
            let rows = if name == EMBEDDING { 1 } else { outputs };
            rows * kind.bytes(inputs).unwrap()
        }
        _ => unreachable!("weights have one dimension or two"),
    };
    weight_shapes(config).into_iter().map(bytes).sum::<usize>() as f64
}

fn kernels(dispatches: &[Dispatch]) -> Vec<&str> {
    dispatches.iter().map(|dispatch| dispatch.kernel.as_str()).collect()
}

#[test]
fn a_token_stays_within_its_budget() {
    let grouped = || Shape { kv_heads: 2, ..SHAPE };
    let (f16, mix) = (Precision::Float(DType::F16), Precision::Mix(Scheme::Q4KM));
    for (shape, precision) in [(SHAPE, f16), (grouped(), f16), (grouped(), mix)] {
        let (_folder, config, checkpoint) = random_model(&shape, DType::F16, 1);
        let test = "a_token_stays_within_its_budget";
        let Some((mut model, trace)) = traced(precision, &config, &checkpoint, test) else {
            return;
        };
        token(&mut model, TOKENS);
        let dispatches = trace.take();
        let most = DISPATCHES_OF_A_LAYER * shape.layers + OTHER_DISPATCHES;
        assert!(dispatches.len() <= most, "{:#?}", kernels(&dispatches));

        let weights = moved(&dispatches, Role::Weights);
        let share = weights / weight_bytes(precision, &config);
        assert!(ONCE.contains(&share), "{}: weights {share}", precision.name());

        // Keys and values of all tokens in f16: read once, and those of the new token written.
        let token = 2 * config.num_key_value_heads * config.head_dim * 2;
        let cache = moved(&dispatches, Role::Cache);
        let share = cache / (shape.layers * (TOKENS + 2) * token) as f64;
        assert!(ONCE.contains(&share), "{}: cache {share}", precision.name());

        let activations = moved(&dispatches, Role::Activations) + moved(&dispatches, Role::Batch);
        let share = activations / (weights + cache);
        assert!(share < ACTIVATIONS, "{}: activations {share}", precision.name());
        println!("{}: {} dispatches, activations {share:.4}", precision.name(), dispatches.len());
    }
}

#[test]
fn a_batch_of_eight_reads_each_weight_once() {
    let (_folder, config, checkpoint) = random_model(&SHAPE, DType::F16, 1);
    let precision = Precision::Float(DType::F16);
    let test = "a_batch_of_eight_reads_each_weight_once";
    let Some((mut model, trace)) = traced(precision, &config, &checkpoint, test) else { return };
    for rows in 2..=8 {
        let mut batch = Batch::default();
        for row in 0..rows {
            batch.push(&[row], 0, &[10 + row], 0..1);
        }
        forward(&mut model, &batch);
        let dispatches = trace.take();
        let most = DISPATCHES_OF_A_LAYER * SHAPE.layers + OTHER_DISPATCHES;
        assert!(dispatches.len() <= most, "{:#?}", kernels(&dispatches));
        let embedded = (rows - 1) as f64 * 2.0 * SHAPE.hidden as f64;
        let share =
            moved(&dispatches, Role::Weights) / (weight_bytes(precision, &config) + embedded);
        assert!(ONCE.contains(&share), "{rows} rows: {share}");
    }
}

#[test]
fn a_token_is_chosen_from_few_bytes() {
    let shape = || Shape { hidden: 96, intermediate: 96, vocab: 100_352, ..SHAPE };
    let (_folder, config, checkpoint) = random_model(&shape(), DType::F16, 1);
    let precision = Precision::Float(DType::F16);
    let test = "a_token_is_chosen_from_few_bytes";
    let Some((mut model, trace)) = traced(precision, &config, &checkpoint, test) else { return };
    assert!(model.finds_top());
    for (count, most) in [(1, READ_BYTES_OF_LIKELIEST), (MOST_TOP_LOGITS, READ_BYTES)] {
        for rows in [1, 2, 8] {
            let mut batch = Batch::default();
            for row in 0..rows {
                batch.push(&[row], 0, &[10 + row], 0..1);
            }
            let temperatures = vec![0.8; rows as usize];
            let request = TopRequest { count, temperatures };
            for _ in 0..3 {
                trace.take();
                trace.take_read();
                trace.take_made();
                let top = model.forward_top(&batch, &request).unwrap();
                assert_eq!(top.len(), rows as usize);
            }
            assert_eq!(trace.take_made(), 0);
            let read = trace.take_read();
            assert!((1..=most * rows as usize).contains(&read), "{count} of {rows} rows: {read}");
            let dispatches = trace.take();
            let most = DISPATCHES_OF_A_LAYER * SHAPE.layers + OTHER_DISPATCHES + TOP_DISPATCHES;
            assert!(dispatches.len() <= most, "{:#?}", kernels(&dispatches));
        }
    }
    // All of a row, if it is asked for.
    let mut logits = Vec::new();
    model.read_logits(7..8, &mut logits).unwrap();
    assert_eq!((logits.len(), trace.take_read()), (config.vocab_size, 4 * config.vocab_size));
}

/// After the first of a kind, tokens find their buffers and bind groups made.
#[test]
fn tokens_make_nothing_on_the_device() {
    let (_folder, config, checkpoint) = random_model(&SHAPE, DType::F16, 1);
    let precision = Precision::Float(DType::F16);
    let test = "tokens_make_nothing_on_the_device";
    let Some((mut model, trace)) = traced(precision, &config, &checkpoint, test) else { return };
    (0..2).for_each(|i| token(&mut model, TOKENS + i));
    assert!(trace.take_made() > 0);
    // Up to the end of the last block.
    (2..20).for_each(|i| token(&mut model, TOKENS + i));
    assert_eq!(trace.take_made(), 0);
}

/// Times change nothing but how commands are sent, and every dispatch has one.
#[test]
fn every_dispatch_of_a_pass_is_timed() {
    let (_folder, config, checkpoint) = random_model(&SHAPE, DType::F16, 1);
    let precision = Precision::Float(DType::F16);
    let test = "every_dispatch_of_a_pass_is_timed";
    let Some((mut model, trace)) = traced(precision, &config, &checkpoint, test) else { return };
    if !adapter(test).is_some_and(|adapter| adapter.features.contains(&"timestamps")) {
        println!("not run: {test}: the driver has no timestamps");
        return;
    }
    let prompt = Random(4).tokens(TOKENS, config.vocab_size);
    let mut pass = |notes: Notes, tokens: &[u32], at: usize| {
        trace.note(notes);
        let mut batch = Batch::default();
        batch.push(tokens, at, &BLOCKS, tokens.len() - 1..tokens.len());
        let logits = forward(&mut model, &batch);
        (trace.take(), logits)
    };
    for (tokens, at) in [(&prompt[..], 0), (&prompt[..1], TOKENS)] {
        let (expected, logits) = pass(Notes::Bytes, tokens, at);
        let (got, same) = pass(Notes::Times, tokens, at);
        assert_eq!(kernels(&got), kernels(&expected));
        assert_eq!(same, logits);
        assert!(expected.iter().all(|dispatch| dispatch.nanoseconds.is_none()));
        let times = got.iter().map(|dispatch| dispatch.nanoseconds.expect("it was timed"));
        let total: f64 = times.inspect(|time| assert!(time.is_finite() && *time >= 0.0)).sum();
        let table = by_kernel(&got);
        assert_eq!(table.iter().map(|line| line.count).sum::<usize>(), got.len());
        let sum: f64 = table.iter().map(|line| line.nanoseconds).sum();
        assert!(total > 0.0 && (sum - total).abs() < 1e-6 * total, "{sum} of {total}");
        assert!(table.is_sorted_by(|a, b| a.nanoseconds >= b.nanoseconds));
    }
    assert!(pass(Notes::Nothing, &prompt[..1], TOKENS).0.is_empty());
}
