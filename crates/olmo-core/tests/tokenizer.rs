//! The tokenizer against the ids that dolma2 gives, and its faults.

mod support;

use std::path::Path;

use olmo_core::tokenizer::Tokenizer;
use olmo_core::Error;
use proptest::prelude::*;
use serde_json::{json, Value};
use support::{golden, ids, list, text, tokenizer};

fn parse(json: &Value) -> Result<Tokenizer, Error> {
    Tokenizer::from_json(json.to_string().as_bytes(), Path::new("there/tokenizer.json"))
}

fn tiny() -> Value {
    support::json("tiny-mha-f32/tokenizer.json")
}

#[test]
fn ids_are_those_of_dolma2() {
    let tokenizer = tokenizer("dolma2-subset");
    let golden = support::json("dolma2_strings.json");
    let strings = list(&golden, "strings");
    for string in strings {
        let (text, expected) = (text(string, "text"), ids(&string["ids"]));
        for add_special_tokens in [false, true] {
            assert_eq!(tokenizer.encode(text, add_special_tokens).unwrap(), expected, "{text:?}");
        }
        assert_eq!(tokenizer.decode(&expected, false).unwrap(), text);
    }
    assert!(strings.len() > 300);
}

#[test]
fn texts_are_those_of_the_reference() {
    let golden = support::json("detokenize.json");
    let tokenizer = tokenizer(text(&golden, "tokenizer"));
    for case in list(&golden, "cases") {
        let ids = ids(&case["ids"]);
        let name = text(case, "name");
        assert_eq!(tokenizer.decode(&ids, false).unwrap(), text(case, "text"), "{name}");
        let without = text(case, "text_without_special");
        assert_eq!(tokenizer.decode(&ids, true).unwrap(), without, "{name}");
    }
}

#[test]
fn special_tokens_are_known() {
    let tokenizer = tokenizer("dolma2-subset");
    let end = tokenizer.token_id("<|endoftext|>").unwrap();
    assert_eq!(end, 100257);
    assert_eq!(tokenizer.token_text(end).as_deref(), Some("<|endoftext|>"));
    assert!(tokenizer.is_special(end));
    assert_eq!(tokenizer.encode("<|endoftext|>", false).unwrap(), [end]);
    assert_eq!(tokenizer.decode(&[end], true).unwrap(), "");
    assert_eq!(tokenizer.decode(&[end], false).unwrap(), "<|endoftext|>");

    let phone = tokenizer.token_id("|||PHONE_NUMBER|||").unwrap();
    assert!(!tokenizer.is_special(phone));
    assert_eq!(tokenizer.decode(&[phone], true).unwrap(), "|||PHONE_NUMBER|||");

    let space = tokenizer.token_id("Ġ").unwrap();
    assert_eq!(tokenizer.decode(&[space], true).unwrap(), " ");
    assert_eq!(tokenizer.token_id("no such token"), None);
}

#[test]
fn ids_without_a_token_are_refused() {
    let tokenizer = tokenizer("dolma2-subset");
    assert_eq!(tokenizer.vocab_size(), 100278);
    for id in [100278, u32::MAX] {
        assert_eq!(tokenizer.token_text(id), None);
        assert!(!tokenizer.is_special(id));
        let error = tokenizer.decode(&[0, id], true).unwrap_err();
        assert!(matches!(error, Error::InvalidToken { id: said, .. } if said == id));
        let expected = format!("token id {id} is outside the vocabulary of 100278");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_model_needs_an_embedding_for_every_id() {
    let tokenizer = tokenizer("tiny-mha-f32");
    assert_eq!(tokenizer.vocab_size(), 517);
    tokenizer.check(517).unwrap();
    tokenizer.check(600).unwrap();
    let error = tokenizer.check(516).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "tiny-mha-f32/tokenizer.json: its ids go up to 516, but vocab_size in config.json is \
             516; the two are not of one checkpoint"
        ),
        "{error}"
    );
}

#[test]
fn an_absent_file_is_named() {
    let error = Tokenizer::from_dir(&golden("no such folder")).err().unwrap();
    assert_eq!(error.code(), "IO");
    let message = error.to_string();
    assert!(message.contains("no such folder/tokenizer.json: there is no such file"), "{message}");
}

#[test]
fn a_file_cut_off_anywhere_is_an_error() {
    let file = tiny().to_string();
    for length in (0..file.len()).step_by(file.len() / 40) {
        let json = &file.as_bytes()[..length];
        let error = Tokenizer::from_json(json, Path::new("there/tokenizer.json")).err().unwrap();
        assert_eq!(error.code(), "INVALID_FILE");
        let message = error.to_string();
        assert!(message.starts_with("there/tokenizer.json: this is not a tokenizer"), "{message}");
    }
}

#[test]
fn a_damaged_file_is_an_error() {
    let empty = json!({
        "model": { "type": "BPE", "vocab": {}, "merges": [] }, "added_tokens": [],
    });
    let error = parse(&empty).err().unwrap();
    assert_eq!(error.to_string(), "there/tokenizer.json: its vocabulary is empty");

    type Damage = fn(&mut Value);
    let damages: [(&str, Damage); 4] = [
        ("no model", |json| json["model"] = Value::Null),
        ("an id that is text", |json| json["model"]["vocab"]["!"] = "0".into()),
        ("a merge of unknown tokens", |json| json["model"]["merges"][0] = json!(["!!", "nope"])),
        ("a broken pattern", |json| {
            json["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "(".into();
        }),
    ];
    for (damage, apply) in damages {
        let mut json = tiny();
        apply(&mut json);
        let error = parse(&json).err().unwrap_or_else(|| panic!("accepted {damage}"));
        assert_eq!(error.code(), "INVALID_FILE", "{damage}");
    }
}

/// transformers takes neither from the file.
#[test]
fn padding_and_truncation_of_the_file_are_off() {
    let mut json = tiny();
    json["truncation"] = serde_json::json!({
        "direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0,
    });
    json["padding"] = serde_json::json!({
        "strategy": { "Fixed": 64 }, "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": 516, "pad_type_id": 0, "pad_token": "<|pad|>",
    });
    let with = parse(&json).unwrap();
    let text = "a text of more than two tokens";
    let plain = tokenizer("tiny-mha-f32").encode(text, true).unwrap();
    assert!(plain.len() > 2 && plain.len() < 64);
    assert_eq!(with.encode(text, true).unwrap(), plain);
}

/// The pattern engine gives up on some texts in silence, and what it did not reach would be lost.
#[test]
fn long_and_monotonous_texts_come_back_whole() {
    let tokenizer = tokenizer("dolma2-subset");
    for unit in [" ", "\n", " \n", "\t ", "a", "é", "1", "-", "a ", "'", "😀", "\r", "\u{a0}"] {
        for end in ["", "x", "\n", "."] {
            let text = unit.repeat(50_000) + end;
            let ids = tokenizer.encode(&text, false).unwrap();
            assert!(tokenizer.decode(&ids, false).unwrap() == text, "{unit:?} … {end:?}");
        }
    }
}

#[test]
fn a_text_of_which_a_part_would_be_lost_is_an_error() {
    let tokenizer = tokenizer("dolma2-subset");
    for text in [" ".repeat(1_100_000) + "x", "ab".repeat(9) + &"\t ".repeat(600_000)] {
        let error = tokenizer.encode(&text, false).unwrap_err();
        assert_eq!(error.code(), "INTERNAL");
        let message = error.to_string();
        assert!(message.contains("shorten its longest run of blanks"), "{message}");
    }
    let long = "a b".repeat(500_000);
    let ids = tokenizer.encode(&long, false).unwrap();
    assert!(tokenizer.decode(&ids, false).unwrap() == long);
}

#[test]
fn threads_share_a_tokenizer() {
    let tokenizer = tokenizer("dolma2-subset");
    let golden = support::json("dolma2_strings.json");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for string in list(&golden, "strings") {
                    let ids = ids(&string["ids"]);
                    assert_eq!(tokenizer.encode(text(string, "text"), false).unwrap(), ids);
                }
            });
        }
    });
}

proptest! {
    #[test]
    fn every_text_comes_back(text in any::<String>()) {
        let tokenizer = parse(&tiny()).unwrap();
        let ids = tokenizer.encode(&text, false).unwrap();
        prop_assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
    }
}
