//! Checkpoint folders that are not as they should be: each an error that names tensor and file.

mod support;

use std::fs;
use std::path::Path;

use olmo_core::checkpoint::{inspect, ModelSource};
use olmo_core::shapes::weight_shapes;
use olmo_core::weights::{Access, Checkpoint};
use olmo_core::{Error, Result};
use proptest::prelude::*;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
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

fn open(dir: &Path) -> Result<Vec<String>> {
    let (_, checkpoint) = ModelSource::open(dir)?.weights(Access::Map)?;
    Ok(checkpoint.warnings().to_vec())
}

/// The golden tensors, with some more in front and some left out, as one file.
fn rewrite(dir: &Path, extra: &[(&str, Dtype, &[usize], &[u8])], without: &[&str]) {
    let file = dir.join("model.safetensors");
    let bytes = fs::read(&file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap().tensors();
    let kept = tensors.into_iter().filter(|(name, _)| !without.contains(&name.as_str()));
    let extra = extra.iter().map(|&(name, dtype, shape, bytes)| {
        (name.to_owned(), TensorView::new(dtype, shape.to_vec(), bytes).unwrap())
    });
    let written = safetensors::serialize(extra.chain(kept), None).unwrap();
    fs::write(file, written).unwrap();
}

fn set(dir: &Path, key: &str, value: serde_json::Value) {
    let file = dir.join("config.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    json[key] = value;
    fs::write(file, json.to_string()).unwrap();
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
        assert_eq!(open(copy(name).path()).unwrap(), Vec::<String>::new());
    }
}

#[test]
fn a_missing_tensor_is_named() {
    let dir = copy("tiny-mha-f32");
    replace(&dir.path().join("model.safetensors"), "model.norm.weight", "model.morn.weight");
    let error = open(dir.path()).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.code(), "INVALID_WEIGHTS");
    assert!(
        text.ends_with("tensor `model.norm.weight` is in none of the folder's weight files"),
        "{text}"
    );
}

/// transformers 5.24.0 loads a checkpoint with any of these, and tells what it has left out.
#[test]
fn tensors_that_are_not_needed_are_named_and_not_used() {
    let eight = [0u8; 8];
    let cases: [(&str, Dtype, &[usize], &[u8]); 14] = [
        ("model.layers.0.self_attn.rotary_emb.inv_freq", Dtype::F32, &[2], &eight),
        ("v_head.summary.weight", Dtype::F32, &[1, 2], &eight),
        ("score.bias", Dtype::BF16, &[4], &eight),
        ("empty", Dtype::F32, &[0], &[]),
        ("empty too", Dtype::BF16, &[3, 0, 2], &[]),
        ("scalar", Dtype::F64, &[], &eight),
        ("a.b.position_ids", Dtype::I64, &[1], &eight),
        ("int8", Dtype::I8, &[8], &eight),
        ("uint8", Dtype::U8, &[2, 4], &eight),
        ("mask", Dtype::BOOL, &[8], &eight),
        ("scales", Dtype::F8_E4M3, &[8], &eight),
        ("mxfp", Dtype::F8_E8M0, &[8], &eight),
        ("fp4", Dtype::F4, &[16], &eight),
        ("model.layers.7.mlp.up_proj.weight", Dtype::F16, &[2, 2], &eight),
    ];
    for case in cases {
        let dir = copy("tiny-mha-f32");
        rewrite(dir.path(), &[case], &[]);
        let warning = format!(
            "1 tensor of the weight files is no part of this model and not used: `{}`",
            case.0
        );
        assert_eq!(open(dir.path()).unwrap(), [warning]);
    }

    let dir = copy("tiny-mha-f32");
    rewrite(dir.path(), &cases, &[]);
    let warning = "14 tensors of the weight files are no part of this model and not used: \
                   `a.b.position_ids`, `empty`, `empty too` and 11 more";
    assert_eq!(open(dir.path()).unwrap(), [warning]);
    let found = inspect(dir.path()).unwrap();
    assert_eq!(found.warnings, [warning]);
    assert_eq!(found.stored_dtype.name(), "f32");

    set(dir.path(), "num_hidden_layers", 1.into());
    assert!(open(dir.path()).unwrap()[0].starts_with("25 tensors of the weight files are no part"));
}

#[test]
fn a_needed_tensor_of_another_type_is_an_error() {
    let name = "model.layers.1.self_attn.q_norm.weight";
    for (dtype, size) in [(Dtype::F64, 8), (Dtype::I32, 4), (Dtype::F8_E4M3, 1), (Dtype::BOOL, 1)] {
        let dir = copy("tiny-mha-f32");
        rewrite(dir.path(), &[(name, dtype, &[64], &vec![0; 64 * size])], &[name]);
        let error = open(dir.path()).unwrap_err();
        assert_eq!(error.code(), "INVALID_WEIGHTS");
        let expected = format!("tensor `{name}` is {dtype:?}; only F32, F16 and BF16 are read");
        assert!(error.to_string().ends_with(&expected), "{error}");
    }
}

/// As in `PreTrainedModel.tie_weights` of transformers.
#[test]
fn a_tied_model_may_have_an_output_matrix() {
    let (embedding, output) = ("model.embed_tokens.weight", "lm_head.weight");
    let tied = |change: &dyn Fn(&Path, &[u8])| {
        let dir = copy("tiny-mha-f32");
        set(dir.path(), "tie_word_embeddings", true.into());
        let bytes = fs::read(dir.path().join("model.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        change(dir.path(), tensors.tensor(embedding).unwrap().data());
        let source = ModelSource::open(dir.path()).unwrap();
        let (config, checkpoint) = source.weights(Access::Map).unwrap();
        let first = checkpoint.get(embedding).unwrap().to_f32();
        assert!(first.iter().any(|&x| x != 0.0));
        (config.tie_word_embeddings, checkpoint.warnings().to_vec())
    };
    let shape = [517, 64];
    let (is_tied, warnings) = tied(&|_, _| {});
    assert!(!is_tied);
    assert!(warnings[0].starts_with("`tie_word_embeddings` is true, but `lm_head.weight` differs"));
    let (is_tied, warnings) = tied(&|dir, _| rewrite(dir, &[], &[output]));
    assert_eq!((is_tied, warnings.len()), (true, 0));
    let (is_tied, warnings) =
        tied(&|dir, table| rewrite(dir, &[(output, Dtype::F32, &shape, table)], &[output]));
    assert_eq!((is_tied, warnings.len()), (true, 1));
    assert!(warnings[0].ends_with("not used: `lm_head.weight`"), "{warnings:?}");
    let (is_tied, warnings) = tied(&|dir, _| rewrite(dir, &[], &[embedding]));
    assert_eq!((is_tied, warnings.len()), (true, 0));
    let (is_tied, warnings) =
        tied(&|dir, _| rewrite(dir, &[(output, Dtype::I8, &[1], &[0])], &[output]));
    assert_eq!((is_tied, warnings.len()), (true, 1));
}

#[test]
fn files_are_read_into_memory_too() {
    for name in ["tiny-mha-f32", "tiny-sharded-f32", "gguf/tiny-mha-f32.gguf"] {
        let read = |access| {
            let source = ModelSource::open_with(&golden(name), access).unwrap();
            let (config, checkpoint) = source.weights(access).unwrap();
            let tensors = weight_shapes(&config).into_iter();
            let bytes = tensors.map(|(name, _)| checkpoint.get(&name).unwrap().bytes().to_vec());
            bytes.collect::<Vec<_>>()
        };
        assert!(read(Access::Map) == read(Access::Read), "{name}");
    }
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
            "is in none of the folder's weight files",
        ),
        ("model-00003-of-00003.safetensors", "model-00004-of-00003.safetensors", "cannot read"),
        ("model-00003-of-00003.safetensors", "config.json", "this is not a safetensors file"),
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

/// transformers opens the files that the index names, and takes the tensors that it finds there.
#[test]
fn what_the_index_says_of_tensors_does_not_matter() {
    let index = "model.safetensors.index.json";
    type Change = fn(&mut serde_json::Map<String, serde_json::Value>);
    let moved =
        "1 tensor is in another file than model.safetensors.index.json says, or not listed there";
    let cases: [(Change, &[&str]); 4] = [
        (
            |map| {
                map.remove("model.norm.weight");
            },
            &[moved],
        ),
        (
            |map| {
                map["model.norm.weight"] = "model-00001-of-00003.safetensors".into();
            },
            &[moved],
        ),
        (
            |map| {
                map.insert("nowhere".into(), "model-00001-of-00003.safetensors".into());
            },
            &[],
        ),
        (|_| {}, &[]),
    ];
    for (change, expected) in cases {
        let dir = copy("tiny-sharded-f32");
        let file = dir.path().join(index);
        let mut json: serde_json::Value =
            serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        change(json["weight_map"].as_object_mut().unwrap());
        fs::write(file, json.to_string()).unwrap();
        assert_eq!(open(dir.path()).unwrap(), expected);
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

#[test]
fn a_file_in_anothers_place_says_what_it_is() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 123\n";
    for name in ["model.safetensors", "config.json"] {
        let dir = copy("tiny-mha-f32");
        fs::write(dir.path().join(name), pointer).unwrap();
        let error = open(dir.path()).unwrap_err();
        assert_eq!(error.code(), "INVALID_FILE");
        let text = error.to_string();
        assert!(text.contains(&format!("{name}: this is a git-lfs pointer")), "{text}");
        assert!(text.contains("`git lfs pull`"), "{text}");
    }
    for name in ["model.safetensors", "config.json", "tokenizer.json"] {
        let dir = copy("tiny-mha-f32");
        let error = open(&dir.path().join(name)).unwrap_err();
        assert_eq!(error.code(), "INVALID_FILE");
        let expected = format!("name the folder, {}", dir.path().display());
        assert!(error.to_string().ends_with(&expected), "{error}");
    }
    let dir = copy("tiny-mha-f32");
    fs::write(dir.path().join("model.gguf"), pointer).unwrap();
    let text = open(&dir.path().join("model.gguf")).unwrap_err().to_string();
    assert!(text.contains("model.gguf: this is a git-lfs pointer"), "{text}");
}

/// Sizes that a file claims, and those that it has but no model does.
#[test]
fn a_header_larger_than_any_models_is_refused_unread() {
    let dir = copy("tiny-mha-f32");
    let file = dir.path().join("model.safetensors");
    let mut header = String::from("{");
    while header.len() < 9 << 20 {
        let at = header.len();
        header += &format!(r#""t{at}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}},"#);
    }
    header += r#""z":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.push(0);
    fs::write(&file, bytes).unwrap();
    let text = open(dir.path()).unwrap_err().to_string();
    assert!(text.ends_with("bytes, but no model needs above 8388608"), "{text}");

    for claim in [u64::MAX, 1 << 62, 1 << 40, 100_000_001] {
        fs::write(&file, [&claim.to_le_bytes()[..], b"{}"].concat()).unwrap();
        assert_eq!(open(dir.path()).unwrap_err().code(), "INVALID_FILE");
    }
    for deep in ["[".repeat(200_000), "{\"a\":".repeat(200_000)] {
        fs::write(&file, [&(deep.len() as u64).to_le_bytes()[..], deep.as_bytes()].concat())
            .unwrap();
        assert_eq!(open(dir.path()).unwrap_err().code(), "INVALID_FILE");
    }
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
        if let Ok(mut checkpoint) = Checkpoint::open(dir.path()) {
            let _ = checkpoint.check(&[]);
        }
    }
}
