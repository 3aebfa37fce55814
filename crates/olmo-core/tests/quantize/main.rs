//! Whole models turned into other types.

mod importance;
#[path = "../support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use olmo_core::checkpoint::ModelSource;
use olmo_core::config::ModelConfig;
use olmo_core::dtype::{DType, TensorType};
use olmo_core::precision::Precision;
use olmo_core::precision::Scheme;
use olmo_core::quant::BlockType;
use olmo_core::quantize::importance::{of_file, of_ids};
use olmo_core::quantize::{quantize, size, Options, Progress, Summary};
use olmo_core::shapes::weight_shapes;
use olmo_core::weights::gguf::{names, Gguf, GgufWriter, Metadata, NewTensor, Value};
use olmo_core::weights::{Checkpoint, TensorData};
use olmo_core::{Error, Result};
use support::{golden, max_difference, Reference, TempDir};

fn run(model: &Path, out: &Path, target: Precision) -> Result<Summary> {
    let options = Options {
        model: model.to_owned(),
        out: out.to_owned(),
        target,
        importance: None,
        threads: Some(2),
    };
    quantize(&options, &mut |_| Ok(()))
}

/// Replaces `old` by `new` in a text file; it must be there.
fn edit(file: &Path, old: &str, new: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(old));
    fs::write(file, text.replace(old, new)).unwrap();
}

/// A folder with random weights whose rows are whole blocks of 256, 16 layers and the golden
/// tokenizer. `spoil` may change them.
fn wide_model(spoil: impl Fn(&str, &mut [f32])) -> TempDir {
    let dir = TempDir::new();
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        fs::copy(golden("tiny-mha-f32").join(name), dir.path().join(name)).unwrap();
    }
    let file = dir.path().join("config.json");
    edit(&file, "\"hidden_size\": 64", "\"hidden_size\": 256");
    edit(&file, "\"intermediate_size\": 176", "\"intermediate_size\": 256");
    edit(&file, "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 16");
    let config = ModelConfig::from_dir(dir.path()).unwrap();
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    let mut tensors = HashMap::new();
    for (name, shape) in weight_shapes(&config) {
        let mut weights: Vec<f32> = (0..shape.iter().product()).map(|_| random() * 0.2).collect();
        spoil(&name, &mut weights);
        tensors.insert(name, Tensor::from_vec(weights, shape, &Device::Cpu).unwrap());
    }
    let file = dir.path().join("model.safetensors");
    candle_core::safetensors::save(&tensors, file).unwrap();
    dir
}

/// The bytes a tensor has in another type, by the functions that `quant.rs` holds against llama.cpp.
fn expected_bytes(tensor: &TensorData, wanted: TensorType) -> Vec<u8> {
    let numbers = tensor.to_f32();
    match wanted {
        TensorType::Float(DType::F32) => numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
        TensorType::Float(DType::F16) => {
            numbers.iter().flat_map(|&x| half::f16::from_f32(x).to_le_bytes()).collect()
        }
        TensorType::Float(DType::BF16) => {
            numbers.iter().flat_map(|&x| half::bf16::from_f32(x).to_le_bytes()).collect()
        }
        TensorType::Block(block) => {
            let columns = *tensor.shape.last().unwrap();
            let quantized = |row: &[f32]| {
                let mut blocks = vec![0; block.bytes(columns).unwrap()];
                block.quantize(row, None, &mut blocks).unwrap();
                blocks
            };
            numbers.chunks(columns).flat_map(quantized).collect()
        }
    }
}

#[test]
fn every_tensor_is_there_in_its_type() {
    let dir = TempDir::new();
    let wide = wide_model(|_, _| ());
    for model in [wide.path().to_owned(), golden("tiny-mha-f32"), golden("tiny-gqa-bf16")] {
        if !model.join("tokenizer.json").is_file() {
            continue; // some golden models have none
        }
        let source = Checkpoint::open(&model).unwrap();
        let config = ModelConfig::from_dir(&model).unwrap();
        for target in Precision::ALL {
            let out = dir.path().join(format!("{}.gguf", target.name()));
            let summary = run(&model, &out, target).unwrap();
            let gguf = Gguf::open(&out).unwrap();
            assert_eq!(gguf.config().unwrap().layers, config.layers);
            let written = Checkpoint::of_gguf(&gguf).unwrap();
            let mut bytes = 0;
            for (name, shape) in weight_shapes(&config) {
                let (new, old) = (written.get(&name).unwrap(), source.get(&name).unwrap());
                let wanted = target.in_file(&name, &shape, &config);
                assert_eq!(new.dtype, wanted, "{} {name}", target.name());
                let expected = expected_bytes(old, wanted);
                assert!(new.bytes() == expected, "{} {name}", target.name());
                bytes += expected.len() as u64;
            }
            assert_eq!(summary.bytes, bytes);
            assert_eq!(size(&model, target).unwrap(), bytes);
            assert_eq!(summary.types.values().map(|(_, bytes)| bytes).sum::<u64>(), bytes);
            let file_type = gguf.metadata().get("general.file_type").unwrap().as_u64();
            assert_eq!(file_type, Some(target.file_type().into()));
        }
    }
}

#[test]
fn mixes_give_more_bits_where_llama_cpp_does() {
    let dir = wide_model(|_, _| ());
    let config = ModelConfig::from_dir(dir.path()).unwrap();
    // `use_more_bits` of 16 layers: the first two, the last two, and every third between.
    let more = [0, 1, 4, 7, 10, 13, 14, 15];
    for (scheme, usual) in [(Scheme::Q4KM, BlockType::Q4K), (Scheme::Q5KM, BlockType::Q5K)] {
        for (name, shape) in weight_shapes(&config) {
            let layer = name.split('.').nth(2).and_then(|layer| layer.parse::<usize>().ok());
            let is_sensitive = name.contains("v_proj") || name.contains("down_proj");
            let expected = match layer {
                _ if shape.len() == 1 => TensorType::Float(DType::F32),
                None if name == "lm_head.weight" => TensorType::Block(BlockType::Q6K),
                Some(layer) if is_sensitive && more.contains(&layer) => {
                    TensorType::Block(BlockType::Q6K)
                }
                _ => TensorType::Block(usual),
            };
            assert_eq!(scheme.tensor_type(&name, &shape, &config), expected, "{name}");
        }
    }
    for (scheme, output) in [
        (Scheme::Q8_0, BlockType::Q8_0),
        (Scheme::Q5_0, BlockType::Q6K),
        (Scheme::Q4_0, BlockType::Q6K),
        (Scheme::Q6K, BlockType::Q6K),
    ] {
        for (name, shape) in weight_shapes(&config).into_iter().filter(|(_, s)| s.len() == 2) {
            let expected = if name == "lm_head.weight" { output } else { scheme.block_type() };
            let got = scheme.tensor_type(&name, &shape, &config);
            assert_eq!(got, TensorType::Block(expected), "{} {name}", scheme.name());
        }
    }
}

#[test]
fn rows_that_are_not_whole_blocks_fall_back() {
    let config = ModelConfig::from_dir(&golden("tiny-mha-f32")).unwrap();
    let name = "model.layers.0.mlp.up_proj.weight";
    for scheme in Scheme::ALL {
        let of = |columns| scheme.tensor_type(name, &[3, columns], &config);
        assert_eq!(of(48), TensorType::Float(DType::F16), "{}", scheme.name());
        let small = match scheme.block_type() {
            own if own.block_len() == 32 => own,
            _ => BlockType::Q8_0,
        };
        assert_eq!(of(96), TensorType::Block(small), "{}", scheme.name());
        assert_eq!(of(512), TensorType::Block(scheme.block_type()), "{}", scheme.name());
    }
}

#[test]
fn a_tied_table_is_written_as_output_too() {
    let dir = wide_model(|_, _| ());
    edit(
        &dir.path().join("config.json"),
        "\"tie_word_embeddings\": false",
        "\"tie_word_embeddings\": true",
    );
    let file = dir.path().join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&file, &Device::Cpu).unwrap();
    tensors.remove("lm_head.weight").unwrap();
    candle_core::safetensors::save(&tensors, &file).unwrap();
    let out = dir.path().join("out.gguf");
    run(dir.path(), &out, Precision::Mix(Scheme::Q4KM)).unwrap();
    let gguf = Gguf::open(&out).unwrap();
    let tensor = |name: &str| gguf.tensors().find(|tensor| tensor.name == name).unwrap();
    assert_eq!(tensor("output.weight").dtype, TensorType::Block(BlockType::Q6K));
    // As llama-quantize does where there is an output matrix: the table is then only looked up.
    assert_eq!(tensor("token_embd.weight").dtype, TensorType::Block(BlockType::Q4K));
    // By way of another file it is the same.
    let (between, again) = (dir.path().join("f32.gguf"), dir.path().join("again.gguf"));
    run(dir.path(), &between, Precision::Float(DType::F32)).unwrap();
    run(&between, &again, Precision::Mix(Scheme::Q4KM)).unwrap();
    let again = Gguf::open(&again).unwrap();
    for (one, other) in gguf.tensors().zip(again.tensors()) {
        assert!(one.name == other.name && one.bytes() == other.bytes(), "{}", one.name);
    }
}

#[test]
fn a_gguf_file_keeps_its_metadata() {
    let dir = TempDir::new();
    let (first, second) = (dir.path().join("bf16.gguf"), dir.path().join("q8_0.gguf"));
    run(&golden("tiny-mha-f32"), &first, Precision::Float(DType::BF16)).unwrap();
    run(&first, &second, Precision::Mix(Scheme::Q8_0)).unwrap();
    let (first, second) = (Gguf::open(&first).unwrap(), Gguf::open(&second).unwrap());
    assert_eq!(first.metadata().len(), second.metadata().len());
    for (key, value) in first.metadata().iter().filter(|(key, _)| *key != "general.file_type") {
        assert_eq!(second.metadata().get(key), Some(value), "{key}");
    }
    let names: Vec<String> = first.tensors().map(|tensor| tensor.name).collect();
    for name in names {
        let find = |gguf: &Gguf| gguf.tensors().find(|tensor| tensor.name == name).unwrap();
        let (old, new) = (find(&first), find(&second));
        assert!(new.bytes() == expected_bytes(&old, new.dtype), "{name}");
    }
}

#[test]
fn blocks_are_not_quantised_again() {
    let dir = TempDir::new();
    let (first, second) = (dir.path().join("q8_0.gguf"), dir.path().join("q4_0.gguf"));
    run(&golden("tiny-mha-f32"), &first, Precision::Mix(Scheme::Q8_0)).unwrap();
    let error = run(&first, &second, Precision::Mix(Scheme::Q4_0)).unwrap_err();
    assert_eq!(error.code(), "INVALID_WEIGHTS");
    assert!(error.to_string().contains("quantise the model it was made of"), "{error}");
    assert!(!second.exists());
    // The same type is a copy, and floats are what the blocks stand for.
    run(&first, &second, Precision::Mix(Scheme::Q8_0)).unwrap();
    assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap());
    run(&first, &second, Precision::Float(DType::F32)).unwrap();
    let wide = Gguf::open(&second).unwrap();
    for tensor in Gguf::open(&first).unwrap().tensors() {
        let same = wide.tensors().find(|wide| wide.name == tensor.name).unwrap();
        assert_eq!(same.to_f32(), tensor.to_f32());
    }
}

#[test]
fn a_model_is_not_written_over_itself() {
    let dir = TempDir::new();
    let file = dir.path().join("model.gguf");
    run(&golden("tiny-mha-f32"), &file, Precision::Float(DType::F16)).unwrap();
    let before = fs::read(&file).unwrap();
    let error = run(&file, &file, Precision::Mix(Scheme::Q8_0)).unwrap_err();
    assert_eq!(error.code(), "INVALID_OPTION");
    assert_eq!(fs::read(&file).unwrap(), before);
}

/// Its own files, and other names of them.
#[test]
fn no_input_is_replaced() {
    let refuse = |model: &Path, out: &Path, importance: Option<&Path>| {
        let before = fs::read(out).unwrap();
        let options = Options {
            model: model.to_owned(),
            out: out.to_owned(),
            target: Precision::Float(DType::F16),
            importance: importance.map(Path::to_owned),
            threads: Some(1),
        };
        let error = quantize(&options, &mut |_| Ok(())).unwrap_err();
        assert_eq!(error.code(), "INVALID_OPTION", "{}: {error}", out.display());
        assert!(fs::read(out).unwrap() == before, "{}", out.display());
    };
    for model in ["tiny-mha-f32", "tiny-sharded-f32"] {
        let dir = TempDir::new();
        for entry in fs::read_dir(golden(model)).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
        }
        // The sharded model has none of its own.
        let tokenizer = dir.path().join("tokenizer.json");
        fs::copy(golden("tiny-mha-f32/tokenizer.json"), &tokenizer).unwrap();
        let files: Vec<PathBuf> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() > 4);
        let elsewhere = TempDir::new();
        for file in &files {
            refuse(dir.path(), file, None);
            let link = elsewhere.path().join(file.file_name().unwrap());
            fs::hard_link(file, &link).unwrap();
            refuse(dir.path(), &link, None);
            #[cfg(unix)]
            {
                let link = link.with_extension("gguf");
                if !link.exists() {
                    std::os::unix::fs::symlink(file, &link).unwrap();
                }
                refuse(dir.path(), &link, None);
            }
        }
        let text = elsewhere.path().join("text.txt");
        fs::write(&text, "some words to learn from").unwrap();
        refuse(dir.path(), &text, Some(&text));

        // What was made before is made anew.
        let out = dir.path().join("model.gguf");
        for _ in 0..2 {
            run(dir.path(), &out, Precision::Float(DType::F16)).unwrap();
        }
        let gguf = elsewhere.path().join("model.gguf");
        let _ = fs::remove_file(&gguf);
        fs::copy(&out, &gguf).unwrap();
        assert!(elsewhere.path().join("tokenizer.json").is_file());
        refuse(&gguf, &gguf, None);
        refuse(&gguf, &elsewhere.path().join("tokenizer.json"), None);
    }
}

#[test]
fn broken_weights_name_their_tensor_and_leave_nothing() {
    const TENSOR: &str = "model.layers.3.mlp.down_proj.weight";
    for (bad, target, text) in [
        (f32::NAN, Precision::Mix(Scheme::Q4KM), "holds NaN or infinity"),
        (f32::INFINITY, Precision::Float(DType::BF16), "holds NaN or infinity"),
        (1e20, Precision::Mix(Scheme::Q8_0), "too large"),
        (1e20, Precision::Float(DType::F16), "too large for f16: take bf16"),
    ] {
        let dir = wide_model(|name, weights| {
            if name == TENSOR {
                weights[777] = bad;
            }
        });
        let out = dir.path().join("out.gguf");
        let error = run(dir.path(), &out, target).unwrap_err();
        let Error::InvalidWeights { tensor, problem, .. } = &error else { panic!("{error}") };
        assert_eq!(tensor, TENSOR);
        assert!(problem.contains(text), "{problem}");
        let left: Vec<PathBuf> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left.len(), 4, "{left:?}");
    }
}

#[test]
fn progress_tells_all_bytes_and_can_stop_the_work() {
    let dir = TempDir::new();
    let mut options = Options {
        model: golden("tiny-mha-f32"),
        out: dir.path().join("out.gguf"),
        target: Precision::Mix(Scheme::Q8_0),
        importance: None,
        threads: None,
    };
    let mut heard = Vec::new();
    let summary = quantize(&options, &mut |progress| {
        heard.push(progress);
        Ok(())
    });
    let total = summary.unwrap().bytes;
    assert_eq!(heard[0], Progress::Weights { done: 0, total });
    assert_eq!(heard.last(), Some(&Progress::Weights { done: total, total }));
    assert!(heard.len() > 20);

    options.out = dir.path().join("stopped.gguf");
    let mut calls = 0;
    let stopped = quantize(&options, &mut |_| {
        calls += 1;
        if calls < 5 {
            Ok(())
        } else {
            Err(Error::Cancelled)
        }
    });
    assert_eq!(stopped.unwrap_err().code(), "CANCELLED");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn names_are_read_in_any_case() {
    for target in Precision::ALL {
        let name = target.name();
        assert_eq!(Precision::parse(name).unwrap(), target);
        assert_eq!(Precision::parse(&name.to_uppercase()).unwrap(), target);
    }
    let error = Precision::of_option("type", "q3_k").unwrap_err();
    assert_eq!(error.code(), "INVALID_OPTION");
    assert!(error.to_string().ends_with("q8_0, q6_k, q5_k_m, q5_0, q4_k_m, q4_0"), "{error}");
}
