//! GGUF files: those the package gguf wrote, those we write, and a model out of them.

mod beside;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};

use olmo_core::backend::cpu::CpuOps;
use olmo_core::checkpoint::{inspect, ModelSource};
use olmo_core::config::ModelConfig;
use olmo_core::dtype::{DType, TensorType};
use olmo_core::model::NoProbe;
use olmo_core::quant::BlockType;
use olmo_core::sampling::{GenerationDefaults, GenerationOptions, Source};
use olmo_core::shapes::weight_shapes;
use olmo_core::tokenizer::Tokenizer;
use olmo_core::weights::gguf::{
    convert_metadata, names, Gguf, GgufWriter, Metadata, NewTensor, Value,
};
use olmo_core::weights::Checkpoint;
use olmo_core::Error;
use support::{golden, list, max_difference, text, Bench, Reference, TempDir};

const TYPES: [(&str, u32, TensorType); 5] = [
    ("f32", 0, TensorType::Float(DType::F32)),
    ("f16", 1, TensorType::Float(DType::F16)),
    ("bf16", 32, TensorType::Float(DType::BF16)),
    ("q8_0", 7, TensorType::Block(BlockType::Q8_0)),
    ("q4_0", 2, TensorType::Block(BlockType::Q4_0)),
];

fn file(dtype: &str) -> PathBuf {
    golden(&format!("gguf/tiny-mha-{dtype}.gguf"))
}

fn bench(model: &str) -> Bench {
    Bench::new(model, CpuOps::new(DType::F32, Some(1)).unwrap())
}

/// Writes a copy of a golden folder as a GGUF file, its tensors as they are.
fn converted(folder: &Path, path: &Path) {
    converted_with(folder, path, |_| ());
}

fn converted_with(folder: &Path, path: &Path, change: impl FnOnce(&mut Metadata)) {
    let config = ModelConfig::from_dir(folder).unwrap();
    let checkpoint = Checkpoint::open(folder).unwrap();
    let tensors: Vec<_> = names::all(&config)
        .into_iter()
        .map(|(own, name)| (own, checkpoint.get(&name).unwrap().clone()))
        .collect();
    let announced: Vec<NewTensor> = tensors
        .iter()
        .map(|(own, tensor)| NewTensor {
            name: own.clone(),
            dtype: tensor.dtype,
            shape: tensor.shape.clone(),
        })
        .collect();
    let mut metadata = convert_metadata(folder, 0).unwrap();
    change(&mut metadata);
    let mut writer = GgufWriter::create(path, &metadata, &announced).unwrap();
    for (own, tensor) in &tensors {
        for piece in tensor.bytes().chunks(1000) {
            writer.write(own, piece).unwrap();
        }
    }
    writer.finish().unwrap();
}

#[test]
fn a_file_says_what_the_folder_it_was_made_from_says() {
    let folder = ModelConfig::from_dir(&golden("tiny-mha-f32")).unwrap();
    for (name, _, dtype) in TYPES {
        let source = ModelSource::open(&file(name)).unwrap();
        let config = source.config().unwrap();
        assert_eq!(config, ModelConfig { dtype: None, ..folder.clone() }, "{name}");
        let mut checkpoint = source.checkpoint().unwrap();
        checkpoint.check(&weight_shapes(&config)).unwrap();
        assert_eq!(checkpoint.dtype(), dtype);
        let defaults = source.generation_defaults(&config).unwrap();
        // llama.cpp ends at <|im_end|> too, whatever the keys say, and this file is not of our making.
        let eos = defaults.options.eos_token_ids;
        assert_eq!((eos, defaults.pad_token_id), (Some(vec![496, 504]), Some(516)));
    }
}

#[test]
fn f32_gives_the_same_logits_as_the_folder_to_the_bit() {
    let ids = Reference::read("gguf/reference.safetensors").ids("ids");
    let ours = bench("gguf/tiny-mha-f32.gguf").forward(&ids, 0, &mut NoProbe);
    assert_eq!(ours, bench("tiny-mha-f32").forward(&ids, 0, &mut NoProbe));
}

/// Against torch with the weights that gguf.quants makes of the files.
#[test]
fn every_type_gives_the_logits_of_the_weights_it_stands_for() {
    let reference = Reference::read("gguf/reference.safetensors");
    let ids = reference.ids("ids");
    for (name, ..) in TYPES {
        let ours = bench(&format!("gguf/tiny-mha-{name}.gguf")).forward(&ids, 0, &mut NoProbe);
        let difference = max_difference(&ours, reference.get(&format!("{name}.logits")));
        assert!(difference < 1e-4, "{name}: {difference}");
    }
}

#[test]
fn blocks_stand_for_the_numbers_that_the_package_says() {
    let gguf = Gguf::open(&golden("gguf/blocks.gguf")).unwrap();
    let get = |name: &str| gguf.tensors().find(|tensor| tensor.name == name).unwrap();
    for block in [BlockType::Q4K, BlockType::Q5K, BlockType::Q6K, BlockType::Q5_0] {
        let name = &block.name().to_uppercase();
        let (stored, values) = (get(name), get(&format!("{name}.values")));
        assert_eq!(stored.dtype, TensorType::Block(block));
        assert_eq!(
            (&stored.shape, &stored.shape),
            (&vec![3, 2 * block.block_len()], &values.shape)
        );
        assert_eq!(stored.to_f32(), values.to_f32(), "{name}");
    }
}

#[test]
fn the_tokenizer_in_a_file_gives_the_ids_of_tokenizer_json() {
    let own = Gguf::open(&file("f32")).unwrap().tokenizer().unwrap();
    let folder = support::tokenizer("tiny-mha-f32");
    assert_eq!(own.vocab_size(), folder.vocab_size());
    for string in list(&support::json("dolma2_strings.json"), "strings") {
        let string = text(string, "text");
        let ids = own.encode(string, true).unwrap();
        assert_eq!(ids, folder.encode(string, true).unwrap(), "{string:?}");
        assert_eq!(own.decode(&ids, false).unwrap(), string);
    }
    for id in 0..517 {
        assert_eq!(own.token_text(id), folder.token_text(id));
        // The converter takes every `<|…|>` for special.
        let looks_special = own.token_text(id).unwrap().starts_with("<|extra_id_");
        assert_eq!(own.is_special(id), folder.is_special(id) || looks_special, "{id}");
    }
}

/// The key of what llama.cpp has no key for.
const OWN: &str = "olmo2.generation_config";

#[test]
fn the_metadata_we_write_is_the_package_s() {
    for (name, file_type, _) in TYPES {
        let theirs = Gguf::open(&file(name)).unwrap();
        let ours = convert_metadata(&golden("tiny-mha-f32"), file_type).unwrap();
        let mut keys: Vec<&str> = theirs.metadata().iter().map(|(key, _)| key).collect();
        // The folder does not end at <|im_end|>, and llama.cpp has no key to say so.
        keys.push(OWN);
        assert_eq!(ours.iter().map(|(key, _)| key).collect::<Vec<_>>(), keys);
        assert_eq!(ours.get(OWN).unwrap().as_str(), Some(r#"{"eos_token_id":[496]}"#));
        for (key, value) in theirs.metadata().iter() {
            assert_eq!(ours.get(key), Some(value), "{key}");
        }
    }
}

#[test]
fn the_file_we_write_is_the_package_s_but_for_the_order_of_tensors() {
    let dir = TempDir::new();
    let path = dir.path().join("model.gguf");
    converted(&golden("tiny-mha-f32"), &path);
    let (ours, theirs) = (Gguf::open(&path).unwrap(), Gguf::open(&file("f32")).unwrap());
    let mut metadata = ours.metadata().clone();
    metadata.remove(OWN);
    assert_eq!(&metadata, theirs.metadata());
    assert_eq!(ours.tensors().count(), theirs.tensors().count());
    for tensor in theirs.tensors() {
        let own = ours.tensors().find(|own| own.name == tensor.name).unwrap();
        assert_eq!((own.dtype, &own.shape), (tensor.dtype, &tensor.shape));
        assert_eq!(own.bytes(), tensor.bytes(), "{}", tensor.name);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
}

/// Tied embeddings, grouped heads, a theta and an epsilon of its own; its tokenizer is another folder's.
#[test]
fn a_tied_model_comes_back_with_an_output_matrix() {
    let dir = TempDir::new();
    for (from, name) in [
        ("tiny-odd-f32", "config.json"),
        ("tiny-odd-f32", "model.safetensors"),
        ("tiny-mha-f32", "tokenizer.json"),
    ] {
        fs::copy(golden(from).join(name), dir.path().join(name)).unwrap();
    }
    let path = dir.path().join("out/model.gguf");
    converted(dir.path(), &path);
    let config = Gguf::open(&path).unwrap().config().unwrap();
    let folder = ModelConfig::from_dir(&golden("tiny-odd-f32")).unwrap();
    assert!(folder.tie_word_embeddings);
    let expected = ModelConfig { tie_word_embeddings: false, dtype: None, ..folder };
    // Without a tokenizer_config.json too, the ids are those of config.json.
    assert_eq!(config, expected);
    let ids = Reference::read("tiny-odd-f32/reference.safetensors").ids("p33.ids");
    let ours = bench(path.to_str().unwrap()).forward(&ids, 0, &mut NoProbe);
    assert_eq!(ours, bench("tiny-odd-f32").forward(&ids, 0, &mut NoProbe));
}

/// dolma2's ids have gaps in the golden cut: the file fills them up, and reading leaves that out.
#[test]
fn dolma2_comes_back_out_of_a_file() {
    let dir = TempDir::new();
    let mut config = support::json("tiny-mha-f32/config.json");
    config["vocab_size"] = 100352.into();
    fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    let json = golden("dolma2-subset/tokenizer.json");
    fs::copy(json, dir.path().join("tokenizer.json")).unwrap();
    let metadata = convert_metadata(dir.path(), 0).unwrap();
    let tokens = metadata.get("tokenizer.ggml.tokens").unwrap().as_array().unwrap();
    assert_eq!(tokens.len(), 100352);
    assert_eq!(tokens.strings().unwrap().last(), Some("[PAD100351]"));
    let path = dir.path().join("vocabulary.gguf");
    GgufWriter::create(&path, &metadata, &[]).unwrap().finish().unwrap();
    let tokenizer = Gguf::open(&path).unwrap().tokenizer().unwrap();
    assert_eq!(tokenizer.vocab_size(), 100278);
    for string in list(&support::json("dolma2_strings.json"), "strings") {
        let expected = support::ids(&string["ids"]);
        assert_eq!(tokenizer.encode(text(string, "text"), false).unwrap(), expected);
    }
}

#[test]
fn the_writer_takes_the_tensors_in_turn_and_whole_or_leaves_no_file() {
    let dir = TempDir::new();
    let path = dir.path().join("model.gguf");
    let tensor = |name: &str, dtype, shape: &[usize]| NewTensor {
        name: name.into(),
        dtype,
        shape: shape.to_vec(),
    };
    let f32 = TensorType::Float(DType::F32);
    let q8_0 = TensorType::Block(BlockType::Q8_0);
    let metadata = Default::default();
    let create = |tensors: &[NewTensor]| GgufWriter::create(&path, &metadata, tensors);
    let problem = |error: Error| match error {
        Error::InvalidWeights { tensor, problem, .. } => format!("{tensor} {problem}"),
        error => panic!("{error}"),
    };
    let two = [tensor("a", f32, &[3]), tensor("b", q8_0, &[1, 32])];

    for (tensors, expected) in [
        (vec![tensor("a", q8_0, &[4, 33])], "rows are not whole blocks of q8_0"),
        (vec![tensor("a", f32, &[])], "1 to 4 sizes above 0"),
        (vec![tensor("a", f32, &[0])], "1 to 4 sizes above 0"),
        (vec![tensor("a", f32, &[1; 5])], "1 to 4 sizes above 0"),
        (vec![tensor("a", f32, &[usize::MAX, 4])], "rows are not whole blocks"),
        (vec![two[0].clone(), two[0].clone()], "a is there twice"),
    ] {
        let error = problem(create(&tensors).err().unwrap());
        assert!(error.contains(expected), "{error}");
    }

    let mut writer = create(&two).unwrap();
    let error = problem(writer.write("b", &[0; 34]).unwrap_err());
    assert_eq!(error, "b comes out of turn, or was not announced");
    assert_eq!(problem(writer.write("a", &[0; 13]).unwrap_err()), "a has 1 bytes too many");
    writer.write("a", &[1; 4]).unwrap();
    assert_eq!(problem(writer.finish().unwrap_err()), "a has 4 of its 12 bytes");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

    let mut writer = create(&two).unwrap();
    writer.write("a", &[1; 12]).unwrap();
    writer.write("b", &[2; 34]).unwrap();
    writer.finish().unwrap();
    let gguf = Gguf::open(&path).unwrap();
    let tensors: Vec<_> = gguf.tensors().collect();
    assert_eq!((tensors[0].bytes(), tensors[1].bytes()), (&[1; 12][..], &[2; 34][..]));
    assert_eq!(tensors[1].shape, [1, 32]);
    // The last one is filled up too, as llama.cpp wants it.
    assert_eq!(fs::metadata(&path).unwrap().len() % 32, 0);
}

#[test]
fn a_tokenizer_that_has_no_name_is_refused_both_ways() {
    let dir = TempDir::new();
    let folder = golden("tiny-mha-f32");
    fs::copy(folder.join("config.json"), dir.path().join("config.json")).unwrap();
    let mut json = support::json("tiny-mha-f32/tokenizer.json");
    json["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\p{L}+".into();
    fs::write(dir.path().join("tokenizer.json"), json.to_string()).unwrap();
    let error = convert_metadata(dir.path(), 0).unwrap_err();
    assert_eq!(error.code(), "INVALID_FILE");
    assert!(error.to_string().contains("llama.cpp has no name for it"), "{error}");

    let read = |key: &str, value: Option<Value>| -> Error {
        let source = convert_metadata(&folder, 0).unwrap();
        let mut metadata = olmo_core::weights::gguf::Metadata::default();
        for (name, own) in source.iter() {
            match &value {
                _ if name != key => metadata.set(name, own.clone()),
                Some(value) => metadata.set(name, value.clone()),
                None => {}
            }
        }
        let path = dir.path().join("model.gguf");
        GgufWriter::create(&path, &metadata, &[]).unwrap().finish().unwrap();
        let tokenizer: Result<Tokenizer, Error> = Gguf::open(&path).unwrap().tokenizer();
        tokenizer.err().unwrap()
    };
    let text = |text: &str| Some(Value::String(text.into()));
    for (key, value, expected) in [
        ("tokenizer.ggml.pre", text("qwen2"), "is \"qwen2\", but only dbrx, smaug-bpe, llama-bpe, gpt-2, olmo are known: put the model's tokenizer.json beside the file"),
        ("tokenizer.ggml.model", text("llama"), "is \"llama\", but only gpt2"),
        ("tokenizer.ggml.model", None, "is missing, so it holds no tokenizer: put the model's tokenizer.json beside the file"),
        ("tokenizer.ggml.tokens", Some(Value::U32(7)), "is 7, no array"),
        ("tokenizer.ggml.merges", Some(Value::Bool(true)), "is true, no array"),
    ] {
        let error = read(key, value);
        assert_eq!(error.code(), "INVALID_FILE");
        assert!(error.to_string().contains(&format!("`{key}` {expected}")), "{error}");
    }
}

/// Each with one key of a good file set to another value.
#[test]
fn what_is_no_olmo_2_is_refused() {
    let dir = TempDir::new();
    let path = dir.path().join("model.gguf");
    let good = convert_metadata(&golden("tiny-mha-f32"), 0).unwrap();
    let error = |key: &str, value: Value| {
        let mut metadata = good.clone();
        metadata.set(key, value);
        let table = NewTensor {
            name: "token_embd.weight".into(),
            dtype: TensorType::Float(DType::F32),
            shape: vec![517, 1],
        };
        let mut writer = GgufWriter::create(&path, &metadata, &[table]).unwrap();
        writer.write("token_embd.weight", &[0; 517 * 4]).unwrap();
        writer.finish().unwrap();
        let error = Gguf::open(&path).unwrap().config().unwrap_err();
        assert_eq!(error.code(), "INVALID_CONFIG");
        error.to_string()
    };
    let text = |text: &str| Value::String(text.into());
    for (key, value, expected) in [
        ("general.architecture", text("llama"), "is \"llama\", but this engine runs only olmo2"),
        ("split.count", Value::U16(3), "is 3: join the parts"),
        ("olmo2.attention.sliding_window", Value::U32(4096), "is 4096, but OLMo 2 has no windows"),
        ("olmo2.rope.scaling.type", text("yarn"), "is \"yarn\", but OLMo 2 does not scale"),
        ("olmo2.block_count", Value::U32(0), "is 0, but a whole number from 1 to 16777216"),
        ("olmo2.block_count", Value::U32(1 << 20), "is 1048576, but a whole number from 1 to 4096"),
        ("olmo2.embedding_length", Value::I32(-1), "is -1, but a whole number from 1"),
        ("olmo2.attention.head_count", Value::U32(64), "makes heads of 1, but"),
        ("olmo2.attention.head_count_kv", Value::U32(3), "is 3, which does not divide"),
        ("olmo2.rope.freq_base", Value::F32(f32::NAN), "is NaN, but a number above 0"),
        ("olmo2.attention.layer_norm_rms_epsilon", Value::F32(0.0), "is 0, but a number above 0"),
        ("tokenizer.ggml.eos_token_id", text("7"), "is \"7\", but a token id is needed"),
        ("tokenizer.ggml.padding_token_id", Value::F32(1.0), "is 1, but a token id is needed"),
    ] {
        let error = error(key, value);
        assert!(error.contains(&format!("model.gguf: `{key}` {expected}")), "{error}");
    }
}

/// As in config.json: what the model cannot write ends no text.
#[test]
fn ids_that_are_no_tokens_count_for_nothing() {
    let dir = TempDir::new();
    let path = dir.path().join("model.gguf");
    let (eos, eot) = ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id");
    for (key, value, warnings) in [
        (eos, Value::U32(517), 1),
        (eos, Value::U32(u32::MAX), 1),
        (eot, Value::U32(50_279), 1),
        (eos, Value::I32(-1), 0),
        (eot, Value::I64(-100), 0),
        ("tokenizer.ggml.padding_token_id", Value::U64(1 << 40), 1),
    ] {
        let _ = fs::remove_file(&path);
        converted_with(&golden("tiny-mha-f32"), &path, |metadata| metadata.set(key, value.clone()));
        let source = ModelSource::open(&path).unwrap();
        let config = source.config().unwrap();
        assert_eq!(config.warnings.len(), warnings, "{key} {value:?}: {:?}", config.warnings);
        assert!(config.warnings.iter().all(|warning| warning.contains(key)));
        assert!(config.eos_token_ids.iter().all(|&id| id < 517), "{key} {value:?}");
        assert!(source.generation_defaults(&config).is_ok(), "{key} {value:?}");
        assert!(source.tokenizer().is_ok(), "{key} {value:?}");
    }
}
