//! A GGUF file ends and samples as the folder it was made from, or as in llama.cpp.

mod support;

use std::fs;
use std::path::Path;

use olmo_core::checkpoint::ModelSource;
use olmo_core::config::ModelConfig;
use olmo_core::dtype::{DType, TensorType};
use olmo_core::quantize::{quantize, Options};
use olmo_core::sampling::{GenerationDefaults, GenerationOptions};
use olmo_core::weights::gguf::{
    convert_metadata, Array, Gguf, GgufWriter, Metadata, NewTensor, Value,
};
use serde_json::{json, Value as Json};
use support::{golden, TempDir};

/// A checkpoint with these two files; `false` leaves the first one out.
fn folder(generation: &Json, config: impl FnOnce(&mut Json)) -> TempDir {
    let dir = TempDir::new();
    for name in ["model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        fs::copy(golden("tiny-mha-f32").join(name), dir.path().join(name)).unwrap();
    }
    let mut json = support::json("tiny-mha-f32/config.json");
    config(&mut json);
    fs::write(dir.path().join("config.json"), json.to_string()).unwrap();
    if !generation.is_boolean() {
        fs::write(dir.path().join("generation_config.json"), generation.to_string()).unwrap();
    }
    dir
}

fn quantized(model: &Path, out: &Path) -> ModelSource {
    let options = Options {
        model: model.to_owned(),
        out: out.to_owned(),
        target: DType::F32.into(),
        importance: None,
        threads: Some(1),
    };
    quantize(&options, &mut |_| Ok(())).unwrap();
    ModelSource::open(out).unwrap()
}

fn defaults(source: &ModelSource) -> GenerationDefaults {
    source.generation_defaults(&source.config().unwrap()).unwrap()
}

/// What answers are made by; the order of ends tells nothing.
fn in_force(source: &ModelSource) -> (GenerationOptions, Option<u32>) {
    let defaults = defaults(source);
    let mut options = GenerationOptions::from_defaults(&defaults);
    options.eos_token_ids.sort_unstable();
    (options, defaults.pad_token_id)
}

#[test]
fn what_a_folder_says_of_generations_survives_in_a_file_and_in_a_file_of_that() {
    let cases = [
        json!(false),
        json!({}),
        json!({"eos_token_id": 496}),
        json!({"eos_token_id": [496, 504]}),
        json!({"eos_token_id": [504, 515, 496, 511]}),
        json!({"eos_token_id": 300}),
        json!({"eos_token_id": []}),
        json!({"eos_token_id": 504, "pad_token_id": 7, "bos_token_id": 9}),
        json!({"do_sample": true}),
        json!({"do_sample": true, "temperature": 0.6, "top_p": 0.95, "top_k": 0, "min_p": 0.05}),
        json!({"do_sample": true, "temperature": 0.123456789012345, "top_p": 1.0}),
        json!({"do_sample": true, "temperature": 0.0}),
        json!({"do_sample": false, "temperature": 0.0, "top_k": 5}),
        json!({"repetition_penalty": 1.05, "no_repeat_ngram_size": 3, "typical_p": 0.9}),
        json!({"stop_strings": ["\nUser:", "é\u{2028}\"quoted\""], "max_new_tokens": 77}),
        json!({"stop_strings": "END", "min_new_tokens": 4, "bad_words_ids": [[1, 2], [3]]}),
    ];
    for case in cases {
        let dir = folder(&case, |_| {});
        let source = ModelSource::open(dir.path()).unwrap();
        let expected = in_force(&source);
        let file = dir.path().join("gguf/model.gguf");
        let once = quantized(dir.path(), &file);
        assert_eq!(in_force(&once), expected, "{case}");
        let twice = quantized(&file, &dir.path().join("again/model.gguf"));
        assert_eq!(in_force(&twice), expected, "{case}, from the file");
    }
}

#[test]
fn ends_stand_in_the_keys_that_llama_cpp_reads() {
    let key = |metadata: &Metadata, name: &str| {
        metadata.get(&format!("tokenizer.ggml.{name}_token_id")).and_then(Value::as_u64)
    };
    let cases = [
        (json!({"eos_token_id": [496, 504]}), (Some(496), Some(504), None)),
        (json!({"eos_token_id": [504, 515, 496]}), (Some(496), Some(504), Some(515))),
        (json!({"eos_token_id": [1, 2, 3, 4]}), (Some(496), Some(1), Some(2))),
        (json!({}), (Some(496), None, None)),
    ];
    for (case, expected) in cases {
        let dir = folder(&case, |_| {});
        let metadata = convert_metadata(dir.path(), 0).unwrap();
        let found = ["eos", "eot", "eom"].map(|name| key(&metadata, name));
        assert_eq!((found[0], found[1], found[2]), expected, "{case}");
    }
    // Where no other file says what ends a text, generation_config.json does.
    let dir = folder(&json!({"eos_token_id": [503, 504]}), |config| {
        config["eos_token_id"] = Json::Null;
    });
    fs::write(dir.path().join("tokenizer_config.json"), "{}").unwrap();
    let metadata = convert_metadata(dir.path(), 0).unwrap();
    assert_eq!((key(&metadata, "eos"), key(&metadata, "eot")), (Some(503), Some(504)));
}

/// A file with these tokens and a table of embeddings for them.
fn file(dir: &TempDir, tokens: &[&str], set: impl FnOnce(&mut Metadata)) -> ModelSource {
    let config = ModelConfig::from_dir(&golden("tiny-mha-f32")).unwrap();
    let mut metadata = convert_metadata(&golden("tiny-mha-f32"), 0).unwrap();
    for key in ["olmo2.generation_config", "tokenizer.ggml.eos_token_id"] {
        metadata.remove(key);
    }
    let texts = (0..config.vocab_size)
        .map(|id| tokens.get(id).map_or(format!("t{id}"), |token| (*token).to_owned()));
    metadata.set("tokenizer.ggml.tokens", Value::Array(Array::of_strings(texts)));
    set(&mut metadata);
    let path = dir.path().join("model.gguf");
    let shape = vec![config.vocab_size, config.hidden_size];
    let table = NewTensor {
        name: "token_embd.weight".into(),
        dtype: TensorType::Float(DType::F32),
        shape: shape.clone(),
    };
    let mut writer = GgufWriter::create(&path, &metadata, &[table]).unwrap();
    writer.write("token_embd.weight", &vec![0; 4 * shape[0] * shape[1]]).unwrap();
    writer.finish().unwrap();
    ModelSource::open(&path).unwrap()
}

#[test]
fn a_file_without_our_key_ends_where_llama_cpp_does() {
    let id = |metadata: &mut Metadata, name: &str, id: u32| {
        metadata.set(&format!("tokenizer.ggml.{name}_token_id"), Value::U32(id));
    };
    type Set = fn(&mut Metadata, &dyn Fn(&mut Metadata, &str, u32));
    let cases: [(&[&str], Set, &[u32]); 8] = [
        (&["a", "<|im_end|>"], |_, _| {}, &[1]),
        (&["<|endoftext|>", "b", "<|eot_id|>"], |m, id| id(m, "eos", 1), &[1, 0, 2]),
        (&["a", "<|im_end|>"], |m, id| id(m, "eot", 0), &[0, 1]),
        (&["a", "b", "c"], |m, id| id(m, "eom", 2), &[2]),
        (
            &["a", "b", "c"],
            |m, id| {
                id(m, "eos", 2);
                id(m, "eot", 1);
                id(m, "eom", 0);
            },
            &[2, 1, 0],
        ),
        (&["</s>", "<end_of_turn>", "<|end|>", "<EOT>"], |_, _| {}, &[0, 1, 2, 3]),
        (&["</s", "im_end", "<|im_start|>"], |_, _| {}, &[]),
        (&["<|endoftext|>", "<|endoftext|>x"], |m, id| id(m, "eos", 0), &[0]),
    ];
    for (tokens, set, expected) in cases {
        let dir = TempDir::new();
        let source = file(&dir, tokens, |metadata| set(metadata, &id));
        let ends = defaults(&source).options.eos_token_ids;
        assert_eq!(ends.as_deref(), Some(expected), "{tokens:?}");
    }
}

#[test]
fn our_key_goes_first_and_is_checked() {
    let with = |text: Value| {
        let dir = TempDir::new();
        let source = file(&dir, &["<|endoftext|>"], |m| m.set("olmo2.generation_config", text));
        source.generation_defaults(&source.config().unwrap())
    };
    let text = |text: &str| Value::String(text.into());
    let found = with(text(r#"{"eos_token_id": [5], "stop_strings": ["x"]}"#)).unwrap().options;
    assert_eq!(found.eos_token_ids, Some(vec![5]));
    assert_eq!(found.stop_strings, Some(vec!["x".to_owned()]));
    for value in [text("["), text("[]"), text("null"), Value::U32(4), text(&"[".repeat(100_000))] {
        let error = with(value).unwrap_err();
        assert_eq!(error.code(), "INVALID_FILE");
        let error = error.to_string();
        assert!(error.contains("`olmo2.generation_config` is not a JSON object"), "{error}");
    }
    let error = with(text(r#"{"do_sample": "yes"}"#)).unwrap_err();
    assert_eq!(error.code(), "INVALID_CONFIG");
}

#[test]
fn a_generation_config_beside_a_file_gets_into_the_next_one() {
    let dir = folder(&json!({"stop_strings": ["old"], "temperature": 0.5}), |_| {});
    let file = dir.path().join("gguf/model.gguf");
    quantized(dir.path(), &file);
    let beside = json!({"stop_strings": ["new"], "do_sample": true, "top_p": 0.5});
    fs::write(file.with_file_name("generation_config.json"), beside.to_string()).unwrap();
    let expected = in_force(&ModelSource::open(&file).unwrap());
    assert_eq!(expected.0.eos_token_ids, [496], "the file's, as the other has none");
    let next = quantized(&file, &dir.path().join("next/model.gguf"));
    assert_eq!(in_force(&next), expected);
}

/// Of a folder with these files, and of the file that is made of it.
fn templates(settings: Json, files: &[(&str, &str)]) -> Vec<(String, String)> {
    let dir = folder(&json!(false), |_| {});
    fs::write(dir.path().join("tokenizer_config.json"), settings.to_string()).unwrap();
    fs::create_dir(dir.path().join("additional_chat_templates")).unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let out = dir.path().join("gguf/model.gguf");
    quantized(dir.path(), &out);
    let again = dir.path().join("again/model.gguf");
    quantized(&out, &again);
    let templates = Gguf::open(&out).unwrap().chat_templates();
    assert_eq!(Gguf::open(&again).unwrap().chat_templates(), templates);
    templates
}

/// transformers 5.24 takes the file first; that the two differ is no mistake of anyone.
#[test]
fn templates_come_along_and_the_file_goes_first() {
    let pairs = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        list.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    };
    let list = json!({"chat_template": [{"name": "tool_use", "template": "T"},
        {"name": "default", "template": "D"}, {"name": "rag-2", "template": "R"}, {"name": 4}]});
    let jinja = ("chat_template.jinja", "J");
    type Texts<'t> = Vec<(&'t str, &'t str)>;
    let cases: [(Json, Texts, Texts); 7] = [
        (json!({}), vec![], vec![]),
        (json!({"chat_template": "A"}), vec![], vec![("default", "A")]),
        (json!({"chat_template": "A"}), vec![jinja], vec![("default", "J")]),
        (json!({}), vec![jinja], vec![("default", "J")]),
        (list.clone(), vec![], vec![("default", "D"), ("tool_use", "T"), ("rag-2", "R")]),
        (list, vec![jinja], vec![("default", "J")]),
        (
            json!({}),
            vec![jinja, ("additional_chat_templates/tool_use.jinja", "F")],
            vec![("default", "J"), ("tool_use", "F")],
        ),
    ];
    for (settings, files, expected) in cases {
        assert_eq!(templates(settings.clone(), &files), pairs(&expected), "{settings} {files:?}");
    }
}
