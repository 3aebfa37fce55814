//! The default model's recipe agrees with itself. Its `train.yaml` is looked at where YAML is read, in
//! `__test__/train.test.ts`.

use std::path::{Path, PathBuf};

use olmo_core::config::ModelConfig;
use olmo_core::evaluate::baseline::Baseline;
use olmo_core::prepare::Manifest;
use olmo_core::tokenizer::Tokenizer;
use serde_json::Value;
use sha2::{Digest, Sha256};

fn recipe() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/recipe")
}

fn json<T: serde::de::DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&std::fs::read(recipe().join(name)).unwrap()).unwrap()
}

#[test]
fn the_tokenizer_is_the_manifests() {
    let manifest = Manifest::read(&recipe()).unwrap();
    let tokenizer = std::fs::read(recipe().join("tokenizer/tokenizer.json")).unwrap();
    let hash: String = Sha256::digest(&tokenizer).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hash, manifest.tokenizer_sha256);

    let tokenizer = Tokenizer::from_dir(&recipe().join("tokenizer")).unwrap();
    let config = ModelConfig::from_dir(&recipe()).unwrap();
    assert_eq!(tokenizer.vocab_size(), manifest.vocab_size);
    assert_eq!(config.vocab_size, manifest.vocab_size);
    assert_eq!(tokenizer.token_id("<|endoftext|>"), Some(manifest.eos_token_id));
    let config: Value = json("config.json");
    assert_eq!(config["eos_token_id"], manifest.eos_token_id);
    assert_eq!(config["pad_token_id"], tokenizer.token_id("<|pad|>").unwrap());
}

#[test]
fn the_model_is_as_small_as_the_readme_says() {
    let config = ModelConfig::from_dir(&recipe()).unwrap();
    assert_eq!(config.num_params(), 5_006_592);
}

#[test]
fn the_baseline_is_of_the_same_files() {
    let manifest = Manifest::read(&recipe()).unwrap();
    let baselines: Vec<Baseline> = json("baseline.json");
    let orders: Vec<usize> = baselines.iter().map(|baseline| baseline.order).collect();
    assert_eq!(orders, [5, 4, 3, 2, 1]);
    for baseline in &baselines {
        assert_eq!(baseline.sources.len(), manifest.sources.len());
        for (score, source) in baseline.sources.iter().zip(&manifest.sources) {
            assert_eq!(score.source, source.name);
            assert_eq!(score.tokens, source.validation.tokens);
            assert_eq!(score.bytes, source.validation.bytes);
        }
    }
}

#[test]
fn each_source_has_its_origin() {
    let manifest = Manifest::read(&recipe()).unwrap();
    let mut names: Vec<&str> = manifest.sources.iter().map(|source| &*source.name).collect();
    names.sort_unstable();
    let sources: Value = json("sources.json");
    let mut origins = Vec::new();
    for source in sources.as_array().unwrap() {
        assert!(source["licence"].is_string() && source["origin"].is_string(), "{source}");
        let name = source["name"].as_str().unwrap();
        if let Some(books) = source["gutenberg_ids"].as_array() {
            let entry = manifest.sources.iter().find(|entry| entry.name == name).unwrap();
            let documents = entry.train.documents + entry.validation.documents;
            assert_eq!(books.len() as u64, documents, "{name}");
        }
        origins.push(name);
    }
    origins.sort_unstable();
    assert_eq!(origins, names);
}
