//! Every file of a checkpoint, a few bytes changed at a time: it is read or refused, and nothing else.
//!
//! `OLMO2_FUZZ=26000 cargo test --release -p olmo-core --test mutated_files` tries so many of each file;
//! `OLMO2_FUZZ_SEED` begins elsewhere. A failure names the seed, and leaves the file in the temporary folder.

mod support;

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;
use std::time::{Duration, Instant};

use olmo_core::checkpoint::{inspect, ModelSource};
use olmo_core::config::ModelConfig;
use olmo_core::files::parquet::Rows;
use olmo_core::sampling::GenerationDefaults;
use olmo_core::tokenizer::Tokenizer;
use olmo_core::Result;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::{golden, TempDir};

/// How many of each file are tried where nobody asks for more.
const TRIES: u64 = 60;

/// No file of a few kilobytes takes as long.
const LONGEST: Duration = Duration::from_secs(10);

fn number(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name} is {value}")))
}

const WHOLE: usize = usize::MAX;

/// Words that stand for much in these files.
const WORDS: [&str; 18] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "null",
    "true",
    "-1",
    "0",
    "1e308",
    "18446744073709551615",
    "99999999999999999999",
    "\\ud800",
    "a",
    "\u{0}",
    "\"type\":",
];

fn mutate(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    let mut below = |most: usize| random.next_u32() as usize % most.max(1);
    let at = below(bytes.len());
    let end = (at + 1 + below(40)).min(bytes.len());
    match below(7) {
        0 if at < bytes.len() => bytes[at] = below(256) as u8,
        1 if at < bytes.len() => bytes[at] ^= 1 << below(8),
        2 => drop(bytes.drain(at.min(end)..end)),
        3 => bytes.truncate(at),
        4 => {
            let piece = bytes[at.min(end)..end].to_vec();
            let times = 1 + below(20);
            bytes.splice(at..at, piece.repeat(times));
        }
        5 => {
            let word = WORDS[below(WORDS.len())];
            bytes.splice(at..at, word.bytes());
        }
        _ => {
            // Digits make other numbers that can still be read.
            let digits: Vec<usize> =
                (0..bytes.len()).filter(|&i| bytes[i].is_ascii_digit()).collect();
            if !digits.is_empty() {
                bytes[digits[below(digits.len())]] = b"0123456789"[below(10)];
            }
        }
    }
}

/// Tries mutations of the first `head` bytes of a file, under `name` in a folder of its own.
fn fuzz(name: &str, good: &[u8], head: usize, dir: &Path, parse: impl Fn(&Path) -> Result<()>) {
    let (tries, seed) = (number("OLMO2_FUZZ", TRIES), number("OLMO2_FUZZ_SEED", 24));
    let path = dir.join(name);
    let mut refused = 0;
    for index in 0..tries {
        let mut random = ChaCha8Rng::seed_from_u64(seed.wrapping_add(index));
        let (head, tail) = good.split_at(head.min(good.len()));
        let mut bytes = head.to_vec();
        for _ in 0..1 + random.next_u32() % 3 {
            mutate(&mut bytes, &mut random);
        }
        bytes.extend(tail);
        // As a new file, since what was mapped before may still be.
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, &bytes).unwrap();
        let started = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| parse(&path)));
        let keep = || std::env::temp_dir().join(format!("mutated-{index}-{name}"));
        let Ok(result) = result else {
            std::fs::write(keep(), &bytes).unwrap();
            panic!("OLMO2_FUZZ_SEED={}: a panic, see {}", seed + index, keep().display());
        };
        let took = started.elapsed();
        if took > LONGEST {
            std::fs::write(keep(), &bytes).unwrap();
            panic!("OLMO2_FUZZ_SEED={}: {took:?}, see {}", seed + index, keep().display());
        }
        if let Err(error) = result {
            refused += 1;
            assert!(error.code() != "INTERNAL", "OLMO2_FUZZ_SEED={}: {error}", seed + index);
        }
    }
    println!("{name}: {tries} files from seed {seed} on, {refused} refused");
    assert!(refused > 0, "{name}: nothing was refused");
}

fn copy(model: &str) -> TempDir {
    let dir = TempDir::new();
    for entry in std::fs::read_dir(golden(model)).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with("reference.safetensors") {
            std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    dir
}

fn bytes(file: &str) -> Vec<u8> {
    std::fs::read(golden(file)).unwrap()
}

#[test]
fn configs() {
    let dir = copy("tiny-mha-f32");
    let parse = |_: &Path| ModelConfig::from_dir(dir.path()).map(drop);
    fuzz("config.json", &bytes("tiny-mha-f32/config.json"), WHOLE, dir.path(), parse);
    let dir = copy("tiny-mha-f32");
    let config = ModelConfig::from_dir(dir.path()).unwrap();
    let parse = |_: &Path| GenerationDefaults::from_dir(dir.path(), &config).map(drop);
    let good = br#"{"do_sample": true, "temperature": 0.7, "top_p": 0.9, "top_k": 50, "eos_token_id": [1, 2],
        "pad_token_id": 0, "max_new_tokens": 20, "repetition_penalty": 1.1, "stop_strings": ["a"]}"#;
    fuzz("generation_config.json", good, WHOLE, dir.path(), parse);
}

#[test]
fn weights() {
    let dir = copy("tiny-mha-f32");
    let file = bytes("tiny-mha-f32/model.safetensors");
    let parse = |_: &Path| inspect(dir.path()).map(drop);
    fuzz("model.safetensors", &file, 4096, dir.path(), parse);
    let dir = copy("tiny-sharded-f32");
    let name = "model.safetensors.index.json";
    let parse = |_: &Path| inspect(dir.path()).map(drop);
    fuzz(name, &bytes(&format!("tiny-sharded-f32/{name}")), WHOLE, dir.path(), parse);
}

#[test]
fn tokenizers() {
    let dir = copy("tiny-mha-f32");
    let parse = |_: &Path| {
        let tokenizer = Tokenizer::from_dir(dir.path())?;
        let ids = tokenizer.encode("Some words, 1234 and <|endoftext|> \u{e9}\n\n", true)?;
        tokenizer.decode(&ids, true).map(drop)
    };
    fuzz("tokenizer.json", &bytes("tiny-mha-f32/tokenizer.json"), WHOLE, dir.path(), parse);
}

#[test]
fn gguf_files() {
    let dir = TempDir::new();
    let file = bytes("gguf/tiny-mha-q8_0.gguf");
    let parse = |path: &Path| {
        let source = ModelSource::open(path)?;
        source.config()?;
        source.tokenizer()?;
        inspect(path).map(drop)
    };
    fuzz("model.gguf", &file, 40_000, dir.path(), parse);
}

#[test]
fn parquet_files() {
    let dir = TempDir::new();
    for name in [
        "snappy.parquet",
        "groups.parquet",
        "v2.parquet",
        "delta.parquet",
        "zstd.parquet",
        "json.parquet",
    ] {
        let file = bytes(&format!("parquet/{name}"));
        let parse =
            |path: &Path| Rows::open(path, None)?.take(10_000).try_for_each(|row| row.map(drop));
        fuzz(name, &file, WHOLE, dir.path(), parse);
    }
}
