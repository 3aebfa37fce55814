//! The ranges of options, and their table.

mod support;

use olmo_core::sampling::{
    GenerationOptions, OptionValue, PartialOptions, MAX_TOP_LOGPROBS, OPTIONS,
};
use serde_json::json;
use support::{generation_defaults as read, list};

/// What transformers says of an option that is in use is what is said here, but for these.
#[test]
fn ranges_are_those_of_transformers() {
    let golden = support::json("processors.json");
    let different = [
        // Python tells 2 from 2.0.
        json!({ "temperature": 2 }),
        json!({ "repetition_penalty": 2 }),
        // As a default it is greedy; there it is refused when something is to be drawn.
        json!({ "temperature": 0.0 }),
        // The same as not given.
        json!({ "bad_words_ids": [] }),
    ];
    let mut met = Vec::new();
    for limit in list(&golden, "limits") {
        let options = &limit["options"];
        let accepted = limit["accepted"].as_bool().unwrap();
        let mut in_use = options.clone();
        in_use["do_sample"] = true.into();
        let is_different = read(&in_use).is_ok() != accepted;
        assert_eq!(is_different, different.contains(options), "{options}");
        met.extend(is_different.then_some(options));
        // What does nothing refuses no checkpoint.
        let mut greedy = options.clone();
        greedy["do_sample"] = false.into();
        let name = options.as_object().unwrap().keys().next().unwrap();
        let entry = OPTIONS.iter().find(|entry| entry.name == name).unwrap();
        if entry.needs.is_some() {
            assert!(read(&greedy).is_ok(), "{options}");
        }
    }
    assert_eq!(met.len(), different.len(), "{met:?}");
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
        max_new_tokens: 0,
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

type Change = fn(&mut GenerationOptions);

/// What is out of its range, and what is said of it.
const OUT_OF_RANGE: &[(Change, &str)] = &[
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
    (|o| o.top_n_sigma = -1.0, "option `top_n_sigma` is -1, but it must be from 0 to 1000000"),
    (|o| o.presence_penalty = 2.5, "option `presence_penalty` is 2.5, but it must be from -2 to 2"),
    (
        |o| o.frequency_penalty = f64::NAN,
        "option `frequency_penalty` is NaN, but it must be from -2 to 2",
    ),
    (
        |o| o.logit_bias = vec![(9, 0.0), (3, -101.0)],
        "option `logit_bias` is -101, but it must be from -100 to 100",
    ),
    (
        |o| o.logit_bias = vec![(10, 1.0)],
        "option `logit_bias` is 10, but the model's ids go from 0 to 9",
    ),
    (|o| o.top_logprobs = 1001, "option `top_logprobs` is 1001, but it must be 1000 at most"),
];

#[test]
fn each_option_out_of_range_is_named_with_its_value_and_range() {
    for (change, expected) in OUT_OF_RANGE.iter().copied() {
        let mut options = GenerationOptions::default();
        change(&mut options);
        let error = options.validate(10).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.code()), (expected, "INVALID_OPTION"));
    }
}

#[test]
fn the_table_is_sound() {
    for (index, entry) in OPTIONS.iter().enumerate() {
        assert!(OPTIONS[..index].iter().all(|other| other.name != entry.name), "{}", entry.name);
        let summary = entry.docs[0].trim();
        assert!(summary.ends_with('.') && summary.len() < 100, "{}: {summary}", entry.name);
        for flag in entry.needs.iter().chain(&entry.instead_of_zero) {
            assert!(OPTIONS.iter().any(|other| other.name == *flag), "{flag} of {}", entry.name);
        }
    }
    // A value goes in and out by its name, and no other kind does.
    for (entry, value) in GenerationOptions::default().values() {
        let mut partial = PartialOptions::default();
        assert!(partial.set(entry.name, value.clone()), "{}", entry.name);
        assert_eq!(partial.get(entry.name), Some(value.clone()));
        assert_eq!(
            partial.clone().apply(GenerationOptions::default()),
            GenerationOptions::default()
        );
        let wrong = match value {
            OptionValue::Flag(_) => OptionValue::Count(1),
            _ => OptionValue::Flag(true),
        };
        assert!(!partial.set(entry.name, wrong), "{}", entry.name);
        assert_eq!(partial.get(entry.name), Some(value));
    }
    assert!(!PartialOptions::default().set("beams", OptionValue::Count(1)));
}
