//! A GGUF file as a model: what lies beside it, what it suggests, and its chat template.

use super::*;

#[test]
fn what_lies_beside_a_file_goes_first() {
    let dir = TempDir::new();
    let path = dir.path().join("model.gguf");
    fs::copy(file("f32"), &path).unwrap();
    let of = |json: &str| {
        fs::write(dir.path().join("generation_config.json"), json).unwrap();
        let source = ModelSource::open(&path).unwrap();
        source.generation_defaults(&source.config().unwrap()).unwrap()
    };
    let defaults = of(r#"{"eos_token_id": 7, "top_k": 3}"#);
    assert_eq!(defaults.options.eos_token_ids, Some(vec![7]));
    assert!(defaults.sources.contains(&("top_k", Source::GenerationConfig)));
    assert!(of("{}").sources.contains(&("eos_token_id", Source::Gguf)));
    let subset = golden("dolma2-subset/tokenizer.json");
    fs::copy(subset, dir.path().join("tokenizer.json")).unwrap();
    let tokenizer = ModelSource::open(&path).unwrap().tokenizer().unwrap();
    assert_eq!(tokenizer.vocab_size(), 100278);
}

#[test]
fn sampling_that_is_suggested_comes_along() {
    let dir = TempDir::new();
    for name in ["config.json", "tokenizer.json"] {
        fs::copy(golden("tiny-mha-f32").join(name), dir.path().join(name)).unwrap();
    }
    let json = r#"{"top_k": 40, "top_p": 0.9, "min_p": 0.05, "temperature": 0.6}"#;
    fs::write(dir.path().join("generation_config.json"), json).unwrap();
    let metadata = convert_metadata(dir.path(), 0).unwrap();
    assert_eq!(metadata.get("general.sampling.top_k"), Some(&Value::I32(40)));
    assert_eq!(metadata.get("general.sampling.temp"), Some(&Value::F32(0.6)));
    let source = with_metadata(&dir.path().join("elsewhere/model.gguf"), &metadata);
    let config = source.config().unwrap();
    assert!(config.tie_word_embeddings);
    let expected = GenerationDefaults::from_json(json, "json".as_ref(), &config).unwrap();
    assert_eq!(source.generation_defaults(&config).unwrap(), expected.in_gguf());

    // To llama.cpp the one is greedy and the other all tokens; that sampling is meant has no key.
    let json = r#"{"top_k": -1, "temperature": 0.0, "repetition_penalty": 1.25}"#;
    fs::write(dir.path().join("generation_config.json"), json).unwrap();
    let metadata = convert_metadata(dir.path(), 0).unwrap();
    let source = with_metadata(&dir.path().join("odd/model.gguf"), &metadata);
    let defaults = source.generation_defaults(&config).unwrap();
    let options = GenerationOptions::from_defaults(&defaults);
    assert_eq!((options.top_k, options.temperature, options.do_sample), (0, 1.0, false));
    assert_eq!(options.repetition_penalty, 1.25);
}

/// A file of these metadata, with a table of embeddings and nothing else.
fn with_metadata(path: &Path, metadata: &Metadata) -> ModelSource {
    let table = NewTensor {
        name: "token_embd.weight".into(),
        dtype: TensorType::Float(DType::F32),
        shape: vec![517, 64],
    };
    let mut writer = GgufWriter::create(path, metadata, &[table]).unwrap();
    writer.write("token_embd.weight", &[0; 517 * 64 * 4]).unwrap();
    writer.finish().unwrap();
    ModelSource::open(path).unwrap()
}

#[test]
fn a_folder_with_one_file_is_that_file() {
    let dir = TempDir::new();
    fs::copy(file("q8_0"), dir.path().join("a.gguf")).unwrap();
    fs::write(dir.path().join("README.md"), "---\nlicense: apache-2.0\n---\n").unwrap();
    let found = inspect(dir.path()).unwrap();
    assert_eq!(found.stored_dtype, TensorType::Block(BlockType::Q8_0));
    assert_eq!(found.license.as_deref(), Some("apache-2.0"));

    fs::copy(file("f32"), dir.path().join("b.gguf")).unwrap();
    let error = inspect(dir.path()).unwrap_err().to_string();
    assert!(
        error.ends_with("the folder has several GGUF files: name one, as in a.gguf"),
        "{error}"
    );

    // Safetensors go first.
    for name in ["config.json", "model.safetensors"] {
        fs::copy(golden("tiny-mha-f32").join(name), dir.path().join(name)).unwrap();
    }
    assert_eq!(inspect(dir.path()).unwrap().stored_dtype, TensorType::Float(DType::F32));
}

#[test]
fn a_chat_template_comes_along_with_its_tokens() {
    let chat = ModelSource::open(&file("f32")).unwrap().chat();
    let settings = support::json("tiny-mha-f32/tokenizer_config.json");
    let [(name, template)] = &chat.templates[..] else { panic!("{:?}", chat.templates) };
    assert_eq!(
        (&name[..], template.as_str()),
        ("default", settings["chat_template"].as_str().unwrap())
    );
    let end = "<|endoftext|>".to_owned();
    let expected = [
        ("bos_token", end.clone()),
        ("eos_token", end.clone()),
        ("unk_token", end),
        ("pad_token", "<|pad|>".to_owned()),
    ];
    assert_eq!(chat.special_tokens, expected);
}
