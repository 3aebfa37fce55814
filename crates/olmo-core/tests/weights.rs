//! Checkpoint folders that are not as they should be: each an error that names tensor and file.

mod support;

use std::fs;
use std::path::Path;

use olmo_core::config::ModelConfig;
use olmo_core::shapes::weight_shapes;
use olmo_core::weights::Checkpoint;
use olmo_core::{Error, Result};
use proptest::prelude::*;
use support::{golden, TempDir};

/// A copy of a golden checkpoint that a test may damage.
fn copy(name: &str) -> TempDir {
    let dir = TempDir::new();
    for entry in fs::read_dir(golden(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    fs::remove_file(dir.path().join("reference.safetensors")).unwrap();
    dir
}

fn open(dir: &Path) -> Result<()> {
    let config = ModelConfig::from_dir(dir)?;
    Checkpoint::open(dir)?.check(&weight_shapes(&config))
}

fn replace(file: &Path, old: &str, new: &str) {
    let bytes = fs::read(file).unwrap();
    let at = bytes
        .windows(old.len())
        .position(|window| window == old.as_bytes())
        .expect("text to replace");
    assert_eq!(old.len(), new.len(), "offsets must not move");
    let mut changed = bytes;
    changed[at..at + old.len()].copy_from_slice(new.as_bytes());
    fs::write(file, changed).unwrap();
}

#[test]
fn whole_checkpoints_pass() {
    for name in ["tiny-mha-f32", "tiny-sharded-f32", "tiny-odd-f32", "tiny-gqa-bf16"] {
        open(copy(name).path()).unwrap();
    }
}

#[test]
fn a_missing_and_an_extra_tensor_are_named() {
    let dir = copy("tiny-mha-f32");
    replace(&dir.path().join("model.safetensors"), "model.norm.weight", "model.morn.weight");
    let error = open(dir.path()).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.code(), "INVALID_WEIGHTS");
    assert!(
        text.ends_with("tensor `model.norm.weight` is in none of the folder's weight files"),
        "{text}"
    );

    let dir = copy("tiny-mha-f32");
    let config = fs::read_to_string(dir.path().join("config.json")).unwrap();
    let config = config.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1");
    fs::write(dir.path().join("config.json"), config).unwrap();
    let text = open(dir.path()).unwrap_err().to_string();
    assert!(text.contains("model.safetensors: tensor `model.layers.1."), "{text}");
    assert!(text.ends_with("does not belong to the model config.json describes"), "{text}");
}

#[test]
fn a_misshapen_tensor_is_named() {
    let dir = copy("tiny-mha-f32");
    let config = fs::read_to_string(dir.path().join("config.json")).unwrap();
    fs::write(dir.path().join("config.json"), config.replace("176", "160")).unwrap();
    let text = open(dir.path()).unwrap_err().to_string();
    assert!(
        text.contains(
            "mlp.gate_proj.weight` has shape [176, 64], but config.json asks for [160, 64]"
        ),
        "{text}"
    );
}

#[test]
fn a_file_that_was_cut_off_names_the_first_tensor_that_is_not_whole() {
    let dir = copy("tiny-mha-f32");
    let file = dir.path().join("model.safetensors");
    let length = fs::metadata(&file).unwrap().len();
    for keep in [length - 1, length / 2] {
        fs::File::options().write(true).open(&file).unwrap().set_len(keep).unwrap();
        let error = open(dir.path()).unwrap_err();
        assert!(matches!(&error, Error::InvalidWeights { tensor, .. } if !tensor.is_empty()));
        let text = error.to_string();
        assert!(
            text.ends_with(&format!(
                "but the file has only {keep}: it was cut off, download it again"
            )),
            "{text}"
        );
    }
    for keep in [100, 8, 3, 0] {
        fs::File::options().write(true).open(&file).unwrap().set_len(keep).unwrap();
        let code = open(dir.path()).unwrap_err().code();
        assert!(["INVALID_FILE", "IO"].contains(&code), "{keep} bytes: {code}");
    }
}

#[test]
fn shards_must_be_as_the_index_says() {
    let index = "model.safetensors.index.json";
    let cases = [
        (
            "model-00003-of-00003.safetensors",
            "../../../../../../etc/passwd-st",
            "leaves the folder",
        ),
        (
            "model-00003-of-00003.safetensors",
            "model-00002-of-00003.safetensors",
            "where model.safetensors.index.json says it is",
        ),
        ("model-00003-of-00003.safetensors", "model-00004-of-00003.safetensors", "cannot read"),
        ("model.norm.weight", "model.extra.weight", "not in model.safetensors.index.json"),
    ];
    for (old, new, expected) in cases {
        let dir = copy("tiny-sharded-f32");
        let text = fs::read_to_string(dir.path().join(index)).unwrap();
        assert!(text.contains(old));
        fs::write(dir.path().join(index), text.replace(old, new)).unwrap();
        let text = open(dir.path()).unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn of_one_file_and_shards_the_one_file_is_read() {
    let dir = copy("tiny-mha-f32");
    let index = r#"{"weight_map": {"model.norm.weight": "model-00001-of-00001.safetensors"}}"#;
    fs::write(dir.path().join("model.safetensors.index.json"), index).unwrap();
    open(dir.path()).unwrap();
}

#[test]
fn a_folder_without_weights_says_what_is_looked_for() {
    let dir = copy("tiny-mha-f32");
    fs::remove_file(dir.path().join("model.safetensors")).unwrap();
    let text = open(dir.path()).unwrap_err().to_string();
    assert!(
        text.ends_with(
            "neither model.safetensors nor model.safetensors.index.json is in the folder"
        ),
        "{text}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Whatever happens to a file's header, opening it ends with a result.
    #[test]
    fn a_damaged_header_never_panics(changes in prop::collection::vec((0usize..600, any::<u8>()), 1..8)) {
        let mut bytes = fs::read(golden("tiny-sharded-f32/model-00001-of-00003.safetensors")).unwrap();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        let dir = TempDir::new();
        fs::write(dir.path().join("model.safetensors"), bytes).unwrap();
        if let Ok(checkpoint) = Checkpoint::open(dir.path()) {
            let _ = checkpoint.check(&[]);
        }
    }
}
