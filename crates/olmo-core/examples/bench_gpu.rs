//! How fast a GPU runs models of the published shapes, with random weights, beside what its memory can copy: one JSON
//! object. `scripts/gpu-check` runs it and lays the numbers out.
//!
//! ```text
//! cargo run --release --example bench_gpu -- [key=value …]
//!   device=gpu shapes=1B,7B types=bf16,f16,q8_0,q4_k_m prompt=2048 depths=0,2048 decode=64 rounds=3 copy=1024
//!   out=FOLDER tests=TEXT
//! ```
//!
//! With `out` it also writes `gpu-check.json` and `gpu-check.md` there after each model, with what `tests` says of the
//! tests.
//!
//! A step of decoding is a pass of one row and the reading of its logits, as the engine has it without sampling. Its
//! share says how much of the copy's bandwidth the bytes of a step take: all weights but the embeddings, and the cache.
//! Where cooperative matrices multiply prompts, those of the first shape are also read without them.
//! Where the driver has timestamps, one more token and one more prompt in a pass say what each kernel takes; each dispatch
//! is a pass of its own then, so that their sum is more than the time of a pass.
//! `shapes=tiny` is for trying the program out where no number means anything.

#[path = "bench_gpu/copy.rs"]
mod copy;
#[path = "bench_gpu/kernels.rs"]
mod kernels;
#[path = "bench_gpu/report.rs"]
mod report;
#[path = "bench_gpu/weights.rs"]
mod weights;

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use olmo_core::backend::wgpu::{verdict, Notes, Trace, WgpuOps};
use olmo_core::cache::blocks_for;
use olmo_core::config::ModelConfig;
use olmo_core::device::{Adapter, Device};
use olmo_core::limits::Limits;
use olmo_core::memory::MemoryPlan;
use olmo_core::model::{Model, NoProbe, Runtime};
use olmo_core::ops::Batch;
use olmo_core::precision::Precision;
use olmo_core::sampling::TopRequest;
use olmo_core::shapes::{weight_shapes, EMBEDDING};
use olmo_core::weights::Checkpoint;
use serde_json::{json, Value};

/// Tokens of a prompt unless told otherwise.
const PROMPT: usize = 2048;

struct Options(HashMap<String, String>);

impl Options {
    fn read() -> Options {
        let pair = |pair: String| {
            let (key, value) = pair.split_once('=').expect("key=value");
            (key.to_owned(), value.to_owned())
        };
        Options(std::env::args().skip(1).map(pair).collect())
    }

    fn text<'a>(&'a self, key: &str, default: &'a str) -> &'a str {
        self.0.get(key).map_or(default, String::as_str)
    }

    fn number(&self, key: &str, default: usize) -> usize {
        self.0.get(key).map_or(default, |value| value.parse().expect("a number"))
    }

    fn numbers(&self, key: &str, default: &str) -> Vec<usize> {
        self.text(key, default).split(',').map(|one| one.parse().expect("a number")).collect()
    }
}

fn main() {
    let options = Options::read();
    let device: Device = options.text("device", "gpu").parse().expect("a device");
    let adapter = device.adapter().unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(1);
    });
    let copied = copy::bandwidth(&adapter.name, options.number("copy", 1024) << 20);
    eprintln!("{}: copies {:.0} GB/s", adapter.name, copied / 1e9);
    let memory = adapter.memory();
    let cooperates = verdict(&adapter);
    let mut report = json!({
        "device": adapter.name,
        "driver": adapter.driver,
        "api": adapter.api,
        "features": adapter.features,
        "cooperativeMatrices": match &cooperates {
            None => "none that kernels can use".to_owned(),
            Some(Ok(())) => "used".to_owned(),
            Some(Err(reason)) => format!("not used: {reason}"),
        },
        "memory": memory.map(|memory| memory.total),
        "free": memory.map(|memory| memory.free),
        "copyBytesPerSecond": copied,
        "tests": options.0.get("tests"),
        "models": [],
    });
    keep(&report, &options);
    let shapes = options.text("shapes", "1B,7B").split(',').filter(|shape| !shape.is_empty());
    for (index, shape) in shapes.enumerate() {
        let config = weights::config(shape);
        let began = Instant::now();
        let (_folder, checkpoint) = weights::write(&config);
        eprintln!("{shape}: weights written in {:.1} s", began.elapsed().as_secs_f64());
        let bench = Bench {
            config: &config,
            checkpoint: &checkpoint,
            adapter: &adapter,
            options: &options,
            copied,
            is_twice: index == 0 && cooperates == Some(Ok(())),
        };
        for name in options.text("types", "bf16,f16,q8_0,q4_k_m").split(',') {
            let measured = bench.measure(name.parse().expect("a type of weights"));
            let mut found = measured.unwrap_or_else(|error| json!({"error": error.to_string()}));
            found["shape"] = json!(shape);
            found["type"] = json!(name);
            eprintln!("{found}");
            report["models"].as_array_mut().expect("a list").push(found);
            keep(&report, &options);
        }
    }
    println!("{report}");
}

/// Writes what there is so far.
fn keep(found: &Value, options: &Options) {
    let Some(folder) = options.0.get("out").map(Path::new) else { return };
    let json = serde_json::to_string_pretty(found).expect("numbers and texts");
    std::fs::write(folder.join("gpu-check.json"), json).expect("a folder to write to");
    std::fs::write(folder.join("gpu-check.md"), report::markdown(found)).expect("as above");
}

/// What is measured of models of one shape.
struct Bench<'a> {
    config: &'a ModelConfig,
    checkpoint: &'a Checkpoint,
    adapter: &'a Adapter,
    options: &'a Options,
    /// Bytes that the device copies a second.
    copied: f64,
    /// Whether prompts are also read without cooperative matrices.
    is_twice: bool,
}

impl Bench<'_> {
    /// A model in one type of weights.
    fn measure(&self, precision: Precision) -> olmo_core::Result<Value> {
        let began = Instant::now();
        let trace = Trace::default();
        trace.note(Notes::Nothing);
        let mut passes = self.load(precision, |ops| ops.with_trace(trace.clone()))?;
        let loaded = began.elapsed().as_secs_f64();
        let tokens = passes.tokens(self.options.number("prompt", PROMPT));
        let mut found = json!({
            "loadSeconds": loaded,
            "prompt": tokens.len(),
            "prefill": self.prefill(&mut passes, &tokens),
        });
        let logits = passes.logits.clone();
        found["decode"] = self.decode(&mut passes, precision);
        if self.adapter.features.contains(&"timestamps") {
            let depth = tokens.len().min(self.config.max_position_embeddings - 1);
            found["kernels"] = json!({
                "prompt": kernels::times(&trace, || passes.pass(&tokens, 0)),
                "token": kernels::times(&trace, || passes.step(&tokens[..1], depth)),
                "tokensBefore": depth,
            });
        }
        drop(passes);
        if self.is_twice {
            let mut plain = self.load(precision, WgpuOps::without_cooperative_matrices)?;
            found["plain"] = self.prefill(&mut plain, &tokens);
            found["plain"]["difference"] = json!(difference(&plain.logits, &logits));
        }
        Ok(found)
    }

    fn load(
        &self,
        precision: Precision,
        change: impl FnOnce(WgpuOps) -> WgpuOps,
    ) -> olmo_core::Result<Passes> {
        let Bench { config, checkpoint, adapter, .. } = *self;
        let blocks = blocks_for(config.max_position_embeddings);
        let cache = precision.cache_dtype().into();
        let ops = change(WgpuOps::new(adapter, Some(precision), config, cache)?);
        let model = Runtime::load(ops, config, checkpoint, blocks, &mut |_| Ok(()))?;
        Ok(Passes::new(Box::new(model), config))
    }

    /// Tokens a second of a prompt in chunks and in one pass, the medians of a few rounds.
    fn prefill(&self, passes: &mut Passes, tokens: &[u32]) -> Value {
        let chunk = self.options.number("chunk", Limits::default().prefill_chunk);
        let mut read = |chunk: usize| {
            let began = Instant::now();
            for (index, part) in tokens.chunks(chunk).enumerate() {
                passes.pass(part, index * chunk);
            }
            tokens.len() as f64 / began.elapsed().as_secs_f64()
        };
        read(chunk); // compiles the kernels
        read(tokens.len());
        let rounds = self.options.number("rounds", 3);
        let chunks = median((0..rounds).map(|_| read(chunk)));
        let whole = median((0..rounds).map(|_| read(tokens.len())));
        json!({"chunk": chunk, "tokensPerSecond": chunks, "inOnePass": whole})
    }

    /// Tokens a second after others, the medians of a few rounds.
    fn decode(&self, passes: &mut Passes, precision: Precision) -> Value {
        let (rounds, steps) = (self.options.number("rounds", 3), self.options.number("decode", 64));
        let token = passes.tokens(1);
        let at = |depth: usize| {
            let depth = depth.min(self.config.max_position_embeddings - steps);
            let mut write = || {
                let began = Instant::now();
                (0..steps).for_each(|step| passes.step(&token, depth + step));
                steps as f64 / began.elapsed().as_secs_f64()
            };
            write();
            let rate = median((0..rounds).map(|_| write()));
            let bytes = bytes_of_step(self.config, precision, depth + steps / 2);
            let share = rate * bytes as f64 / self.copied;
            json!({"depth": depth, "tokensPerSecond": rate, "bytes": bytes, "share": share})
        };
        self.options.numbers("depths", "0,2048").into_iter().map(at).collect()
    }
}

/// A model and what its passes use again.
struct Passes {
    model: Box<dyn Model>,
    blocks: Vec<u32>,
    vocab: usize,
    logits: Vec<f32>,
}

impl Passes {
    fn new(model: Box<dyn Model>, config: &ModelConfig) -> Passes {
        let blocks = (0..blocks_for(config.max_position_embeddings) as u32).collect();
        Passes { model, blocks, vocab: config.vocab_size, logits: Vec::new() }
    }

    fn tokens(&self, count: usize) -> Vec<u32> {
        (0..count).map(|i| (i * 7919 % self.vocab) as u32).collect()
    }

    /// Leaves the logits of the last token.
    fn pass(&mut self, tokens: &[u32], start: usize) {
        let batch = self.batch(tokens, start);
        self.model.forward(&batch, &mut NoProbe, &mut self.logits).expect("a pass");
    }

    /// A token as a greedy text has it: the likeliest is found on the device.
    fn step(&mut self, token: &[u32], start: usize) {
        let likeliest = TopRequest { count: 1, temperatures: vec![1.0] };
        self.model.forward_top(&self.batch(token, start), &likeliest).expect("a step");
    }

    fn batch(&self, tokens: &[u32], start: usize) -> Batch {
        let mut batch = Batch::default();
        batch.push(tokens, start, &self.blocks, tokens.len() - 1..tokens.len());
        batch
    }
}

/// The largest difference between two rows of logits, of the largest of them.
fn difference(expected: &[f32], got: &[f32]) -> f32 {
    let most = expected.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let differences = expected.iter().zip(got).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max) / most
}

/// What a step has to read at least: all weights but the embeddings, and the keys and values of what is before it.
fn bytes_of_step(config: &ModelConfig, precision: Precision, depth: usize) -> u64 {
    let cache = precision.cache_dtype().into();
    let plan = MemoryPlan::new(config, precision, cache, depth, &Limits::default());
    let rows = |(name, shape): &(String, Vec<usize>)| (name == EMBEDDING).then(|| shape.clone());
    let table = weight_shapes(config).iter().find_map(rows).expect("an embedding table");
    let kind = precision.of(EMBEDDING, &table, config);
    let table = (table[0] * kind.bytes(table[1]).unwrap_or(0)) as u64;
    plan.weights - table + plan.cache_per_token * depth as u64
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
