//! Tokens a second of the CPU engine beside candle, on a model of random weights.
//!
//! ```text
//! cargo run --release --example bench_forward -- [key=value …]
//!   layers=2 hidden=2048 intermediate=8192 heads=16 vocab=32000
//!   dtype=bf16 (or q4_k_m and the like) cache=bf16 prompt=512 decode=32 rows=1 threads=N rounds=3 candle=yes depth=no
//! ```
//!
//! With `depth=yes` the prompt is read once, and only the steps behind it take turns: each of so many `rows` of one text.
//!
//! The engines take turns, because the machine may be busy with other things: trust the ratios. With
//! `threads=1 candle=no` the time is what the thread had of its core, if the system tells (Linux).

#[path = "../tests/cpu_support/mod.rs"]
mod cpu_support;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cpu_support::{random_model, Random, Shape};
use olmo_core::backend::candle::CandleOps;
use olmo_core::backend::cpu::CpuOps;
use olmo_core::cache::{blocks_for, CacheDType};
use olmo_core::config::ModelConfig;
use olmo_core::dtype::DType;
use olmo_core::limits::Limits;
use olmo_core::memory::MemoryPlan;
use olmo_core::model::{Model, NoProbe, Runtime};
use olmo_core::ops::{Batch, Study};
use olmo_core::precision::Precision;
use olmo_core::weights::Checkpoint;

struct Options(HashMap<String, String>);

impl Options {
    fn text<'a>(&'a self, key: &str, default: &'a str) -> &'a str {
        self.0.get(key).map_or(default, String::as_str)
    }
    fn number(&self, key: &str, default: usize) -> usize {
        self.0.get(key).map_or(default, |value| value.parse().expect("a number"))
    }
    fn shape(&self, context: usize) -> Shape {
        let heads = self.number("heads", 16);
        Shape {
            hidden: self.number("hidden", 2048),
            intermediate: self.number("intermediate", 8192),
            layers: self.number("layers", 2),
            heads,
            kv_heads: self.number("kv_heads", heads),
            vocab: self.number("vocab", 32000),
            context,
        }
    }
}

fn main() {
    let options = Options(
        std::env::args()
            .skip(1)
            .map(|pair| pair.split_once('=').map(|(k, v)| (k.into(), v.into())).expect("key=value"))
            .collect(),
    );
    let (prompt, decode) = (options.number("prompt", 512), options.number("decode", 32));
    let rows = options.number("rows", 1);
    let shape = options.shape(prompt + decode + rows);
    let precision: Precision = options.text("dtype", "bf16").parse().expect("a dtype");
    let (dtype, with_candle) = match precision {
        Precision::Float(dtype) => (dtype, options.text("candle", "yes") == "yes"),
        Precision::Mix(_) => (DType::BF16, false),
    };
    let threads = options.0.get("threads").map(|value| value.parse().expect("a number"));
    let (_folder, config, checkpoint) = random_model(&shape, dtype, 1);
    let (params, layers) = (config.num_params(), shape.layers);
    println!("{layers} layers, {:.0} M weights in {}", params as f64 / 1e6, precision.name());

    let alone = threads == Some(1) && !with_candle;
    let now = if alone { on_core } else { on_wall };
    let cache = options.text("cache", precision.cache_dtype().name());
    let cache: CacheDType = cache.parse().expect("a kind of cache");
    let ops = CpuOps::new(dtype, threads).expect("the CPU engine");
    let ops = ops.in_precision(Some(precision), &config).with_cache(cache);
    let start = Instant::now();
    let mut engines = vec![(ops.variant().name(), model(ops, &config, &checkpoint))];
    println!("loaded in {:.2} s", start.elapsed().as_secs_f64());
    if with_candle {
        let ops = CandleOps::new(candle_core::Device::Cpu, dtype);
        let ops = ops.with_cache(cache).expect("a cache that candle has");
        engines.push(("candle", model(ops, &config, &checkpoint)));
    }

    // Weights a row passes through: the embedding is only looked up.
    let active = params - (shape.vocab * shape.hidden) as u64;
    let body = active - (shape.vocab * shape.hidden) as u64;
    let bytes =
        MemoryPlan::new(&config, precision, cache, 0, &Limits::default()).weights * active / params;
    let depth = options.text("depth", "no") == "yes";
    let start = if depth { prompt } else { 0 };
    let tokens = Random(2).tokens(prompt, shape.vocab);
    for (_, model) in &mut engines {
        let warm = if depth { prompt } else { 2.min(prompt) };
        run(model.as_mut(), &tokens[..warm], 0, 1, 1, now); // touches every page
    }
    for round in 0..options.number("rounds", 3) {
        for (name, model) in &mut engines {
            let (prefill, step) = run(model.as_mut(), &tokens, start, decode, rows, now);
            println!(
                "round {round} {name:>7}: prefill {:8.1} tok/s ({:6.1} GFLOP/s), decode {:7.2} tok/s ({:5.1} GB/s)",
                (prompt - start) as f64 / prefill,
                2.0 * body as f64 * (prompt - start) as f64 / prefill / 1e9,
                1.0 / step,
                bytes as f64 / step / 1e9,
            );
        }
    }
}

/// A model with room in its cache for a whole context.
fn model<O>(ops: O, config: &ModelConfig, checkpoint: &Checkpoint) -> Box<dyn Model>
where
    O: Study + Send + 'static,
    O::Tensor: Send,
    O::Matrix: Send,
    O::Vector: Send,
    O::Cache: Send,
{
    let blocks = blocks_for(config.max_position_embeddings);
    let model = Runtime::load(ops, config, checkpoint, blocks, &mut |_| Ok(()));
    Box::new(model.expect("a model"))
}

/// Seconds of the prompt from `start` on, and of one decode step of `rows` rows.
fn run(
    model: &mut dyn Model,
    tokens: &[u32],
    start: usize,
    decode: usize,
    rows: usize,
    now: fn() -> Duration,
) -> (f64, f64) {
    let blocks: Vec<u32> = (0..blocks_for(tokens.len() + decode + rows) as u32).collect();
    let mut logits = Vec::new();
    let mut forward = |tokens: &[u32], start| {
        let mut batch = Batch::default();
        batch.push(tokens, start, &blocks, tokens.len() - 1..tokens.len());
        model.forward(&batch, &mut NoProbe, &mut logits).expect("a forward pass");
    };
    let begin = now();
    if start < tokens.len() {
        forward(&tokens[start..], start);
    }
    let prefill = (now() - begin).as_secs_f64();
    let begin = now();
    for step in 0..decode {
        forward(&tokens[..rows], tokens.len() + step);
    }
    (prefill, (now() - begin).as_secs_f64() / decode as f64)
}

fn on_wall() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// Time this thread has run.
fn on_core() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    match stat.split(' ').next().and_then(|nanoseconds| nanoseconds.parse().ok()) {
        Some(nanoseconds) => Duration::from_nanos(nanoseconds),
        None => on_wall(),
    }
}
