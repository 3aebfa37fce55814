//! What this machine can do at most: read bandwidth and arithmetic peaks, as one JSON object.
//!
//! ```text
//! cargo run --release --example machine_limits -- [threads=N] [seconds=0.3] [megabytes=256]
//! ```
//!
//! A kernel is judged by its share of these. Each number is the best of four runs on one thread and
//! on all of them, since a busy machine only ever makes a run slower; null says that this CPU lacks
//! the instruction. One multiply-add is two operations, as everywhere in the benchmark.
//!
//! The loops are inline assembly: a compiler would move out of them what does not change.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

#[path = "machine_limits/arm.rs"]
#[cfg(target_arch = "aarch64")]
mod peaks;
#[path = "machine_limits/x86.rs"]
#[cfg(target_arch = "x86_64")]
mod peaks;

/// A loop of one kind of arithmetic.
pub struct Peak {
    pub name: &'static str,
    /// Operations of one pass through the loop, if this CPU can run it.
    pub operations: Option<u64>,
    /// Passes through the loop so many times.
    pub run: fn(u64),
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod peaks {
    pub fn all() -> Vec<super::Peak> {
        Vec::new()
    }
}

const RUNS: usize = 4;

fn main() {
    let option = |key: &str, default: f64| {
        let value = std::env::args().skip(1).find_map(|pair| {
            pair.split_once('=').filter(|(k, _)| *k == key).map(|(_, v)| v.to_owned())
        });
        value.map_or(default, |value| value.parse().expect("key=number"))
    };
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let threads = option("threads", cores as f64) as usize;
    let time = Duration::from_secs_f64(option("seconds", 0.3));
    let bytes = option("megabytes", 256.0) as usize * 1_000_000;

    let number = |value: f64| serde_json::json!((value * 10.0).round() / 10.0);
    let mut limits = serde_json::Map::new();
    limits.insert("threads".into(), threads.into());
    limits.insert("readOneThreadGBps".into(), number(read_bandwidth(1, bytes, time)));
    limits.insert("readGBps".into(), number(read_bandwidth(threads, bytes, time)));
    for Peak { name, operations, run } in peaks::all() {
        let value = operations.map(|operations| number(rate(threads, operations, run, time)));
        limits.insert(name.into(), value.into());
    }
    println!("{}", serde_json::Value::Object(limits));
}

/// 10⁹ operations a second of all threads together.
fn rate(threads: usize, operations: u64, run: fn(u64), time: Duration) -> f64 {
    let passes = passes_in(time, run);
    let best = best_time(threads, |_| run(passes));
    operations as f64 * passes as f64 * threads as f64 / best / 1e9
}

/// How many passes take about so long on one thread.
fn passes_in(time: Duration, run: fn(u64)) -> u64 {
    let mut passes = 1 << 16;
    loop {
        let start = Instant::now();
        run(passes);
        let taken = start.elapsed();
        if taken * 8 >= time {
            return (passes as f64 * time.as_secs_f64() / taken.as_secs_f64()) as u64;
        }
        passes *= 2;
    }
}

/// 10⁹ bytes a second of all threads together, each with its own part of a buffer no cache holds.
fn read_bandwidth(threads: usize, bytes: usize, time: Duration) -> f64 {
    let words = bytes / 8 / threads / 64 * 64;
    let buffers: Vec<Vec<u64>> = (0..threads).map(|_| vec![1; words]).collect();
    let once = best_time(threads, |thread| _ = black_box(sum(&buffers[thread])));
    let sweeps = (time.as_secs_f64() / once).ceil() as usize;
    let best = best_time(threads, |thread| {
        for _ in 0..sweeps {
            black_box(sum(black_box(&buffers[thread])));
        }
    });
    (sweeps * threads * words * 8) as f64 / best / 1e9
}

/// Sums in many lanes, so that no addition waits for the one before it.
fn sum(words: &[u64]) -> u64 {
    let mut sums = [0u64; 64];
    for chunk in words.chunks_exact(64) {
        for (sum, word) in sums.iter_mut().zip(chunk) {
            *sum ^= word;
        }
    }
    sums.iter().fold(0, |all, sum| all ^ sum)
}

/// Seconds from when all threads are ready until the last is done; the shortest of some runs.
fn best_time(threads: usize, work: impl Fn(usize) + Sync) -> f64 {
    let run = || {
        let (ready, done) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let (ready, done, work) = (&ready, &done, &work);
                scope.spawn(move || {
                    ready.wait();
                    work(thread);
                    done.wait();
                });
            }
            ready.wait();
            let start = Instant::now();
            done.wait();
            start.elapsed().as_secs_f64()
        })
    };
    (0..RUNS).map(|_| run()).fold(f64::INFINITY, f64::min)
}
