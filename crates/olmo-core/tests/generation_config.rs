//! `generation_config.json`: what it says, what it leaves out, and what refuses no load.

mod support;

use std::path::Path;

use olmo_core::sampling::{
    GenerationDefaults, GenerationOptions, OptionValue, PartialOptions, Source, OPTIONS,
};
use serde_json::json;
use support::{config, generation_defaults as read, golden};

/// What the file of the next test says.
fn every_option() -> PartialOptions {
    PartialOptions {
        max_new_tokens: Some(64),
        min_new_tokens: Some(2),
        do_sample: Some(true),
        temperature: Some(0.6),
        top_k: Some(40),
        top_p: Some(0.9),
        min_p: Some(Some(0.05)),
        typical_p: Some(0.95),
        repetition_penalty: Some(1.1),
        no_repeat_ngram_size: Some(3),
        bad_words_ids: Some(vec![vec![1], vec![2, 3]]),
        eos_token_ids: Some(vec![4, 5]),
        stop_strings: Some(vec!["###".to_owned(), "\n\n".to_owned()]),
        ..PartialOptions::default()
    }
}

#[test]
fn every_key_of_the_file_is_read() {
    let defaults = read(&json!({
        "max_new_tokens": 64,
        "min_new_tokens": 2,
        "do_sample": true,
        "temperature": 0.6,
        "top_k": 40,
        "top_p": 0.9,
        "min_p": 0.05,
        "typical_p": 0.95,
        "repetition_penalty": 1.1,
        "no_repeat_ngram_size": 3,
        "bad_words_ids": [[1], [2, 3]],
        "eos_token_id": [4, 5],
        "pad_token_id": 6,
        "bos_token_id": 7,
        "stop_strings": ["###", "\n\n"],
        "transformers_version": "5.24.0",
        "max_length": 4096,
    }))
    .unwrap();
    assert_eq!(defaults.options, every_option());
    assert_eq!((defaults.pad_token_id, defaults.bos_token_id), (Some(6), Some(7)));
    assert_eq!(defaults.warnings, [""; 0]);
    let in_config: Vec<&str> =
        OPTIONS.iter().filter(|entry| entry.in_config).map(|entry| entry.name).collect();
    for name in &in_config {
        assert!(defaults.options.get(name).is_some(), "{name} is read");
        assert!(defaults.sources.contains(&(*name, Source::GenerationConfig)), "{name}");
    }
    assert_eq!(defaults.sources.len(), in_config.len());

    let options = GenerationOptions {
        max_new_tokens: 64,
        min_new_tokens: 2,
        do_sample: true,
        temperature: 0.6,
        top_k: 40,
        top_p: 0.9,
        min_p: Some(0.05),
        typical_p: 0.95,
        repetition_penalty: 1.1,
        no_repeat_ngram_size: 3,
        bad_words_ids: vec![vec![1], vec![2, 3]],
        eos_token_ids: vec![4, 5],
        stop_strings: vec!["###".to_owned(), "\n\n".to_owned()],
        ..GenerationOptions::default()
    };
    assert_eq!(GenerationOptions::from_defaults(&defaults), options);
}

#[test]
fn what_the_file_does_not_say_is_the_default() {
    let nothing = GenerationDefaults {
        options: PartialOptions { eos_token_ids: Some(vec![39]), ..PartialOptions::default() },
        sources: vec![("eos_token_id", Source::Config)],
        pad_token_id: Some(0),
        ..GenerationDefaults::default()
    };
    for json in [json!({}), json!({ "eos_token_id": null, "top_k": null, "pad_token_id": null })] {
        assert_eq!(read(&json).unwrap(), nothing);
    }
    let options = GenerationOptions { eos_token_ids: vec![39], ..GenerationOptions::default() };
    assert_eq!(GenerationOptions::from_defaults(&nothing), options);
    assert_eq!(options.top_k, 50);

    // One stop string or end token needs no list, and a minimum lifts the default maximum.
    let some = json!({ "stop_strings": "end", "eos_token_id": 0, "min_new_tokens": 500 });
    let options = GenerationOptions::from_defaults(&read(&some).unwrap());
    assert_eq!(options.stop_strings, ["end"]);
    assert_eq!(options.eos_token_ids, [0]);
    assert_eq!((options.min_new_tokens, options.max_new_tokens), (500, 500));
}

#[test]
fn a_folder_may_have_the_file_or_not() {
    let tiny = config(517);
    let defaults = GenerationDefaults::from_dir(&golden("tiny-sharded-f32"), &tiny).unwrap();
    let eos = defaults.options.eos_token_ids;
    assert_eq!((eos, defaults.pad_token_id), (Some(vec![496, 504]), Some(516)));
    let absent = GenerationDefaults::from_dir(&golden("dolma2-subset"), &tiny).unwrap();
    let eos = absent.options.eos_token_ids;
    assert_eq!((eos, absent.pad_token_id), (Some(vec![516]), Some(0)));
}

#[test]
fn a_bad_value_is_named_with_its_file_and_key() {
    let cases = [
        (json!({ "do_sample": 1 }), "`do_sample` is 1, but must be true or false"),
        (
            json!({ "temperature": "hot", "do_sample": true }),
            "`temperature` is \"hot\", but must be a number",
        ),
        (
            json!({ "top_k": -3, "do_sample": true }),
            "`top_k` is -3, but must be a whole number, 0 or more",
        ),
        (
            json!({ "max_new_tokens": 1.5 }),
            "`max_new_tokens` is 1.5, but must be a whole number, 0 or more",
        ),
        (
            json!({ "eos_token_id": [1, "two"] }),
            "`eos_token_id` is [1,\"two\"], but must be a token id from 0 to 39, or a list of them",
        ),
        (
            json!({ "bad_words_ids": [[40]] }),
            "`bad_words_ids` is [[40]], but must be a list of lists of token ids from 0 to 39",
        ),
        (json!({ "max_new_tokens": 0 }), "`max_new_tokens` is 0, but it must be 1 at least"),
        (
            json!({ "repetition_penalty": 0.0 }),
            "`repetition_penalty` is 0, but it must be from 0.000001 to 1000000",
        ),
        (
            json!({ "temperature": -1, "do_sample": true }),
            "`temperature` is -1, but it must be from 0.000001 to 1000000",
        ),
        (
            json!({ "bad_words_ids": [3] }),
            "`bad_words_ids` is [3], but must be a list of lists of token ids from 0 to 39",
        ),
        (
            json!({ "stop_strings": [7] }),
            "`stop_strings` is [7], but must be a text or a list of texts",
        ),
        (
            json!({ "top_p": -0.5, "do_sample": true }),
            "`top_p` is -0.5, but it must be from 0 to 1",
        ),
    ];
    for (json, expected) in cases {
        let error = read(&json).unwrap_err();
        assert_eq!(error.to_string(), format!("there/generation_config.json: {expected}"));
        assert_eq!(error.code(), "INVALID_CONFIG");
    }
    let file = Path::new("there/generation_config.json");
    let error = GenerationDefaults::from_json("[1]", file, &config(40)).unwrap_err();
    assert_eq!(error.code(), "INVALID_FILE");
    assert!(error.to_string().contains("this is not a JSON object"), "{error}");
}

/// transformers 5.24 loads and generates with each of these.
#[test]
fn what_does_nothing_refuses_no_checkpoint() {
    let cases = [
        // What needs do_sample does nothing without it, whatever it is.
        (json!({ "do_sample": false, "temperature": 0.0 }), 1),
        (json!({ "temperature": 0 }), 1),
        (json!({ "temperature": -1.0 }), 1),
        (json!({ "temperature": "hot" }), 1),
        (json!({ "temperature": null }), 0),
        (json!({ "top_k": -1 }), 1),
        (json!({ "top_k": 0 }), 0),
        (json!({ "top_k": 50.0, "do_sample": null }), 1),
        (json!({ "top_p": -1, "min_p": 2, "typical_p": 0 }), 3),
        (json!({ "top_p": true, "min_p": [], "typical_p": {} }), 3),
        // Ids that the model lacks end, fill and begin nothing.
        (json!({ "eos_token_id": 50279 }), 1),
        (json!({ "eos_token_id": -1 }), 1),
        (json!({ "eos_token_id": [50279, -100] }), 2),
        (json!({ "pad_token_id": -1 }), 0),
        (json!({ "pad_token_id": -100, "bos_token_id": -1 }), 0),
        (json!({ "pad_token_id": 100277, "bos_token_id": 100257 }), 0),
        (json!({ "pad_token_id": "none", "bos_token_id": [1.5] }), 0),
        // What transformers takes for off.
        (json!({ "min_new_tokens": -1, "no_repeat_ngram_size": -1 }), 0),
        (json!({ "top_p": 1.5, "typical_p": 1.5, "do_sample": true }), 0),
        (json!({ "bad_words_ids": [[]] }), 1),
        (json!({ "stop_strings": "" }), 1),
        // What is no option here.
        (json!({ "max_length": -1, "num_beams": "x", "cache_implementation": null, "_x": {} }), 0),
        (
            json!({ "seed": -1, "num_return_sequences": 0, "logprobs": "yes", "top_logprobs": 1e9 }),
            0,
        ),
    ];
    for (json, warnings) in cases {
        let defaults = read(&json).unwrap_or_else(|error| panic!("{json}: {error}"));
        assert_eq!(defaults.warnings.len(), warnings, "{json}: {:?}", defaults.warnings);
        let base = GenerationOptions::default();
        let options = GenerationOptions::from_defaults(&defaults);
        options.validate(40).unwrap();
        assert_eq!((options.temperature, options.top_p), (base.temperature, base.top_p), "{json}");
        assert_eq!((options.min_p, options.typical_p), (base.min_p, base.typical_p), "{json}");
        // Sampling that a caller asks for is in its usual form then.
        GenerationOptions { do_sample: true, ..options }.validate(40).unwrap();
    }
    let ends = read(&json!({ "eos_token_id": [50279, 7] })).unwrap();
    assert_eq!(ends.options.eos_token_ids, Some(vec![7]));
    assert_eq!(
        ends.warnings,
        ["generation_config.json: `eos_token_id` has 50279, but the model's ids go to 39"]
    );
}

/// The limit of ever smaller temperatures.
#[test]
fn a_default_temperature_of_zero_is_greedy() {
    let defaults = read(&json!({ "do_sample": true, "temperature": 0.0, "top_k": -1 })).unwrap();
    let options = GenerationOptions::from_defaults(&defaults);
    assert_eq!((options.do_sample, options.temperature, options.top_k), (false, 1.0, 50));
    assert_eq!(defaults.warnings.len(), 2, "{:?}", defaults.warnings);
}

#[test]
fn what_is_in_force_says_where_it_is_from() {
    let defaults = read(&json!({ "temperature": 0.5, "do_sample": true })).unwrap();
    let of = |defaults: &GenerationDefaults, name: &str| {
        let all = defaults.in_force();
        all.into_iter().find(|(entry, ..)| entry.name == name).map(|(_, value, from)| (value, from))
    };
    let from_file = (OptionValue::Number(0.5), Source::GenerationConfig);
    assert_eq!(of(&defaults, "temperature"), Some(from_file));
    assert_eq!(of(&defaults, "top_k"), Some((OptionValue::Count(50), Source::Default)));
    let ends = |from| Some((OptionValue::Ids(vec![39]), from));
    assert_eq!(of(&defaults, "eos_token_id"), ends(Source::Config));
    assert_eq!(of(&defaults.clone().beside_gguf(), "eos_token_id"), ends(Source::Gguf));
    let in_gguf = defaults.in_gguf();
    assert_eq!(of(&in_gguf, "temperature"), Some((OptionValue::Number(0.5), Source::Gguf)));
    assert_eq!(in_gguf.in_force().len(), OPTIONS.len());
}
