//! Where the time of a load goes, and what memory it takes at most.
//!
//! ```text
//! cargo run --release --example bench_load -- MODEL [threads=2] [cache=512] [rounds=5]
//! ```
//!
//! Times are in milliseconds, `cpu` of all threads together: on a machine with other work that is the one
//! to compare. The file is in the page cache from the second round on.

use std::time::Instant;

use olmo_core::checkpoint::{LoadOptions, LoadProgress, ModelSource};
use olmo_core::engine::Engine;
use olmo_core::sampling::GenerationOptions;

fn main() {
    let mut path = None;
    let (mut threads, mut cache, mut rounds) = (None, 512, 5);
    for argument in std::env::args().skip(1) {
        match argument.split_once('=') {
            Some(("threads", n)) => threads = Some(n.parse().expect("a number")),
            Some(("cache", n)) => cache = n.parse().expect("a number"),
            Some(("rounds", n)) => rounds = n.parse().expect("a number"),
            _ => path = Some(argument),
        }
    }
    let path = std::path::PathBuf::from(path.expect("a model"));
    for round in 0..rounds {
        println!("round {}", round + 1);
        let source = timed("open", || ModelSource::open(&path).expect("a model"));
        drop(timed("tokenizer", || source.tokenizer().expect("a tokenizer")));
        drop(source);

        let options = LoadOptions {
            path: path.clone(),
            threads,
            cache_tokens: Some(cache),
            ..LoadOptions::default()
        };
        let mut quiet = |_: LoadProgress| Ok(());
        let engine = timed("load", || Engine::load(&options, &mut quiet).expect("a model"));
        timed("first token", || first_token(&engine));
        timed("dispose", || pollster::block_on(engine.dispose()));
    }
    let peak = proc("status", |text| text.split_once("VmHWM:")?.1.split_whitespace().next());
    println!("peak of resident memory: {} MiB", peak.map_or(0, |kib| kib >> 10));
}

fn first_token(engine: &Engine) {
    let options = GenerationOptions { max_new_tokens: 1, ..GenerationOptions::default() };
    let generation = engine.generate(vec![(0..16).collect()], options).expect("a generation");
    while let Some(events) = generation.next_blocking() {
        events.expect("no error");
    }
}

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let value = run();
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!("  {what:<12} {:7.0} ms {:7.0} ms cpu", wall * 1e3, cpu * 1e3);
    value
}

/// Of the whole process, in steps of 10 ms; 0 where there is no `/proc`.
fn cpu_seconds() -> f64 {
    // The name before the bracket can be anything; user and system time are fields 14 and 15.
    let field =
        |n: usize| proc("stat", |text| text.rsplit_once(')')?.1.split_whitespace().nth(n - 3));
    (field(14).unwrap_or(0) + field(15).unwrap_or(0)) as f64 / 100.0
}

fn proc(file: &str, find: impl Fn(&str) -> Option<&str>) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/self/{file}")).ok()?;
    find(&text)?.parse().ok()
}
