//! The ranges of options, and a checkpoint's defaults.

mod support;

use std::path::Path;

use olmo_core::sampling::{GenerationDefaults, GenerationOptions, MAX_TOP_LOGPROBS};
use olmo_core::Error;
use serde_json::{json, Value};
use support::{config, golden, list};

fn read(json: &Value) -> Result<GenerationDefaults, Error> {
    let file = Path::new("there/generation_config.json");
    GenerationDefaults::from_json(&json.to_string(), file, &config(40))
}

/// What transformers says of an option is what is said here, but for these.
#[test]
fn ranges_are_those_of_transformers() {
    let golden = support::json("processors.json");
    let different = [
        // Python tells 2 from 2.0.
        json!({ "temperature": 2 }),
        json!({ "repetition_penalty": 2 }),
        // There taken for 1, for 0 or for nothing; a caller who writes them means something else.
        json!({ "top_p": 1.5 }),
        json!({ "typical_p": 1.5 }),
        json!({ "no_repeat_ngram_size": -1 }),
        json!({ "min_new_tokens": -1 }),
        json!({ "bad_words_ids": [[]] }),
        json!({ "bad_words_ids": [[1], []] }),
        // The same as not given.
        json!({ "bad_words_ids": [] }),
    ];
    let mut met = 0;
    for limit in list(&golden, "limits") {
        let options = &limit["options"];
        let accepted = limit["accepted"].as_bool().unwrap();
        let is_different = different.contains(options);
        met += usize::from(is_different);
        assert_eq!(read(options).is_ok(), accepted != is_different, "{options}");
    }
    assert_eq!(met, different.len());
}

#[test]
fn defaults_are_valid_and_limits_belong_to_the_range() {
    GenerationOptions::default().validate(1).unwrap();
    let most = GenerationOptions {
        max_new_tokens: 7,
        min_new_tokens: 7,
        do_sample: true,
        temperature: 1e6,
        top_k: usize::MAX,
        top_p: 1.0,
        min_p: Some(1.0),
        typical_p: 1.0,
        repetition_penalty: 1e6,
        no_repeat_ngram_size: usize::MAX,
        bad_words_ids: vec![vec![9, 0]],
        eos_token_ids: vec![0, 9],
        stop_strings: vec![" ".to_owned()],
        num_return_sequences: usize::MAX,
        top_logprobs: MAX_TOP_LOGPROBS,
        ..GenerationOptions::default()
    };
    most.validate(10).unwrap();
    let least = GenerationOptions {
        max_new_tokens: 1,
        temperature: 1e-6,
        top_k: 0,
        top_p: 0.0,
        min_p: Some(0.0),
        typical_p: f64::MIN_POSITIVE,
        repetition_penalty: 1e-6,
        ..GenerationOptions::default()
    };
    least.validate(10).unwrap();
}

#[test]
fn each_option_out_of_range_is_named_with_its_value_and_range() {
    type Change = fn(&mut GenerationOptions);
    let cases: Vec<(Change, &str)> = vec![
        (|o| o.max_new_tokens = 0, "option `max_new_tokens` is 0, but it must be 1 at least"),
        (
            |o| o.max_matching_ngram_size = 0,
            "option `max_matching_ngram_size` is 0, but it must be 1 at least",
        ),
        (
            |o| o.temperature = 0.0,
            "option `temperature` is 0, but it must be from 0.000001 to 1000000; for the likeliest \
             token each time set do_sample false",
        ),
        (
            |o| o.temperature = -1.5,
            "option `temperature` is -1.5, but it must be from 0.000001 to 1000000",
        ),
        (
            |o| o.temperature = f64::NAN,
            "option `temperature` is NaN, but it must be from 0.000001 to 1000000",
        ),
        (
            |o| o.temperature = f64::INFINITY,
            "option `temperature` is inf, but it must be from 0.000001 to 1000000",
        ),
        (|o| o.top_p = -0.1, "option `top_p` is -0.1, but it must be from 0 to 1"),
        (|o| o.top_p = 1.1, "option `top_p` is 1.1, but it must be from 0 to 1"),
        (|o| o.top_p = f64::NAN, "option `top_p` is NaN, but it must be from 0 to 1"),
        (|o| o.min_p = Some(1.5), "option `min_p` is 1.5, but it must be from 0 to 1"),
        (|o| o.min_p = Some(-0.5), "option `min_p` is -0.5, but it must be from 0 to 1"),
        (|o| o.typical_p = 0.0, "option `typical_p` is 0, but it must be above 0, and at most 1"),
        (|o| o.typical_p = 1.1, "option `typical_p` is 1.1, but it must be above 0, and at most 1"),
        (
            |o| o.repetition_penalty = 0.0,
            "option `repetition_penalty` is 0, but it must be from 0.000001 to 1000000",
        ),
        (
            |o| o.bad_words_ids = vec![vec![1], vec![]],
            "option `bad_words_ids` is [[1], []], but each of its words needs one token id at least",
        ),
        (
            |o| o.bad_words_ids = vec![vec![1, 10]],
            "option `bad_words_ids` is 10, but the model's ids go from 0 to 9",
        ),
        (
            |o| o.eos_token_ids = vec![9, 11],
            "option `eos_token_id` is 11, but the model's ids go from 0 to 9",
        ),
        (
            |o| o.stop_strings = vec!["a".to_owned(), String::new()],
            "option `stop_strings` is [\"a\", \"\"], but each stop string needs one character at \
             least",
        ),
        (
            |o| o.num_return_sequences = 0,
            "option `num_return_sequences` is 0, but it must be 1 at least",
        ),
        (
            |o| o.num_return_sequences = 2,
            "option `num_return_sequences` is 2, but without do_sample every text would be the \
             same: set do_sample, or ask for 1",
        ),
        (
            |o| o.top_logprobs = 1001,
            "option `top_logprobs` is 1001, but it must be 1000 at most",
        ),
    ];
    for (change, expected) in cases {
        let mut options = GenerationOptions::default();
        change(&mut options);
        let error = options.validate(10).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.code()), (expected, "INVALID_OPTION"));
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
    let expected = GenerationDefaults {
        max_new_tokens: Some(64),
        min_new_tokens: Some(2),
        do_sample: Some(true),
        temperature: Some(0.6),
        top_k: Some(40),
        top_p: Some(0.9),
        min_p: Some(0.05),
        typical_p: Some(0.95),
        repetition_penalty: Some(1.1),
        no_repeat_ngram_size: Some(3),
        bad_words_ids: vec![vec![1], vec![2, 3]],
        eos_token_ids: vec![4, 5],
        pad_token_id: Some(6),
        bos_token_id: Some(7),
        stop_strings: vec!["###".to_owned(), "\n\n".to_owned()],
    };
    assert_eq!(defaults, expected);

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
        eos_token_ids: vec![39],
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
    assert_eq!((defaults.eos_token_ids, defaults.pad_token_id), (vec![496, 504], Some(516)));
    let absent = GenerationDefaults::from_dir(&golden("dolma2-subset"), &tiny).unwrap();
    assert_eq!((absent.eos_token_ids, absent.pad_token_id), (vec![516], Some(0)));
}

#[test]
fn a_bad_value_is_named_with_its_file_and_key() {
    let cases = [
        (json!({ "do_sample": 1 }), "`do_sample` is 1, but must be true or false"),
        (json!({ "temperature": "hot" }), "`temperature` is \"hot\", but must be a number"),
        (json!({ "top_k": -3 }), "`top_k` is -3, but must be a whole number, 0 or more"),
        (
            json!({ "max_new_tokens": 1.5 }),
            "`max_new_tokens` is 1.5, but must be a whole number, 0 or more",
        ),
        (
            json!({ "eos_token_id": 40 }),
            "`eos_token_id` is 40, but must be a token id from 0 to 39, or a list of them",
        ),
        (
            json!({ "eos_token_id": [1, -1] }),
            "`eos_token_id` is [1,-1], but must be a token id from 0 to 39, or a list of them",
        ),
        (
            json!({ "bad_words_ids": [3] }),
            "`bad_words_ids` is [3], but must be a list of lists of token ids from 0 to 39",
        ),
        (
            json!({ "stop_strings": [7] }),
            "`stop_strings` is [7], but must be a text or a list of texts",
        ),
        (json!({ "top_p": 1.5 }), "`top_p` is 1.5, but it must be from 0 to 1"),
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
