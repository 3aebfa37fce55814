//! Files that are no OLMo tokenizer's: refused before they do harm, while the usual kinds load.

mod support;

use std::path::Path;

use olmo_core::tokenizer::Tokenizer;
use olmo_core::Error;
use serde_json::{json, Value};

fn parse(json: &Value) -> Result<Tokenizer, Error> {
    Tokenizer::from_json(json.to_string().as_bytes(), Path::new("there/tokenizer.json"))
}

fn tiny() -> Value {
    support::json("tiny-mha-f32/tokenizer.json")
}

/// Eight of these make a hundred million letters of one.
fn ten() -> Value {
    json!({"type": "Replace", "pattern": {"String": "a"}, "content": "a".repeat(10)})
}

fn split(regex: &str) -> Value {
    json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false})
}

fn wrap(key: &str, parts: Value) -> Value {
    json!({"type": "Sequence", key: parts})
}

fn template(ids: usize, times: usize) -> Value {
    json!({
        "type": "TemplateProcessing",
        "single": vec![json!({"SpecialToken": {"id": "x", "type_id": 0}}); times],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"x": {"id": "x", "ids": vec![0; ids], "tokens": vec!["!"; ids]}},
    })
}

/// Part, value and what the error says.
type Case = (&'static str, Value, &'static str);

fn bad_normalizers() -> Vec<Case> {
    let deep = (0..100).fold(ten(), |part, _| wrap("normalizers", json!([part])));
    vec![
        (
            "normalizer",
            wrap("normalizers", vec![ten(); 8].into()),
            "normalizer can make texts more than 256 times as long",
        ),
        (
            "normalizer",
            wrap("normalizers", json!([ten(), wrap("normalizers", vec![ten(); 2].into())])),
            "more than 256 times",
        ),
        (
            "normalizer",
            json!({"type": "Replace", "pattern": {"String": "a"}, "content": "b".repeat(1000)}),
            "more than 256 times",
        ),
        (
            "normalizer",
            json!({"type": "Replace", "pattern": {"String": ""}, "content": "b"}),
            "replaces an empty text",
        ),
        (
            "normalizer",
            json!({"type": "Replace", "pattern": {"Regex": ""}, "content": "b".repeat(300)}),
            "more than 256 times",
        ),
        (
            "normalizer",
            json!({"type": "Replace", "pattern": {"Regex": "(?=(a+)+$)"}, "content": ""}),
            "has a pattern that looks around",
        ),
        ("normalizer", json!({"type": "Replace", "content": ""}), "normalizer has no pattern"),
        (
            "normalizer",
            json!({"type": "Prepend", "prepend": "x".repeat(500)}),
            "more than 256 times",
        ),
        ("normalizer", wrap("normalizers", vec![json!({"type": "NFC"}); 40].into()), "more than"),
        (
            "normalizer",
            json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
            "is of the kind Precompiled, which no OLMo",
        ),
        ("normalizer", json!([]), "its normalizer is not an object"),
        ("normalizer", json!({}), "its normalizer has a part without a type"),
        ("normalizer", json!({"type": "Sequence"}), "is a Sequence without normalizers"),
        ("normalizer", deep, "this is not a tokenizer: recursion limit exceeded"),
    ]
}

fn bad_pre_tokenizers() -> Vec<Case> {
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": false});
    vec![
        (
            "pre_tokenizer",
            split(r"(a|aa)+\1"),
            "pre_tokenizer has a pattern that looks around, refers back or is broken",
        ),
        ("pre_tokenizer", split(r"(?:a+)+\s+(?!\S)"), "has a pattern that looks around"),
        ("pre_tokenizer", split(r"(\w{1,200}){1,200}"), "has a pattern that is too large"),
        ("pre_tokenizer", split(&"x".repeat(10_000)), "has a pattern of 10000 bytes"),
        (
            "pre_tokenizer",
            wrap("pretokenizers", vec![byte_level; 16].into()),
            "pre_tokenizer can make texts more than 256",
        ),
        (
            "pre_tokenizer",
            json!({"type": "FixedLength", "length": 0}),
            "is of the kind FixedLength",
        ),
        (
            "pre_tokenizer",
            json!({"type": "Metaspace", "replacement": "x".repeat(300)}),
            "more than 256 times",
        ),
    ]
}

fn bad_decoders() -> Vec<Case> {
    vec![
        (
            "decoder",
            wrap("decoders", vec![ten(); 8].into()),
            "decoder can make texts more than 256 times as long",
        ),
        (
            "decoder",
            json!({"type": "CTC", "pad_token": "", "word_delimiter_token": "", "cleanup": true}),
            "is of the kind CTC",
        ),
        (
            "decoder",
            json!({"type": "Strip", "content": " ", "start": 0, "stop": 1}),
            "decoder is of the kind Strip",
        ),
    ]
}

fn bad_post_processors() -> Vec<Case> {
    let twice = json!({
        "type": "TemplateProcessing", "pair": [], "special_tokens": {},
        "single": vec![json!({"Sequence": {"id": "A", "type_id": 0}}); 3],
    });
    vec![
        ("post_processor", template(1000, 1), "post_processor can make texts more than 256"),
        (
            "post_processor",
            template(4, 100_000),
            "this is not a tokenizer: it has more parts than any",
        ),
        ("post_processor", template(4, 100), "more than 256 times"),
        (
            "post_processor",
            wrap("processors", vec![template(9, 1); 9].into()),
            "more than 256 times",
        ),
        ("post_processor", twice, "post_processor repeats the text in `single`"),
        ("post_processor", json!({"type": "None"}), "is of the kind None"),
    ]
}

fn bad_models() -> Vec<Case> {
    vec![
        (
            "added_tokens",
            vec![json!({"id": 1, "content": "x".repeat(5000)}); 1].into(),
            "its added_tokens hold one of 5000 bytes",
        ),
        (
            "added_tokens",
            vec![json!({"id": 1, "content": "y".repeat(4000)}); 300].into(),
            "its added_tokens are more than",
        ),
        ("version", vec![0; 1 << 17].into(), "it has more parts than any tokenizer needs"),
        (
            "model",
            json!({"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 0}),
            "unknown variant `Unigram`, expected `BPE` or `WordLevel`",
        ),
        ("model", json!({"vocab": {"a": 0}, "merges": []}), "missing field `type`"),
        (
            "model",
            json!({"type": "BPE", "vocab": {"a".repeat(5000): 0}, "merges": []}),
            "expected a text of at most 4096 bytes",
        ),
        (
            "model",
            json!({"type": "BPE", "vocab": {"a": 0}, "merges": vec![0; (1 << 20) + 1]}),
            "expected at most 1048576 tokens or pairs",
        ),
        (
            "model",
            json!({"type": "BPE", "vocab": {"a": 0}, "merges": [], "continuing_subword_prefix": "#".repeat(65)}),
            "expected a text of at most 64 bytes",
        ),
    ]
}

#[test]
fn a_file_that_could_do_harm_is_refused() {
    let cases = [
        bad_normalizers(),
        bad_pre_tokenizers(),
        bad_decoders(),
        bad_post_processors(),
        bad_models(),
    ];
    for (part, value, expected) in cases.into_iter().flatten() {
        let mut json = tiny();
        json[part] = value;
        let started = std::time::Instant::now();
        let error = parse(&json).err().unwrap_or_else(|| panic!("accepted: {expected}"));
        assert_eq!(error.code(), "INVALID_FILE", "{error}");
        assert!(error.to_string().contains(expected), "{error}\nand not: {expected}");
        assert!(started.elapsed().as_secs() < 5, "{expected}");
    }
    let twice = tiny().to_string().replacen('{', r#"{"normalizer": {"type": "Nmt"}, "#, 1);
    let error = Tokenizer::from_json(twice.as_bytes(), Path::new("tokenizer.json")).err().unwrap();
    assert!(error.to_string().contains("the key `normalizer` is there twice"), "{error}");
}

/// What tokenizers of OLMo models, and those that people make of them, are built of.
#[test]
fn files_of_the_usual_kinds_load() {
    let gpt2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let split = json!({"type": "Split", "pattern": {"Regex": gpt2}, "behavior": "Isolated", "invert": false});
    let llama = json!({"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
    ]});
    let llama_decoder = json!({"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ]});
    let template = json!({
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [5], "tokens": ["<|endoftext|>"]}},
    });
    for (part, value) in [
        ("normalizer", json!({"type": "NFC"})),
        ("normalizer", json!({"type": "NFKC"})),
        (
            "normalizer",
            json!({"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "Lowercase"}, {"type": "StripAccents"}]}),
        ),
        ("normalizer", llama),
        ("normalizer", json!({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"})),
        ("pre_tokenizer", byte_level.clone()),
        (
            "pre_tokenizer",
            json!({"type": "Sequence", "pretokenizers": [split, byte_level.clone()]}),
        ),
        (
            "pre_tokenizer",
            json!({"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true}, byte_level]}),
        ),
        (
            "pre_tokenizer",
            json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false}),
        ),
        (
            "pre_tokenizer",
            json!({"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, {"type": "Punctuation", "behavior": "Isolated"}]}),
        ),
        ("decoder", llama_decoder),
        ("post_processor", template),
        (
            "post_processor",
            json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true}),
        ),
    ] {
        let mut json = tiny();
        json[part] = value.clone();
        let tokenizer = parse(&json).unwrap_or_else(|error| panic!("{value}: {error}"));
        tokenizer.encode("a few words, 1234", true).unwrap();
    }
}
