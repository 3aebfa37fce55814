//! Places where a long text may be cut, so that its parts have the same ids as the whole.
//!
//! In GPT-2's and GPT-4's patterns every alternative that takes a letter ends with one, and none looks
//! behind. So a word ends wherever a letter is followed by white space, and what comes after is split as if
//! nothing had been before.

use serde_json::{json, Value};
use tokenizers::{NormalizerWrapper, PostProcessorWrapper};

use super::patterns::{CL100K, GPT2};
use super::GPT4_WORDS;

/// Bytes that are encoded together, if they can be.
pub(super) const PIECE: usize = 1 << 16;

/// Whether texts may be cut: only words are split, in one of the known ways, nothing is put around a text,
/// no token that is found before words reaches over such a place, and no normalizer looks over one. Unicode's
/// forms do not: white space joins with no letter before it (UAX #15, section 9).
pub(super) fn can_cut(tokenizer: &tokenizers::Tokenizer) -> bool {
    let adds_nothing =
        matches!(tokenizer.get_post_processor(), None | Some(PostProcessorWrapper::ByteLevel(_)));
    let crosses =
        |text: &str| text.bytes().zip(text.bytes().skip(1)).any(|(one, next)| is_cut(one, next));
    let added = tokenizer.get_added_tokens_decoder();
    let stays =
        added.values().all(|token| !token.rstrip && !token.single_word && !crosses(&token.content));
    let normalizes_in_place = matches!(
        tokenizer.get_normalizer(),
        None | Some(
            NormalizerWrapper::NFC(_)
                | NormalizerWrapper::NFD(_)
                | NormalizerWrapper::NFKC(_)
                | NormalizerWrapper::NFKD(_)
        )
    );
    adds_nothing && stays && normalizes_in_place && splits_words(tokenizer)
}

fn splits_words(tokenizer: &tokenizers::Tokenizer) -> bool {
    let Ok(json) = serde_json::to_value(tokenizer.get_pre_tokenizer()) else { return false };
    let is_byte_level = |part: &Value, use_regex: bool| {
        part["type"] == "ByteLevel"
            && part["add_prefix_space"] == false
            && part["use_regex"] == use_regex
    };
    let is_split = |part: &Value| {
        let pattern = part["pattern"]["Regex"].as_str();
        let kept = [json!(["Removed", true]), json!(["Isolated", false])];
        part["type"] == "Split"
            && pattern.is_some_and(|pattern| [GPT4_WORDS, CL100K, GPT2].contains(&pattern))
            && kept.contains(&json!([part["behavior"], part["invert"]]))
    };
    match json["pretokenizers"].as_array().map(Vec::as_slice) {
        Some([split, bytes]) => is_split(split) && is_byte_level(bytes, false),
        _ => is_byte_level(&json, true),
    }
}

/// Whether a text may be cut between two of its bytes.
fn is_cut(one: u8, next: u8) -> bool {
    one.is_ascii_alphabetic() && matches!(next, b' ' | b'\n' | b'\r' | b'\t')
}

/// Where the first piece of a text ends: at the first good place from `size` bytes on.
pub(super) fn end(text: &str, size: usize) -> usize {
    let bytes = text.as_bytes();
    let good = |at: &usize| is_cut(bytes[at - 1], bytes[*at]);
    (size.max(1)..bytes.len()).find(good).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::tokenizer::Tokenizer;

    fn golden() -> Tokenizer {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/dolma2-subset");
        Tokenizer::from_dir(&golden).unwrap()
    }

    fn with(part: &str, value: Value) -> Tokenizer {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/dolma2-subset");
        let bytes = std::fs::read(golden.join("tokenizer.json")).unwrap();
        let mut json: Value = serde_json::from_slice(&bytes).unwrap();
        json[part] = value;
        Tokenizer::from_json(json.to_string().as_bytes(), Path::new("tokenizer.json")).unwrap()
    }

    /// Parts that are hard to tell apart once they stand side by side.
    fn hard_text() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            4 => prop::sample::select(vec![
                " ", "\n", "\r\n", "\t", "a", "word", "s", "'s", "'LL", "é", "の", "1", "1234", "!", "...", "\u{a0}",
                "\u{3000}", "<|endoftext|>", "|||EMAIL_ADDRESS|||", "<|", "  \n ", "😀", "\u{301}", "'", "\u{2028}", "e\u{301}", "\u{1ea}\u{304}", "\u{fb01}", "\u{ac00}\u{11a8}",
            ]).prop_map(str::to_owned),
            1 => any::<String>(),
        ];
        prop::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

        #[test]
        fn pieces_have_the_ids_of_the_whole(text in hard_text(), size in 1usize..20) {
            thread_local! {
                static TOKENIZERS: [Tokenizer; 6] = [
                    golden(),
                    with("pre_tokenizer", json!({
                        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true,
                    })),
                    with("normalizer", json!({"type": "NFC"})),
                    with("normalizer", json!({"type": "NFD"})),
                    with("normalizer", json!({"type": "NFKC"})),
                    with("normalizer", json!({"type": "NFKD"})),
                ];
            }
            TOKENIZERS.with(|tokenizers| {
                for tokenizer in tokenizers {
                    assert!(tokenizer.cuts);
                    let whole = tokenizer.inner.encode_fast(text.as_str(), true).unwrap();
                    let mut ids = Vec::new();
                    let mut rest = text.as_str();
                    while !rest.is_empty() {
                        let (piece, others) = rest.split_at(end(rest, size));
                        ids.extend_from_slice(tokenizer.inner.encode_fast(piece, true).unwrap().get_ids());
                        rest = others;
                    }
                    assert_eq!(ids, whole.get_ids(), "{text:?}");
                }
            });
        }
    }

    #[test]
    fn others_are_not_cut() {
        for (part, value) in [
            ("normalizer", json!({"type": "Lowercase"})),
            ("pre_tokenizer", json!({"type": "Whitespace"})),
            ("pre_tokenizer", Value::Null),
            (
                "added_tokens",
                json!([{"id": 9, "content": "a b", "single_word": false, "lstrip": false,
                        "rstrip": false, "normalized": false, "special": true}]),
            ),
        ] {
            assert!(!with(part, value.clone()).cuts, "{part} {value}");
        }
    }

    #[test]
    fn a_long_text_is_read_no_further_than_needed() {
        let tokenizer = golden();
        let text = "word after word\n".repeat(20_000);
        let all = tokenizer.encode(&text, true).unwrap();
        assert_eq!(all, tokenizer.inner.encode_fast(text.as_str(), true).unwrap().get_ids());
        let some = tokenizer.encode_at_most(&text, true, 100).unwrap();
        assert!(some.len() > 100 && some.len() < all.len() / 3);
        assert_eq!(some, all[..some.len()]);
    }
}
