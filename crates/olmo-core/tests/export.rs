//! Models as folders: what a GGUF file says is in the folder's files, and can go back.

mod support;

use std::path::Path;

use olmo_core::checkpoint::ModelSource;
use olmo_core::dtype::{DType, TensorType};
use olmo_core::export::{export, Progress};
use olmo_core::precision::Precision;
use olmo_core::quantize::{quantize, Options};
use olmo_core::shapes::weight_shapes;
use olmo_core::weights::Access;
use olmo_core::Error;
use support::{golden, TempDir};

fn weights(model: &Path) -> Vec<Vec<f32>> {
    let (config, checkpoint) = ModelSource::open(model).unwrap().weights(Access::Map).unwrap();
    let shapes = weight_shapes(&config);
    shapes.iter().map(|(name, _)| checkpoint.get(name).unwrap().to_f32()).collect()
}

fn stored(model: &Path) -> TensorType {
    ModelSource::open(model).unwrap().weights(Access::Map).unwrap().1.dtype()
}

fn to_gguf(model: &Path, out: &Path, target: &str) {
    let options = Options {
        model: model.to_owned(),
        out: out.to_owned(),
        target: Precision::of_option("type", target).unwrap(),
        importance: None,
        threads: Some(1),
    };
    quantize(&options, &mut |_| Ok(())).unwrap();
}

#[test]
fn a_gguf_file_becomes_a_folder_that_is_the_same_model() {
    for (name, dtype) in [("f32", DType::F32), ("f16", DType::F16), ("bf16", DType::BF16)] {
        let file = golden(&format!("gguf/tiny-mha-{name}.gguf"));
        let dir = TempDir::new();
        export(&file, dir.path(), None, &mut |_| Ok(())).unwrap();
        assert_eq!(stored(dir.path()), TensorType::Float(dtype), "{name}");
        let (a, b) = (ModelSource::open(&file).unwrap(), ModelSource::open(dir.path()).unwrap());
        let (mut ours, theirs) = (b.config().unwrap(), a.config().unwrap());
        ours.dtype = theirs.dtype;
        assert_eq!(ours, theirs, "{name}");
        assert!(weights(dir.path()) == weights(&file), "{name}");
        for text in ["The little dog", " \u{e9}\u{4e2d}<|endoftext|>\n\n 123 don't", ""] {
            let ids =
                |source: &ModelSource| source.tokenizer().unwrap().encode(text, true).unwrap();
            assert_eq!(ids(&a), ids(&b), "{name}: {text:?}");
        }
        let defaults = |source: &ModelSource| {
            source.generation_defaults(&source.config().unwrap()).unwrap().options
        };
        assert_eq!(defaults(&a), defaults(&b), "{name}");

        // And back: the same tensors, the same chat template.
        let again = dir.path().join("again.gguf");
        to_gguf(dir.path(), &again, name);
        let (a, b) = (ModelSource::open(&file).unwrap(), ModelSource::open(&again).unwrap());
        assert!(weights(&again) == weights(&file), "{name}");
        assert_eq!(defaults(&a), defaults(&b), "{name}");
        assert_eq!(a.chat(), b.chat(), "{name}");
    }
}

#[test]
fn a_tied_matrix_is_there_once_again() {
    let model = golden("train/tied");
    let dir = TempDir::new();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(model.join(name), dir.path().join(name)).unwrap();
    }
    // A GGUF file needs a tokenizer, which must not be larger than the table.
    let tokens: serde_json::Map<_, _> =
        (0..40).map(|id| (format!("t{id}"), serde_json::json!(id))).collect();
    let tokenizer = serde_json::json!({
        "version": "1.0", "added_tokens": [], "normalizer": null, "post_processor": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
            "use_regex": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true,
            "use_regex": true},
        "model": {"type": "BPE", "vocab": tokens, "merges": []},
    });
    std::fs::write(dir.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let file = dir.path().join("model.gguf");
    to_gguf(dir.path(), &file, "f32");
    assert!(!ModelSource::open(&file).unwrap().config().unwrap().tie_word_embeddings);
    let out = TempDir::new();
    export(&file, out.path(), None, &mut |_| Ok(())).unwrap();
    assert!(ModelSource::open(out.path()).unwrap().config().unwrap().tie_word_embeddings);
    assert!(weights(out.path()) == weights(&model));
}

#[test]
fn blocks_become_numbers() {
    let file = golden("gguf/tiny-mha-q8_0.gguf");
    for (dtype, expected) in [(None, DType::F16), (Some(DType::F32), DType::F32)] {
        let dir = TempDir::new();
        export(&file, dir.path(), dtype, &mut |_| Ok(())).unwrap();
        assert_eq!(stored(dir.path()), TensorType::Float(expected));
        for (ours, exact) in weights(dir.path()).iter().zip(weights(&file)) {
            for (&ours, exact) in ours.iter().zip(exact) {
                let error = (ours - exact).abs();
                let allowed =
                    if expected == DType::F32 { 0.0 } else { exact.abs() / 1024.0 + 1e-7 };
                assert!(error <= allowed, "{ours}, not {exact}");
            }
        }
    }
}

#[test]
fn a_folder_changes_its_type_and_keeps_the_rest() {
    let model = golden("tiny-mha-f32");
    let dir = TempDir::new();
    let mut seen = Vec::new();
    let mut tell = |progress: Progress| {
        seen.push(progress);
        Ok(())
    };
    export(&model, dir.path(), Some(DType::BF16), &mut tell).unwrap();
    assert_eq!(stored(dir.path()), TensorType::Float(DType::BF16));
    let last = seen.last().unwrap();
    assert_eq!((seen[0].done, last.done), (0, last.total));
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        let read = |folder: &Path| std::fs::read(folder.join(name)).unwrap();
        assert!(read(dir.path()) == read(&model), "{name}");
    }
    let json = |folder: &Path| -> serde_json::Value {
        let text = std::fs::read_to_string(folder.join("config.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let mut expected = json(&model);
    let key = if expected.get("dtype").is_some() { "dtype" } else { "torch_dtype" };
    expected[key] = "bfloat16".into();
    assert_eq!(json(dir.path()), expected);
}

#[test]
fn a_stop_and_a_missing_model_are_errors() {
    let dir = TempDir::new();
    let stopped = export(&golden("tiny-mha-f32"), dir.path(), None, &mut |_| Err(Error::Cancelled));
    assert!(matches!(stopped, Err(Error::Cancelled)));
    let none = export(&dir.path().join("none"), dir.path(), None, &mut |_| Ok(()));
    assert!(none.unwrap_err().to_string().contains("config.json"));
}
