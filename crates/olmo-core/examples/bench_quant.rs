//! Matrix products on weights in blocks, beside candle's `QMatMul` and the CPU's own limits:
//!
//! ```sh
//! RAYON_NUM_THREADS=1 cargo run --release --example bench_quant -- threads=1 clock=core
//! ```
//!
//! `threads`, `rows` (512), `rounds` (5), `types` (q8_0,q6_k,q5_k_m,q5_0,q4_k_m,q4_0), `candle` (yes), and
//! `clock`: `wall`, or `core` for the time that this process's threads ran, which a busy machine
//! falsifies less; then everything has to be on one thread.

#[path = "../tests/cpu_support/mod.rs"]
mod cpu_support;

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Module, Tensor};
use cpu_support::{weight, write_weights, Folder, Random, Shape};
use olmo_core::backend::cpu::CpuOps;
use olmo_core::dtype::DType;
use olmo_core::ops::{Batch, Ops};
use olmo_core::precision::Precision;
use olmo_core::precision::Scheme;
use olmo_core::quant::BlockType;

const SHAPES: [[usize; 2]; 2] = [[8192, 2048], [2048, 8192]];

fn main() {
    let options: HashMap<String, String> = std::env::args()
        .skip(1)
        .map(|pair| pair.split_once('=').map(|(k, v)| (k.into(), v.into())).expect("key=value"))
        .collect();
    let text =
        |key: &str, default: &str| options.get(key).map_or(default.to_owned(), String::clone);
    let number = |key, default: &str| text(key, default).parse::<usize>().expect("a number");
    let rows = number("rows", "512");
    let one_core = text("clock", "wall") == "core";
    let settings = Settings {
        rounds: number("rounds", "5"),
        threads: options.get("threads").map(|value| value.parse().expect("a number")),
        one_core,
        now: if one_core { on_cores } else { on_wall },
        with_candle: text("candle", "yes") == "yes",
    };

    let (wide, narrow) = peaks(settings.now);
    println!("a core's peak: {wide:.1} GOP/s with 32-bit sums, {narrow:.1} with 16-bit sums");
    for scheme in text("types", "q8_0,q6_k,q5_k_m,q5_0,q4_k_m,q4_0").split(',') {
        let scheme = Scheme::parse(scheme).expect("a mix of blocks");
        for [outputs, inputs] in SHAPES {
            let (best, cores) = measure(scheme, [rows, outputs, inputs], &settings);
            let products = 2.0 * (rows * outputs * inputs) as f64 / 1e9;
            let bytes = scheme.block_type().bytes(outputs * inputs).unwrap() as f64 / 1e9;
            println!(
                "{:>6} {outputs}×{inputs}: {rows} rows {:6.1} GOP/s ({:3.0}% / {:3.0}% of the peaks), candle {:6.1} ({:.2}×); one row {:5.2} GB/s, candle {:5.2}",
                scheme.name(),
                products / best[0],
                100.0 * products / best[0] / (wide * cores as f64),
                100.0 * products / best[0] / (narrow * cores as f64),
                products / best[1],
                best[1] / best[0],
                bytes / best[2],
                bytes / best[3],
            );
        }
    }
}

struct Settings {
    rounds: usize,
    threads: Option<usize>,
    one_core: bool,
    now: fn() -> Duration,
    with_candle: bool,
}

/// The best seconds of many rows, here and in candle, and of one row; and how many cores had a share.
fn measure(
    scheme: Scheme,
    [rows, outputs, inputs]: [usize; 3],
    settings: &Settings,
) -> ([f64; 4], usize) {
    let Settings { rounds, threads, one_core, now, with_candle } = *settings;
    let (folder, mut random) = (Folder::new(), Random(1));
    let mut tensor =
        |name, shape: [usize; 2]| weight(name, &shape, random.numbers(shape[0] * shape[1]));
    let weights = vec![tensor("w", [outputs, inputs]), tensor("x", [rows, inputs])];
    let x = weights[1].values.clone();
    let w = weights[0].values.clone();
    let checkpoint = write_weights(&folder, weights, DType::F32);
    let shape = Shape {
        hidden: 8,
        intermediate: 8,
        layers: 1,
        heads: 1,
        kv_heads: 1,
        vocab: 8,
        context: 8,
    };
    let ops = CpuOps::new(DType::F32, threads).expect("the CPU engine");
    let mut ops = ops.in_precision(Some(Precision::Mix(scheme)), &shape.config());
    let mut floats = CpuOps::new(DType::F32, threads).expect("the CPU engine");
    let matrix = ops.matrix(checkpoint.get("w").unwrap()).expect("a matrix");
    let table = floats.matrix(checkpoint.get("x").unwrap()).expect("a matrix");
    let rows_of = |count: usize| {
        let ids: Vec<u32> = (0..count as u32).collect();
        let mut batch = Batch::default();
        batch.push(&ids, 0, &[], 0..0);
        let pass = ops.begin(&batch, &[]).expect("a pass");
        ops.embed(&table, &pass).expect("rows")
    };
    let (many, one) = (rows_of(rows), rows_of(1));
    let ours = |x| drop(black_box(ops.project(x, [&matrix]).expect("a product")));

    let candle = with_candle.then(|| {
        let cpu = candle_core::Device::Cpu;
        let w = Tensor::from_vec(w, (outputs, inputs), &cpu).unwrap();
        let w = QTensor::quantize(&w, ggml(scheme.block_type())).unwrap();
        let many = Tensor::from_vec(x, (rows, inputs), &cpu).unwrap();
        let one = many.narrow(0, 0, 1).unwrap();
        (QMatMul::from_qtensor(w).unwrap(), many, one)
    });
    let rival = |w: &QMatMul, x: &Tensor| drop(black_box(w.forward(x).unwrap()));
    let mut best = [f64::INFINITY; 4];
    for _ in 0..rounds {
        note(&mut best[0], now, 1, || ours(&many));
        note(&mut best[2], now, 200, || ours(&one));
        if let Some((w, many, one)) = &candle {
            note(&mut best[1], now, 1, || rival(w, many));
            note(&mut best[3], now, 200, || rival(w, one));
        }
    }
    (best, if one_core { 1 } else { ops.threads() })
}

fn note(best: &mut f64, now: fn() -> Duration, times: u32, body: impl Fn()) {
    let start = now();
    (0..times).for_each(|_| body());
    *best = best.min((now() - start).as_secs_f64() / f64::from(times));
}

fn ggml(kind: BlockType) -> GgmlDType {
    match kind {
        BlockType::Q8_0 => GgmlDType::Q8_0,
        BlockType::Q5_0 => GgmlDType::Q5_0,
        BlockType::Q4_0 => GgmlDType::Q4_0,
        BlockType::Q4K => GgmlDType::Q4K,
        BlockType::Q5K => GgmlDType::Q5K,
        BlockType::Q6K => GgmlDType::Q6K,
    }
}

/// GOP/s of one core that does nothing but multiply bytes with AVX2: `vpmaddubsw`, `vpmaddwd` and
/// `vpaddd`; and `vpmaddubsw` and `vpaddw`.
#[cfg(target_arch = "x86_64")]
fn peaks(now: fn() -> Duration) -> (f64, f64) {
    use std::arch::asm;

    const TURNS: u64 = 50_000_000;
    if !is_x86_feature_detected!("avx2") {
        return (f64::NAN, f64::NAN);
    }
    macro_rules! peak {
        ($($line:literal)*) => {{
            let mut best = f64::INFINITY;
            for _ in 0..3 {
                note(&mut best, now, 1, || {
                    // SAFETY: the CPU has AVX2, and the registers written are named.
                    unsafe {
                        asm!(
                            "2:", $($line,)* "dec {turns}", "jnz 2b",
                            turns = inout(reg) TURNS => _,
                            out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _,
                            out("ymm4") _, out("ymm5") _, out("ymm6") _, out("ymm7") _,
                            out("ymm14") _, out("ymm15") _,
                            options(nostack, nomem),
                        )
                    }
                });
            }
            // Four registers of 32 products a turn.
            (4 * 64 * TURNS) as f64 / best / 1e9
        }};
    }
    let wide = peak!(
        "vpmaddubsw ymm0, ymm14, ymm15" "vpmaddubsw ymm1, ymm14, ymm15"
        "vpmaddubsw ymm2, ymm14, ymm15" "vpmaddubsw ymm3, ymm14, ymm15"
        "vpmaddwd ymm0, ymm0, ymm15" "vpmaddwd ymm1, ymm1, ymm15"
        "vpmaddwd ymm2, ymm2, ymm15" "vpmaddwd ymm3, ymm3, ymm15"
        "vpaddd ymm4, ymm4, ymm0" "vpaddd ymm5, ymm5, ymm1"
        "vpaddd ymm6, ymm6, ymm2" "vpaddd ymm7, ymm7, ymm3"
    );
    let narrow = peak!(
        "vpmaddubsw ymm0, ymm14, ymm15" "vpmaddubsw ymm1, ymm14, ymm15"
        "vpmaddubsw ymm2, ymm14, ymm15" "vpmaddubsw ymm3, ymm14, ymm15"
        "vpaddw ymm4, ymm4, ymm0" "vpaddw ymm5, ymm5, ymm1"
        "vpaddw ymm6, ymm6, ymm2" "vpaddw ymm7, ymm7, ymm3"
    );
    (wide, narrow)
}

#[cfg(not(target_arch = "x86_64"))]
fn peaks(_now: fn() -> Duration) -> (f64, f64) {
    (f64::NAN, f64::NAN)
}

fn on_wall() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// Time that all threads of this process have run.
fn on_cores() -> Duration {
    let ran = |task: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    };
    let tasks = std::fs::read_dir("/proc/self/task").expect("clock=core needs Linux");
    Duration::from_nanos(tasks.flatten().filter_map(ran).sum())
}
