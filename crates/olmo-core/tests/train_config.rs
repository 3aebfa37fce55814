//! Configs and token files: what is read, and what is refused with which words.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use olmo_core::train::config::SourceConfig;
use olmo_core::train::config::TokenType;
use olmo_core::train::data::{document_lengths, Mix, TokenFile};
use olmo_core::train::TrainConfig;
use serde_json::{json, Value};

fn json() -> Value {
    json!({
        "model": {"vocab_size": 128, "hidden_size": 48, "intermediate_size": 96,
            "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 64,
            "eos_token_id": 0, "pad_token_id": 1},
        "output": "run", "sequence_length": 64, "batch_size": 4,
        "stage1": {"data": [{"name": "a", "paths": ["a.bin"]}], "steps": 6, "learning_rate": 0.01},
    })
}

fn read(json: &Value) -> Result<TrainConfig, String> {
    TrainConfig::from_json(&json.to_string(), Path::new("/somewhere/run.yaml"))
        .map_err(|error| error.to_string())
}

#[test]
fn defaults_are_olmo_2_s_recipe_and_paths_start_at_the_file() {
    let config = read(&json()).unwrap();
    assert_eq!(config.output, Path::new("/somewhere/run"));
    assert_eq!(config.stage1.data[0].paths, [PathBuf::from("/somewhere/a.bin")]);
    assert_eq!(config.stage1.data[0].dtype, None, "what the file or the vocabulary says");
    assert_eq!(config.optimizer.betas, [0.9, 0.95]);
    assert_eq!((config.optimizer.eps, config.optimizer.weight_decay), (1e-8, 0.1));
    assert_eq!((config.optimizer.max_grad_norm, config.z_loss), (1.0, 1e-5));
    assert_eq!((config.stage1.warmup_steps, config.stage1.floor), (2000, 0.1));
    assert_eq!((config.model.rope_theta, config.model.rms_norm_eps), (500_000.0, 1e-6));
    assert!(!config.document_masking && config.stage2.is_none());
}

type Change = fn(&mut Value);

fn assert_refused(change: Change, expected: &str) {
    let mut json = json();
    change(&mut json);
    let error = read(&json).unwrap_err();
    assert!(error.starts_with("/somewhere/run.yaml: "), "{error}");
    assert!(error.contains(expected), "{error}\ndoes not say {expected}");
}

/// Beyond any run, and products of counts could overflow.
#[test]
fn counts_have_bounds() {
    let cases: [(Change, &str); 5] = [
        (|j| j["threads"] = 60_000.into(), "`threads` is 60000, but 1024 is the most"),
        (|j| j["batch_size"] = (1u64 << 60).into(), "`batch_size` is 1152921504606846976, but"),
        (|j| j["micro_batch_size"] = (1u64 << 40).into(), "`micro_batch_size` is 1099511627776"),
        (|j| j["stage1"]["steps"] = u64::MAX.into(), "`stage1.steps` is 18446744073709551615, but"),
        (
            |j| {
                let data = j["stage1"]["data"].clone();
                j["stage2"] = json!({"data": data, "steps": 1, "seeds": vec![1; 5000]});
            },
            "`stage2.seeds` is 5000, but 1024 is the most",
        ),
    ];
    for (change, expected) in cases {
        assert_refused(change, expected);
    }
}

#[test]
fn mistakes_are_named_by_their_key() {
    let cases: [(Change, &str); 22] = [
        (
            |j| j["stage1"]["warmup"] = 3.into(),
            "`stage1.warmup` cannot be read: unknown field `warmup`",
        ),
        (|j| j["lr"] = 3.into(), "`lr` cannot be read: unknown field `lr`"),
        (|j| j["model"]["layers"] = 3.into(), "`model.layers`"),
        (|j| j["stage1"]["steps"] = "many".into(), "`stage1.steps` cannot be read: invalid type"),
        (|j| j["stage1"]["data"][0]["dtype"] = "int8".into(), "`stage1.data[0].dtype`"),
        (
            |j| j["sequence_length"] = 65.into(),
            "`sequence_length` is 65, but the model needs 2 to 64",
        ),
        (|j| j["batch_size"] = 0.into(), "`batch_size` is 0"),
        (|j| j["stage1"]["learning_rate"] = (-1).into(), "`stage1.learning_rate` is -1"),
        (|j| j["checkpoint"] = json!({"dtype": "int8"}), "`checkpoint.dtype` is `int8`"),
        (|j| j["stage1"]["data"] = json!([]), "`stage1.data` needs sources with paths"),
        (
            |j| j["stage1"]["data"][0]["repeat"] = 0.into(),
            "repeat and weight of `a` must be above 0",
        ),
        (
            |j| j["model"]["num_attention_heads"] = 5.into(),
            "`num_attention_heads` is 5, which does not divide",
        ),
        (|j| drop(j.as_object_mut().unwrap().remove("stage1")), "missing field `stage1`"),
        (|j| j["device"] = "gpu".into(), "`device` is `gpu`, but cpu, cuda"),
        (|j| j["z_loss"] = (-1e-5).into(), "`z_loss` is -0.00001"),
        (|j| j["stage1"]["floor"] = 1.5.into(), "`stage1.floor` is 1.5"),
        (|j| j["optimizer"] = json!({"betas": [0.9, 1.0]}), "`optimizer.betas` has 1, but less"),
        (|j| j["optimizer"] = json!({"betas": [-0.9, 0.9]}), "`optimizer.betas` is -0.9"),
        (|j| j["optimizer"] = json!({"eps": 0}), "`optimizer.eps` is 0, but a number above 0"),
        (|j| j["optimizer"] = json!({"weight_decay": -1}), "`optimizer.weight_decay` is -1"),
        (
            |j| j["validation"] = json!({"interval": 1, "tokens": 0, "sources": []}),
            "`validation.tokens` is 0",
        ),
        (
            |j| {
                let source = json!({"name": "tales", "paths": ["t.npy"], "bytes": 0});
                j["validation"] = json!({"interval": 1, "sources": [source]});
            },
            "`validation.sources` gives `tales` no bytes",
        ),
    ];
    for (change, expected) in cases {
        assert_refused(change, expected);
    }
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("olmo2-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// Ids `start..start + len`, as uint32.
    fn source(&self, name: &str, start: u32, len: u32) -> SourceConfig {
        let bytes: Vec<u8> = (start..start + len).flat_map(u32::to_le_bytes).collect();
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        SourceConfig {
            name: name.to_owned(),
            paths: vec![path],
            prepared: None,
            pack: None,
            dtype: Some(TokenType::Uint32),
            repeat: None,
            weight: None,
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How often each instance, known by its first token, comes in instances `range`.
fn counts(mix: &mut Mix, range: std::ops::Range<u64>) -> HashMap<u32, usize> {
    let mut counts = HashMap::new();
    for number in range {
        let tokens = mix.instance(number).unwrap().tokens;
        assert_eq!(tokens.len(), 10);
        assert!(tokens.windows(2).all(|pair| pair[1] == pair[0] + 1), "one piece of one file");
        *counts.entry(tokens[0]).or_default() += 1;
    }
    counts
}

#[test]
fn an_epoch_has_every_instance_as_often_as_its_source_is_repeated() {
    let folder = Folder::new("mix");
    let (mut a, mut b) = (folder.source("a", 0, 105), folder.source("b", 1000, 40));
    let second = folder.source("a2", 500, 20);
    a.paths.extend(second.paths); // 10 and 2 instances; a rest of 5 tokens is left out
    a.repeat = Some(1.5);
    b.repeat = Some(2.0);
    let sources = [a, b];
    let open = |seed| Mix::open(&sources, 10, 2000, seed, 0).unwrap();
    let mut mix = open(7);
    assert_eq!(mix.epoch_len(), 18 + 8);
    for epoch in 0..3 {
        let counts = counts(&mut mix, epoch * 26..(epoch + 1) * 26);
        let of = |first: u32| counts.get(&first).copied().unwrap_or(0);
        assert!((0..10).all(|i| (1..=2).contains(&of(i * 10))), "{counts:?}");
        assert_eq!((0..10).map(|i| of(i * 10)).sum::<usize>() + of(500) + of(510), 18);
        assert!((0..4).all(|i| of(1000 + i * 10) == 2), "{counts:?}");
    }
    let order = |mix: &mut Mix, epoch: u64| -> Vec<u32> {
        (epoch * 26..(epoch + 1) * 26).map(|n| mix.instance(n).unwrap().tokens[0]).collect()
    };
    assert_eq!(order(&mut mix, 2), order(&mut open(7), 2), "a pure function of seed and number");
    assert_ne!(order(&mut mix, 0), order(&mut mix, 1), "every epoch is shuffled anew");
    assert_ne!(order(&mut mix, 0), order(&mut open(8), 0));
}

#[test]
fn weights_share_out_the_stage() {
    let folder = Folder::new("weights");
    let (mut a, mut b) = (folder.source("a", 0, 1000), folder.source("b", 5000, 30));
    a.weight = Some(3.0);
    b.weight = Some(1.0);
    let mut mix = Mix::open(&[a, b], 10, 6000, 1, 80).unwrap();
    let counts = counts(&mut mix, 0..80);
    let (a, b): (Vec<_>, Vec<_>) = counts.into_iter().partition(|(first, _)| *first < 5000);
    assert_eq!((a.len(), b.len()), (60, 3), "a part of the long source, all of the short one");
    assert!(a.iter().all(|(_, count)| *count == 1));
    assert_eq!(b.iter().map(|(_, count)| count).sum::<usize>(), 20);
    assert!(b.iter().all(|(_, count)| (6..=7).contains(count)), "{b:?}");
}

#[test]
fn an_epoch_that_no_memory_holds_is_refused() {
    let folder = Folder::new("epoch");
    for (repeat, weight, instances) in [(Some(1e12), None, 1), (None, Some(1.0), u64::MAX)] {
        let source = SourceConfig { repeat, weight, ..folder.source("tales", 0, 100) };
        let error = Mix::open(&[source], 10, 6000, 1, instances).err().unwrap().to_string();
        assert!(error.contains("source `tales` would make an epoch of"), "{error}");
    }
}

#[test]
fn files_that_are_no_token_files_are_refused() {
    let folder = Folder::new("refused");
    let file = folder.0.join("x");
    let error = |bytes: &[u8], dtype| {
        std::fs::write(&file, bytes).unwrap();
        let opened = TokenFile::open(&file, dtype);
        opened.and_then(|file| file.read(0..file.len(), 300)).unwrap_err().to_string()
    };
    let odd = error(&[1, 0, 2], TokenType::Uint16);
    assert!(odd.contains("3 bytes are no whole number of Uint16 tokens"), "{odd}");
    let header = error(b"\x93NUMPY\x01\x00", TokenType::Uint16);
    assert!(header.contains(".npy format, with a header"), "{header}");
    let outside = error(&[1, 0, 44, 1], TokenType::Uint16);
    assert!(outside.contains("token 1 is 300, outside the vocabulary of 300"), "{outside}");
    std::fs::write(&file, [255, 0, 1, 1]).unwrap();
    let ids = TokenFile::open(&file, TokenType::Uint16).unwrap().read(0..2, 300).unwrap();
    assert_eq!(ids, [255, 257]);
    let short = folder.source("short", 0, 9);
    let error = Mix::open(&[short], 10, 300, 1, 1).err().unwrap().to_string();
    assert!(error.contains("source `short` is shorter than one instance of 10 tokens"), "{error}");
}

#[test]
fn documents_end_with_the_end_of_text() {
    assert_eq!(document_lengths(&[5, 5, 0, 5, 0, 0, 5], 0), [3, 2, 1, 1]);
    assert_eq!(document_lengths(&[5, 0], 0), [2]);
    assert_eq!(document_lengths(&[5, 6], 0), [2]);
}
