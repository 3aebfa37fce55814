//! `config.json`: both spellings, the published shapes, and errors that name the key.

use olmo_core::config::ModelConfig;
use olmo_core::dtype::DType;
use serde_json::{json, Value};

/// allenai/OLMo-2-1124-7B's file, as far as it describes the model.
fn published_7b() -> Value {
    json!({
        "architectures": ["Olmo2ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
        "eos_token_id": 100257, "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02,
        "intermediate_size": 11008, "max_position_embeddings": 4096, "model_type": "olmo2",
        "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 32,
        "pad_token_id": 100277, "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 500000,
        "tie_word_embeddings": false, "torch_dtype": "float32", "use_cache": true, "vocab_size": 100352
    })
}

fn read(json: &Value) -> olmo_core::Result<ModelConfig> {
    ModelConfig::from_json(&json.to_string(), "config.json".as_ref())
}

fn with(changes: &[(&str, Value)]) -> olmo_core::Result<ModelConfig> {
    let mut json = published_7b();
    for (key, value) in changes {
        json[*key] = value.clone();
    }
    read(&json)
}

#[test]
fn the_published_spelling_and_the_new_one_say_the_same() {
    let published = read(&published_7b()).unwrap();
    assert_eq!(published.head_dim, 128);
    assert_eq!(published.layers.len(), 32);
    assert_eq!(published.dtype, Some(DType::F32));
    assert_eq!(published.eos_token_ids, [100257]);
    assert_eq!(published.num_params(), 7_298_617_344);

    let mut json = published_7b();
    let keys = json.as_object_mut().unwrap();
    keys.remove("rope_theta");
    keys.remove("torch_dtype");
    keys.insert("rope_parameters".into(), json!({"rope_theta": 500000.0, "rope_type": "default"}));
    keys.insert("dtype".into(), json!("float32"));
    assert_eq!(read(&json).unwrap(), published);
}

#[test]
fn the_32b_model_groups_its_queries() {
    let config = with(&[
        ("hidden_size", json!(5120)),
        ("intermediate_size", json!(27648)),
        ("num_hidden_layers", json!(64)),
        ("num_attention_heads", json!(40)),
        ("num_key_value_heads", json!(8)),
    ])
    .unwrap();
    assert_eq!((config.query_dim(), config.kv_dim()), (5120, 1024));
    assert_eq!(config.num_params(), 32_234_279_936);
}

#[test]
fn an_error_names_the_key_of_a_size() {
    check_errors(&[
        (&[("vocab_size", Value::Null)], "`vocab_size` is missing"),
        (
            &[("hidden_size", json!(0))],
            "`hidden_size` is 0, but a whole number from 1 to 16777216 is needed",
        ),
        (&[("hidden_size", json!(1u64 << 60))], "`hidden_size` is 1152921504606846976"),
        (&[("num_hidden_layers", json!(-1))], "`num_hidden_layers` is -1"),
        (
            &[("hidden_size", json!(5120)), ("num_attention_heads", json!(42))],
            "`num_attention_heads` is 42, which does not divide hidden_size 5120",
        ),
        (&[("num_key_value_heads", json!(5))], "`num_key_value_heads` is 5, which does not divide"),
        (&[("head_dim", json!(7))], "`head_dim` is 7, but rotary embeddings need an even number"),
    ]);
}

#[test]
fn an_error_names_the_key_of_what_is_no_size() {
    check_errors(&[
        (
            &[("model_type", json!("llama"))],
            "`model_type` is \"llama\", but this engine runs only olmo2",
        ),
        (
            &[("hidden_act", json!("gelu"))],
            "`hidden_act` is \"gelu\", but this engine runs only silu",
        ),
        (
            &[("attention_bias", json!(true))],
            "`attention_bias` is true, but OLMo 2 has no such weights",
        ),
        (
            &[("rope_scaling", json!({"type": "linear", "factor": 2.0}))],
            "`rope_scaling.type` is \"linear\", but OLMo 2 uses only default",
        ),
        (
            &[("rope_scaling", json!({"type": "default", "rope_type": "yarn"}))],
            "`rope_scaling.rope_type` is \"yarn\", but OLMo 2 uses only default",
        ),
        (&[("rope_scaling", json!(2.0))], "`rope_scaling` is 2.0, not an object"),
        (
            &[("rope_parameters", json!({"rope_theta": -1}))],
            "`rope_parameters.rope_theta` is -1, but a number above 0 is needed",
        ),
        (
            &[("rope_parameters", json!({"rope_type": "yarn"}))],
            "`rope_parameters.rope_type` is \"yarn\", but OLMo 2 uses only default",
        ),
        (&[("rope_theta", json!(0.0))], "`rope_theta` is 0.0, but a number above 0 is needed"),
        (&[("dtype", json!("auto"))], "`dtype` is \"auto\", but float32, float16 or bfloat16"),
        (&[("torch_dtype", json!("auto"))], "`torch_dtype` is \"auto\", but float32, float16 or"),
        (
            &[("torch_dtype", json!("int8"))],
            "`torch_dtype` is \"int8\", but float32, float16 or bfloat16",
        ),
        (
            &[("eos_token_id", json!("</s>"))],
            "`eos_token_id` is \"</s>\", but token ids are needed",
        ),
        (&[("eos_token_id", json!([1, 2.5]))], "`eos_token_id` is [1,2.5], but token ids"),
        (&[("pad_token_id", json!(true))], "`pad_token_id` is true, but token ids are needed"),
        (
            &[("tie_word_embeddings", json!("no"))],
            "`tie_word_embeddings` is \"no\", not true or false",
        ),
    ]);
}

fn check_errors(cases: &[(&[(&str, Value)], &str)]) {
    for (changes, expected) in cases {
        let error = with(changes).expect_err(expected);
        assert_eq!(error.code(), "INVALID_CONFIG");
        let text = error.to_string();
        assert!(text.starts_with(&format!("config.json: {expected}")), "{text}");
    }
}

/// A key that is not there has the default of transformers' class.
#[test]
fn absent_keys_have_the_defaults_of_transformers() {
    let config = read(&json!({"model_type": "olmo2"})).unwrap();
    assert_eq!((config.vocab_size, config.hidden_size), (50304, 4096));
    assert_eq!((config.intermediate_size, config.layers.len()), (11008, 32));
    assert_eq!((config.num_attention_heads, config.num_key_value_heads), (32, 32));
    assert_eq!((config.head_dim, config.max_position_embeddings), (128, 2048));
    assert_eq!((config.rope_theta, config.rms_norm_eps), (10_000.0, 1e-5));
    assert_eq!((config.tie_word_embeddings, config.dtype), (false, None));
    assert_eq!((config.eos_token_ids, config.pad_token_id), (vec![50279], Some(1)));
    assert_eq!(config.warnings, Vec::<String>::new());

    let small = read(&json!({"model_type": "olmo2", "vocab_size": 1})).unwrap();
    assert_eq!((small.eos_token_ids, small.pad_token_id), (vec![], None));
    let none = json!({"model_type": "olmo2", "eos_token_id": null, "pad_token_id": null});
    let none = read(&none).unwrap();
    assert_eq!((none.eos_token_ids, none.pad_token_id), (vec![], None));
    for key in published_7b().as_object().unwrap().keys().filter(|key| *key != "model_type") {
        let mut json = published_7b();
        json.as_object_mut().unwrap().remove(key);
        read(&json).unwrap_or_else(|error| panic!("without {key}: {error}"));
    }
}

/// What transformers 5.24.0 makes of each.
#[test]
fn what_is_not_used_refuses_nothing() {
    type Seen = fn(&ModelConfig) -> bool;
    type Changes<'a> = &'a [(&'a str, Value)];
    let cases: [(Changes, usize, Seen); 24] = [
        (&[("rope_scaling", json!({"type": "default"}))], 0, |c| c.rope_theta == 5e5),
        (&[("rope_scaling", json!({"rope_type": "default"}))], 0, |c| c.rope_theta == 5e5),
        (&[("rope_scaling", json!({"rope_type": "default", "type": "yarn"}))], 0, |c| {
            c.rope_theta == 5e5
        }),
        (&[("rope_scaling", json!({"rope_type": "default", "rope_theta": 1e4}))], 1, |c| {
            c.rope_theta == 1e4
        }),
        (&[("rope_scaling", json!({"type": "linear", "factor": 1.0}))], 0, |c| c.rope_theta == 5e5),
        (&[("rope_scaling", json!({"rope_type": "linear", "factor": 1}))], 0, |c| {
            c.rope_theta == 5e5
        }),
        (&[("rope_scaling", json!({}))], 0, |c| c.rope_theta == 5e5),
        (&[("rope_parameters", json!({}))], 0, |c| c.rope_theta == 5e5),
        (&[("rope_parameters", json!({"rope_theta": 1e4}))], 1, |c| c.rope_theta == 1e4),
        (
            &[
                ("rope_theta", Value::Null),
                ("rope_scaling", json!({"type": "default"})),
                ("rope_parameters", json!({"rope_theta": 7.0})),
            ],
            0,
            |c| c.rope_theta == 1e4,
        ),
        (&[("rope_theta", Value::Null), ("rope_parameters", json!({"type": "default"}))], 0, |c| {
            c.rope_theta == 1e4
        }),
        (&[("dtype", json!("bfloat16"))], 0, |c| c.dtype == Some(DType::BF16)),
        (&[("dtype", json!("float16")), ("torch_dtype", json!("auto"))], 0, |c| {
            c.dtype == Some(DType::F16)
        }),
        (&[("hidden_act", json!("swish"))], 0, |_| true),
        (&[("pad_token_id", json!(-1))], 0, |c| c.pad_token_id.is_none()),
        (&[("pad_token_id", json!(-100))], 0, |c| c.pad_token_id.is_none()),
        (&[("pad_token_id", json!([3, 4]))], 0, |c| c.pad_token_id == Some(3)),
        (&[("eos_token_id", json!(100352))], 1, |c| c.eos_token_ids.is_empty()),
        (&[("eos_token_id", json!([100257, 100352]))], 1, |c| c.eos_token_ids == [100257]),
        (&[("eos_token_id", json!(-1))], 0, |c| c.eos_token_ids.is_empty()),
        (&[("eos_token_id", json!([]))], 0, |c| c.eos_token_ids.is_empty()),
        (&[("eos_token_id", json!(u64::MAX))], 1, |c| c.eos_token_ids.is_empty()),
        (&[("bos_token_id", json!(-1)), ("sep_token_id", json!("x"))], 0, |_| true),
        (&[("quantization_config", Value::Null), ("auto_map", json!({"a": [1]}))], 0, |_| true),
    ];
    for (changes, warnings, expected) in cases {
        let config = with(changes).unwrap_or_else(|error| panic!("{changes:?}: {error}"));
        assert!(expected(&config), "{changes:?}: {config:?}");
        assert_eq!(config.warnings.len(), warnings, "{changes:?}: {:?}", config.warnings);
    }
}

#[test]
fn a_file_that_is_no_object_is_an_error() {
    let deep = "[".repeat(100_000);
    for text in ["", "[]", "{\"hidden_size\": ", "\u{0}", &format!("{{\"a\": {deep}")] {
        let error = ModelConfig::from_json(text, "config.json".as_ref()).unwrap_err();
        assert_eq!(error.code(), "INVALID_FILE");
    }
}
