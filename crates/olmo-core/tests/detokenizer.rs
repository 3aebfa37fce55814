//! Streamed text is the whole text, for every kind of decoder.

mod support;

use std::path::Path;
use std::sync::Arc;

use olmo_core::text::Detokenizer;
use olmo_core::tokenizer::Tokenizer;
use proptest::prelude::*;
use serde_json::{json, Map, Value};
use support::{ids, json, list, text, tokenizer};

/// The pieces in which a text comes, that of `finish` last.
fn stream(tokenizer: &Arc<Tokenizer>, ids: &[u32], skip_special_tokens: bool) -> Vec<String> {
    let mut detokenizer = Detokenizer::new(tokenizer.clone(), skip_special_tokens);
    let mut pieces: Vec<String> = ids.iter().map(|&id| detokenizer.push(id).unwrap()).collect();
    pieces.push(detokenizer.finish().unwrap());
    pieces
}

#[test]
fn streams_join_to_the_texts_of_the_reference() {
    let golden = json("detokenize.json");
    let tokenizer = tokenizer(text(&golden, "tokenizer"));
    for case in list(&golden, "cases") {
        let (ids, name) = (ids(&case["ids"]), text(case, "name"));
        assert_eq!(stream(&tokenizer, &ids, false).concat(), text(case, "text"), "{name}");
        let without = text(case, "text_without_special");
        assert_eq!(stream(&tokenizer, &ids, true).concat(), without, "{name}");
    }
}

#[test]
fn a_character_comes_with_its_last_byte() {
    let tokenizer = tokenizer("tiny-mha-f32");
    // The bytes of 😘, as no merge of this vocabulary has them together, and of é cut short.
    let bytes = ["ð", "Ł", "ĺ", "ĺ", "Ã"].map(|byte| tokenizer.token_id(byte).unwrap());
    assert_eq!(stream(&tokenizer, &bytes, true), ["", "", "", "😘", "", "\u{FFFD}"]);
    // This one can begin no character, and waits for nothing.
    let impossible = tokenizer.token_id("ÿ").unwrap();
    assert_eq!(stream(&tokenizer, &[impossible], true), ["\u{FFFD}", ""]);
    let broken = [bytes[0], bytes[1], tokenizer.token_id("a").unwrap()];
    assert_eq!(stream(&tokenizer, &broken, true), ["", "", "\u{FFFD}a", ""]);
}

#[test]
fn ids_without_a_token_have_no_text() {
    let tokenizer = tokenizer("tiny-mha-f32");
    let a = tokenizer.token_id("a").unwrap();
    assert_eq!(stream(&tokenizer, &[a, 517, u32::MAX, a], false).concat(), "aa");
}

/// Every byte, alone and in an added token with characters that no byte stands for.
#[test]
fn added_tokens_are_their_own_bytes() {
    let mut file = json("tiny-mha-f32/tokenizer.json");
    for (id, content) in [(517, "tab\there"), (518, "日本"), (519, "Ġé"), (520, "Ġ é")] {
        file["added_tokens"].as_array_mut().unwrap().push(json!({
            "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": id == 518,
        }));
    }
    let tokenizer = parse(&file);
    let all: Vec<u32> = (0..521).collect();
    for skip in [false, true] {
        assert_eq!(stream(&tokenizer, &all, skip).concat(), tokenizer.decode(&all, skip).unwrap());
        for id in 0..521 {
            let expected = tokenizer.decode(&[id], skip).unwrap();
            assert_eq!(stream(&tokenizer, &[id], skip).concat(), expected, "{id}");
        }
    }
}

fn parse(json: &Value) -> Arc<Tokenizer> {
    let file = Path::new("tokenizer.json");
    Arc::new(Tokenizer::from_json(json.to_string().as_bytes(), file).unwrap())
}

/// A tokenizer with this decoder; its last two tokens are special and an ordinary added one.
fn with_decoder(decoder: Value, tokens: &[&str]) -> (Arc<Tokenizer>, u32) {
    let bytes = [0x41, 0xC3, 0xA9, 0xE6, 0x97, 0xA5, 0xFF].map(|byte| format!("<0x{byte:02X}>"));
    let tokens = tokens.iter().copied().chain(bytes.iter().map(String::as_str));
    let vocab: Map<String, Value> =
        tokens.enumerate().map(|(id, token)| (token.to_owned(), id.into())).collect();
    let size = vocab.len() as u32;
    let added = |id: u32, content: &str, special: bool| {
        json!({
            "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": special,
        })
    };
    let tokenizer = parse(&json!({
        "version": "1.0",
        "added_tokens": [added(size, "<s>", true), added(size + 1, "<note>", false)],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null,
        "decoder": decoder,
        "model": { "type": "BPE", "vocab": vocab, "merges": [], "byte_fallback": true },
    }));
    (tokenizer, size + 2)
}

fn decoders() -> Vec<(&'static str, Arc<Tokenizer>, u32)> {
    let llama = json!({ "type": "Sequence", "decoders": [
        { "type": "Replace", "pattern": { "String": "▁" }, "content": " " },
        { "type": "ByteFallback" },
        { "type": "Fuse" },
        { "type": "Strip", "content": " ", "start": 1, "stop": 0 },
    ] });
    let t5 = json!({
        "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true,
    });
    let bert = json!({ "type": "WordPiece", "prefix": "##", "cleanup": true });
    let gpt = json!({ "type": "BPEDecoder", "suffix": "</w>" });
    let bytes = json!({ "type": "Sequence", "decoders": [
        { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
    ] });
    let pieces = ["▁", "▁▁", "▁the", "s", "é", "\u{FFFD}", "▁日", ""];
    let words = ["do", "##ing", "n't", ".", "##,", "'", "\u{FFFD}"];
    // 日 in bytes, the first two of 😘, and text.
    let byte_tokens = ["Ġthe", "a", "ing", "æ", "Ĺ", "¥", "ð", "Ł", "Ã©"];
    let suffixed = ["lo", "w</w>", "</w>", "er</w>"];
    let build = |name, decoder, tokens| {
        let (tokenizer, size) = with_decoder(decoder, tokens);
        (name, tokenizer, size)
    };
    vec![
        build("Llama", llama, &pieces[..]),
        build("T5", t5, &pieces[..]),
        build("BERT", bert, &words[..]),
        build("GPT", gpt, &suffixed[..]),
        build("ByteLevel in a sequence", bytes, &byte_tokens[..]),
        build("none", Value::Null, &words[..]),
    ]
}

#[test]
fn other_decoders_stream_before_the_end() {
    for (name, tokenizer, _) in decoders() {
        let pieces = stream(&tokenizer, &[0, 1, 2, 1, 2, 2], true);
        assert!(pieces[..6].iter().filter(|piece| !piece.is_empty()).count() >= 3, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Bytes are half of the ids here, so that most characters are broken.
    #[test]
    fn byte_level_streams_are_exact_and_prompt(
        ids in proptest::collection::vec(prop_oneof![0u32..256, 0u32..517], 0..40),
        skip in any::<bool>(),
    ) {
        thread_local!(static TOKENIZER: Arc<Tokenizer> = tokenizer("tiny-mha-f32"));
        TOKENIZER.with(|tokenizer| {
            let pieces = stream(tokenizer, &ids, skip);
            for length in 0..=ids.len() {
                let sofar = tokenizer.decode(&ids[..length], skip).unwrap();
                let certain = pieces[..length].concat();
                let rest = sofar.strip_prefix(&certain);
                prop_assert!(matches!(rest, Some("" | "\u{FFFD}")), "{rest:?} after {certain:?}");
            }
            prop_assert_eq!(pieces.concat(), tokenizer.decode(&ids, skip).unwrap());
            Ok(())
        })?;
    }

    #[test]
    fn other_streams_are_exact(
        ids in proptest::collection::vec(0u32..18, 0..24),
        skip in any::<bool>(),
    ) {
        thread_local!(static DECODERS: Vec<(&'static str, Arc<Tokenizer>, u32)> = decoders());
        DECODERS.with(|decoders| {
            for (name, tokenizer, size) in decoders {
                let ids: Vec<u32> = ids.iter().map(|id| id % size).collect();
                let whole = tokenizer.decode(&ids, skip).unwrap();
                let pieces = stream(tokenizer, &ids, skip);
                prop_assert_eq!(pieces.concat(), whole, "{} {:?} {:?}", name, ids, pieces);
            }
            Ok(())
        })?;
    }
}
