//! Runs on text made here, for the tests of the trainer.

#![allow(dead_code)] // not every test uses all of it

use std::path::{Path, PathBuf};

use olmo_core::train::checkpoint::{list, STATE_FILE};
use olmo_core::train::metrics::{StepMetrics, ValidationMetrics};
use olmo_core::train::{Progress, Summary, TrainConfig, Trainer};
use serde_json::{json, Value};

/// A folder that is removed when dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("olmo2-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Sentences of a small grammar, a document each, as bytes; 0 ends a document.
pub fn text(sentences: usize, seed: usize) -> Vec<u16> {
    const WHO: [&str; 8] = [
        "the cat",
        "a dog",
        "my bird",
        "the old king",
        "a child",
        "the wind",
        "her horse",
        "a fox",
    ];
    const DOES: [&str; 6] = ["sees", "follows", "likes", "finds", "hears", "forgets"];
    const HOW: [&str; 5] = ["today", "in the garden", "at night", "with joy", "by the river"];
    let mut state = seed as u64 + 1;
    let mut pick = |words: &[&'static str]| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        words[(state >> 33) as usize % words.len()]
    };
    let mut tokens = Vec::new();
    for _ in 0..sentences {
        let (who, does, whom, how) = (pick(&WHO), pick(&DOES), pick(&WHO), pick(&HOW));
        tokens.extend(format!("{who} {does} {whom} {how}.").bytes().map(u16::from));
        tokens.push(0);
    }
    tokens
}

pub fn write_tokens(file: &Path, tokens: &[u16]) {
    let bytes: Vec<u8> = tokens.iter().flat_map(|id| id.to_le_bytes()).collect();
    std::fs::write(file, bytes).unwrap();
}

/// Bits a token of a model that knows only how often each occurs.
pub fn unigram_nats(tokens: &[u16]) -> f64 {
    let mut counts = [0u32; 128];
    tokens.iter().for_each(|&id| counts[id as usize] += 1);
    let share = |&count: &u32| count as f64 / tokens.len() as f64;
    counts.iter().filter(|&&count| count > 0).map(share).map(|p| -p * p.ln()).sum()
}

/// A config in a folder, with its data.
pub fn config(folder: &Path, change: impl FnOnce(&mut Value)) -> TrainConfig {
    write_tokens(&folder.join("train.bin"), &text(1500, 1));
    write_tokens(&folder.join("anneal.bin"), &text(200, 2));
    let held_out = text(40, 3);
    write_tokens(&folder.join("held-out.bin"), &held_out);
    let mut json = json!({
        "model": {"vocab_size": 128, "hidden_size": 48, "intermediate_size": 96,
            "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
            "max_position_embeddings": 64, "eos_token_id": 0, "pad_token_id": 1},
        "output": "run", "sequence_length": 64, "batch_size": 4, "micro_batch_size": 2,
        "stage1": {"data": [{"name": "sentences", "paths": ["train.bin"]}], "steps": 6,
            "learning_rate": 0.01, "warmup_steps": 2},
        "checkpoint": {"interval": 2},
        "validation": {"interval": 3, "sources": [
            {"name": "sentences", "paths": ["held-out.bin"], "bytes": held_out.len()}]},
        "threads": 2,
    });
    change(&mut json);
    TrainConfig::from_json(&json.to_string(), &folder.join("config.yaml")).unwrap()
}

/// Stage 2 with two anneals.
pub fn two_anneals(json: &mut Value) {
    json["stage2"] = json!({"data": [{"name": "anneal", "paths": ["anneal.bin"]}], "steps": 3,
        "seeds": [42, 666]});
}

pub fn finish(trainer: &mut Trainer) -> (Summary, Vec<Progress>) {
    let mut seen = Vec::new();
    let summary = trainer
        .run(&mut |progress| {
            seen.push(progress.clone());
            Ok(())
        })
        .unwrap();
    (summary, seen)
}

pub fn steps(seen: &[Progress]) -> Vec<&StepMetrics> {
    seen.iter()
        .filter_map(|progress| match progress {
            Progress::Step(metrics) => Some(metrics),
            _ => None,
        })
        .collect()
}

pub fn validations(seen: &[Progress]) -> Vec<&ValidationMetrics> {
    seen.iter()
        .filter_map(|progress| match progress {
            Progress::Validation(metrics) => Some(metrics),
            _ => None,
        })
        .collect()
}

/// What a run has left in its folder, but for its lock.
pub fn names(output: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(output)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".lock")
        .collect();
    names.sort();
    names
}

pub fn model_bytes(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("model.safetensors")).unwrap()
}

/// Every checkpoint of both runs has the same weights; the newest have the same averages.
pub fn assert_same_run(a: &Path, b: &Path) {
    let (first, second) = (list(a).unwrap(), list(b).unwrap());
    let moments = |run: &[(_, PathBuf)]| run.iter().map(|(m, _)| *m).collect::<Vec<_>>();
    assert_eq!(moments(&first), moments(&second));
    for ((moment, a), (_, b)) in first.iter().zip(&second) {
        assert!(model_bytes(a) == model_bytes(b), "weights at {moment:?}");
    }
    let state = |run: &[(_, PathBuf)]| {
        let bytes = std::fs::read(run.last().unwrap().1.join(STATE_FILE)).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut all: Vec<(String, Vec<u8>)> =
            tensors.tensors().into_iter().map(|(n, t)| (n, t.data().to_vec())).collect();
        all.sort();
        all
    };
    assert!(state(&first) == state(&second), "the optimizer's averages");
}
