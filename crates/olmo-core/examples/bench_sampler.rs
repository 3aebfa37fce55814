//! Microseconds from logits to a token, for OLMo 2's vocabulary and common options.
//!
//! ```text
//! cargo run --release --example bench_sampler
//! ```

#[path = "../tests/cpu_support/mod.rs"]
mod cpu_support;

use std::time::Instant;

use cpu_support::Random;
use olmo_core::sampling::{are_sound, Context, GenerationOptions, LogSoftmax, Sampler, Scores};

const VOCAB: usize = 100_352;
const STEPS: usize = 40;

fn main() {
    // Sums of twelve: nearly normal, as logits are, with a spread of 3.
    let mut random = Random(1);
    let rows: Vec<Vec<f32>> = (0..STEPS)
        .map(|_| (0..VOCAB).map(|_| (0..12).map(|_| random.number()).sum::<f32>() * 1.5).collect())
        .collect();
    let ids = random.tokens(500, VOCAB);
    let sampled = GenerationOptions { do_sample: true, top_k: 0, ..GenerationOptions::default() };
    let settings = [
        ("greedy", GenerationOptions::default()),
        (
            "greedy, repetition_penalty 1.1",
            GenerationOptions { repetition_penalty: 1.1, ..GenerationOptions::default() },
        ),
        ("top_k 50", GenerationOptions { top_k: 50, ..sampled.clone() }),
        (
            "temperature 0.8, top_k 50, top_p 0.95",
            GenerationOptions { temperature: 0.8, top_k: 50, top_p: 0.95, ..sampled.clone() },
        ),
        (
            "temperature 0.8, top_p 0.95",
            GenerationOptions { temperature: 0.8, top_p: 0.95, ..sampled.clone() },
        ),
        ("min_p 0.05", GenerationOptions { min_p: Some(0.05), ..sampled.clone() }),
        ("typical_p 0.9", GenerationOptions { typical_p: 0.9, ..sampled.clone() }),
        ("all tokens", sampled),
    ];
    for (name, options) in settings {
        let (mut sampler, mut scores) = (Sampler::new(&options, 7, 0), Scores::new());
        let context = Context { ids: &ids, prompt_length: 400 };
        let times = rows.iter().map(|logits| {
            let start = Instant::now();
            assert!(are_sound(logits));
            sampler.next(&context, logits, &mut scores).expect("a token");
            start.elapsed().as_secs_f64() * 1e6
        });
        println!("{:8.1} µs  {name}", median(times.collect()));
    }
    let mut buffer = Vec::new();
    let times = rows.iter().map(|logits| {
        let start = Instant::now();
        LogSoftmax::new(logits).token(5, 5, &mut buffer);
        start.elapsed().as_secs_f64() * 1e6
    });
    println!("{:8.1} µs  log-probability and 5 alternatives", median(times.collect()));
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
