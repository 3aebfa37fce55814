//! From a folder of text to token files, tokenizer, manifest and baseline.
//!
//! ```text
//! cargo run --release -p olmo-core --example prepare -- \
//!   --text DIR --out DIR [--vocab 4096] [--seed 0] [--context 512] [--baseline 5,1]
//! ```
//!
//! `--baseline` are the orders of the n-gram models measured; `none` leaves them out. Their scores
//! go to `OUT/baseline.json`.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use olmo_core::evaluate::baseline::{measure_all, Baseline};
use olmo_core::prepare::{prepare, Manifest, Options};

fn main() {
    if let Err(message) = run() {
        eprintln!("prepare: {message}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), String> {
    let mut orders = vec![5, 1];
    let (mut text, mut out) = (None, None);
    let mut options = Options::new("", "");
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().ok_or(format!("{name} lacks its value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{name} {value}: not a number"));
        match name.as_str() {
            "--text" => text = Some(PathBuf::from(value)),
            "--out" => out = Some(PathBuf::from(value)),
            "--vocab" => options.vocab_size = number()? as usize,
            "--seed" => options.seed = number()?,
            "--context" => options.context = number()? as usize,
            "--baseline" if value == "none" => orders.clear(),
            "--baseline" => {
                let order = |order: &str| order.parse().map_err(|_| format!("{name} {value}"));
                orders = value.split(',').map(order).collect::<Result<_, _>>()?;
            }
            _ => return Err(format!("there is no option {name}")),
        }
    }
    options.text = text.ok_or("--text DIR is needed")?;
    options.out = out.ok_or("--out DIR is needed")?;

    let start = Instant::now();
    let never = AtomicBool::new(false);
    let mut say = |what: &str| eprintln!("{:6.1} s  {what}", start.elapsed().as_secs_f64());
    let manifest = prepare(&options, &never, &mut say).map_err(|error| error.to_string())?;
    print_manifest(&manifest);
    let baselines =
        measure_all(&options.out, &orders, &never, &mut say).map_err(|error| error.to_string())?;
    print_baselines(&baselines);
    say("done");
    Ok(())
}

fn print_manifest(manifest: &Manifest) {
    println!("\ntokenizer.json {}", manifest.tokenizer_sha256);
    println!(
        "source                    split       documents       bytes      tokens  bytes/token"
    );
    let mut sums = [(0, 0, 0); 2];
    for source in &manifest.sources {
        let parts = [("train", &source.train), ("validation", &source.validation)];
        for ((split, file), sum) in parts.into_iter().zip(&mut sums) {
            print_part(&source.name, split, file.documents, file.bytes, file.tokens);
            *sum = (sum.0 + file.documents, sum.1 + file.bytes, sum.2 + file.tokens);
        }
        if source.passed_over > 0 {
            println!("{:24}  ({} overlap too much to validate with)", "", source.passed_over);
        }
    }
    for (split, (documents, bytes, tokens)) in ["train", "validation"].into_iter().zip(sums) {
        print_part("all", split, documents, bytes, tokens);
    }
}

fn print_part(source: &str, split: &str, documents: u64, bytes: u64, tokens: u64) {
    let ratio = bytes as f64 / tokens as f64;
    println!("{source:24}  {split:10} {documents:10} {bytes:11} {tokens:11} {ratio:12.4}");
}

fn print_baselines(baselines: &[Baseline]) {
    for baseline in baselines {
        println!("\n{}-grams, different ones by order: {:?}", baseline.order, baseline.ngrams);
        println!("discounts: {:.3?}", baseline.discounts);
        println!("source                    bits/byte  bits/token      tokens");
        for score in baseline.sources.iter().chain([&baseline.overall]) {
            let (bits, each) = (score.bits_per_byte, score.bits / score.tokens as f64);
            println!("{:24}  {bits:9.4}  {each:10.4}  {:10}", score.source, score.tokens);
        }
    }
}
