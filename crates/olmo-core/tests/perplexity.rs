//! Perplexity and KL divergence against transformers, and the reference file against llama.cpp's
//! format. See `golden/README.md`.

mod support;

use std::path::PathBuf;
use std::sync::Arc;

use olmo_core::checkpoint::LoadOptions;
use olmo_core::device::Device;
use olmo_core::engine::Engine;
use olmo_core::evaluate::{Evaluation, Mean, Perplexity, PerplexityOptions};
use olmo_core::Result;
use pollster::block_on;
use proptest::prelude::*;
use serde_json::Value;
use support::{golden, ids, json, list, text, TempDir};

const CTX: usize = 32;
/// Beyond what the rounding of f32 logits, and of a reference's 16-bit codes, can do.
const CLOSE: f64 = 1e-4;

fn engine(name: &str) -> Arc<Engine> {
    let dir = TempDir::new();
    for file in ["config.json", "generation_config.json", "model.safetensors"] {
        std::fs::copy(golden(name).join(file), dir.path().join(file)).unwrap();
    }
    let tokenizer = golden("tiny-mha-f32/tokenizer.json");
    std::fs::copy(tokenizer, dir.path().join("tokenizer.json")).unwrap();
    let options = LoadOptions {
        path: dir.path().to_owned(),
        device: Device::Cpu,
        threads: Some(2),
        ..LoadOptions::default()
    };
    Arc::new(Engine::load(&options, &mut |_| Ok(())).expect("loads"))
}

fn evaluate(engine: &Arc<Engine>, ids: &[u32], options: &PerplexityOptions) -> Result<Perplexity> {
    let mut evaluation = Evaluation::new(engine.clone(), ids.to_vec(), options)?;
    while let Some(logits) = block_on(evaluation.read())? {
        let progress = evaluation.count(logits)?;
        assert!(progress.windows <= progress.total);
    }
    evaluation.finish()
}

fn number(json: &Value, key: &str) -> f64 {
    json[key].as_f64().unwrap_or_else(|| panic!("no number `{key}` in {json}"))
}

#[track_caller]
fn assert_near(ours: f64, expected: f64, what: &str) {
    let limit = CLOSE * expected.abs().max(1.0);
    assert!((ours - expected).abs() <= limit, "{what}: {ours}, but {expected} is expected");
}

#[track_caller]
fn assert_mean(ours: Mean, golden: &Value, key: &str) {
    assert_near(ours.value, number(&golden[key], "value"), key);
    assert_near(ours.error, number(&golden[key], "error"), key);
}

#[test]
fn perplexities_are_those_of_transformers() {
    let golden = json("perplexity.json");
    let ids = ids(&golden["ids"]);
    for case in list(&golden, "cases") {
        let engine = engine(text(case, "model"));
        let options = PerplexityOptions {
            ctx: number(case, "ctx") as usize,
            stride: number(case, "stride") as usize,
            ..PerplexityOptions::default()
        };
        let found = evaluate(&engine, &ids, &options).unwrap();
        assert_eq!(found.windows as f64, number(case, "windows"));
        assert_eq!(found.tokens as f64, number(case, "tokens"));
        assert_mean(found.perplexity, case, "perplexity");
        let bits = found.bits_per_byte.expect("a tokenizer on bytes");
        assert_near(bits, number(case, "bits_per_byte"), "bits per byte");
        assert_eq!(found.divergence, None);
    }
}

/// The model, the tokens and the options of the golden reference file.
fn golden_reference() -> (Arc<Engine>, Vec<u32>, PerplexityOptions) {
    let golden_json = json("perplexity.json");
    let case = &golden_json["divergence"];
    let ids = ids(&golden_json["ids"])[..number(case, "tokens") as usize].to_vec();
    let base = Some(golden("perplexity-base.bin"));
    let options = PerplexityOptions { ctx: CTX, kl_base: base, ..Default::default() };
    (engine(text(case, "model")), ids, options)
}

#[test]
fn divergences_are_those_of_transformers() {
    let (engine, ids, options) = golden_reference();
    let found = evaluate(&engine, &ids, &options).unwrap().divergence.expect("a reference");
    let golden = &json("perplexity.json")["divergence"];
    assert_mean(found.base_perplexity, golden, "base_perplexity");
    assert_mean(found.ratio, golden, "ratio");
    assert_mean(found.kl, golden, "kl");
    assert_mean(found.same_top, golden, "same_top");
    assert_mean(found.probability_change, golden, "probability_change");
    let rms = found.probability_change_rms.value;
    assert_near(rms, number(golden, "probability_change_rms"), "rms");
    let (ours, expected) = (found.kl_quantiles, &golden["kl_quantiles"]);
    for (ours, key) in [
        (ours.min, "min"),
        (ours.median, "median"),
        (ours.p90, "p90"),
        (ours.p95, "p95"),
        (ours.p99, "p99"),
        (ours.p999, "p999"),
        (ours.max, "max"),
    ] {
        assert_near(ours, number(expected, key), key);
    }
}

#[test]
fn a_model_does_not_diverge_from_itself() {
    let (engine, ids, _) = golden_reference();
    let dir = TempDir::new();
    let file = dir.path().join("reference.bin");
    let options = PerplexityOptions { ctx: CTX, ..Default::default() };
    let save = PerplexityOptions { save_base: Some(file.clone()), ..options.clone() };
    let first = evaluate(&engine, &ids, &save).unwrap();
    let compare = PerplexityOptions { kl_base: Some(file), ..options };
    let second = evaluate(&engine, &ids, &compare).unwrap();
    assert_eq!(first.perplexity, second.perplexity);
    let found = second.divergence.expect("a reference");
    for kl in [found.kl.value, found.kl_quantiles.min, found.kl_quantiles.max] {
        assert_near(kl, 0.0, "KL divergence");
    }
    // The ratio is another matter: the file cuts off what is e^16 times less likely than the top.
    assert_eq!(found.same_top.value, 1.0);
    assert_near(found.probability_change_rms.value, 0.0, "change");
}

#[test]
fn a_reference_has_the_layout_of_llama_cpp() {
    let (engine, ids, options) = golden_reference();
    let dir = TempDir::new();
    let file = dir.path().join("reference.bin");
    let save = PerplexityOptions { kl_base: None, save_base: Some(file.clone()), ..options };
    evaluate(&engine, &ids, &save).unwrap();
    let (ours, theirs) =
        (std::fs::read(file).unwrap(), std::fs::read(golden("perplexity-base.bin")).unwrap());
    assert_eq!(ours.len(), theirs.len());
    let tokens = 20 + 4 * ids.len();
    assert_eq!(ours[..tokens], theirs[..tokens], "header and tokens");
}

/// Opens a damaged copy of the golden reference and gives the error's text.
fn refusal(bytes: &[u8]) -> String {
    let (engine, ids, options) = golden_reference();
    let dir = TempDir::new();
    let file = dir.path().join("reference.bin");
    std::fs::write(&file, bytes).unwrap();
    let options = PerplexityOptions { kl_base: Some(file), ..options };
    match Evaluation::new(engine, ids, &options) {
        Ok(_) => panic!("a damaged reference was taken"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_wrong_reference_is_refused() {
    let good = std::fs::read(golden("perplexity-base.bin")).unwrap();
    let with = |place: usize, number: i32| {
        let mut bytes = good.clone();
        bytes[place..place + 4].copy_from_slice(&number.to_le_bytes());
        bytes
    };
    for (bytes, message) in [
        (good[..10].to_vec(), "too short"),
        (good[..good.len() - 1].to_vec(), "its header promises"),
        (with(0, 7), "not a file of log-probabilities"),
        (with(8, i32::MAX), "its header promises"),
        (with(8, -1), "4 windows of 0 tokens"),
        (with(12, 1 << 30), "its vocabulary has 1073741824 tokens, but that of the model has 517"),
        (with(16, i32::MAX), "its header promises"),
        (with(16, 0), "0 windows"),
        (with(20, 3), "its tokens are not those of the text"),
    ] {
        let refusal = refusal(&bytes);
        assert!(refusal.contains(message), "{refusal}");
    }
}

#[test]
fn a_reference_needs_the_same_windows() {
    let (engine, ids, options) = golden_reference();
    let refused = |ids: &[u32], options: &PerplexityOptions| {
        Evaluation::new(engine.clone(), ids.to_vec(), options).err().expect("an error").to_string()
    };
    let other = PerplexityOptions { ctx: 64, ..options.clone() };
    assert!(refused(&ids, &other).contains("option `ctx` is 64, but the reference"));
    let stride = PerplexityOptions { stride: 4, ..options.clone() };
    assert!(refused(&ids, &stride).starts_with("option `stride` is 4"));
    assert!(refused(&ids[..96], &options).contains("its tokens are not those of the text"));
    let missing = PerplexityOptions { kl_base: Some(PathBuf::from("/no/such")), ..options };
    assert!(refused(&ids, &missing).starts_with("cannot read /no/such"));
}

#[test]
fn a_reference_that_is_not_finished_leaves_no_file() {
    let (engine, ids, options) = golden_reference();
    let dir = TempDir::new();
    let file = dir.path().join("reference.bin");
    let save = PerplexityOptions { kl_base: None, save_base: Some(file), ..options };
    let mut evaluation = Evaluation::new(engine, ids, &save).unwrap();
    let logits = block_on(evaluation.read()).unwrap().unwrap();
    evaluation.count(logits).unwrap();
    drop(evaluation);
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever is done to a header, it is refused or read, without a panic or a huge allocation.
    #[test]
    fn a_hostile_reference_is_survived(changes in prop::collection::vec((0..40usize, any::<u8>()), 1..6), cut in 0..70_000usize) {
        static GOOD: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        static MODEL: std::sync::OnceLock<(Arc<Engine>, Vec<u32>, PerplexityOptions)> = std::sync::OnceLock::new();
        let good = GOOD.get_or_init(|| std::fs::read(golden("perplexity-base.bin")).unwrap());
        let (engine, ids, options) = MODEL.get_or_init(golden_reference);
        let mut bytes = good[..cut.min(good.len())].to_vec();
        for (place, byte) in changes {
            if let Some(target) = bytes.get_mut(place) {
                *target = byte;
            }
        }
        let dir = TempDir::new();
        let file = dir.path().join("reference.bin");
        std::fs::write(&file, &bytes).unwrap();
        let options = PerplexityOptions { kl_base: Some(file), ..options.clone() };
        let opened = Evaluation::new(engine.clone(), ids.clone(), &options).is_ok();
        prop_assert!(!opened || bytes[..20 + 4 * ids.len()] == good[..20 + 4 * ids.len()]);
    }
}
