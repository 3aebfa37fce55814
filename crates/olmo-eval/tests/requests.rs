//! Requests are those of the harnesses, token for token: `golden/requests.tsv` has a hash of each label's
//! first hundred documents, and `labels.tsv` how many there are.
//!
//! The data are in the harnesses' wheels, not in this repository: OLMO2_EVAL_DATA names their folder, where
//! the dolma2 tokenizer is too. Without it, an excerpt of them is read.

mod support;

use olmo_core::tokenizer::Tokenizer;
use olmo_eval::request::{Encoder, MOST_TOKENS};
use olmo_eval::table::{find, labels, Harness, Label};
use olmo_eval::tasks::documents;
use sha2::{Digest, Sha256};
use support::{golden, Source};

fn digest(label: &Label, source: &Source, tokenizer: &Tokenizer) -> (usize, String) {
    let found =
        documents(label, label.metric, &source.data, 0..source.documents).expect(label.name);
    let (mut encoder, mut requests) = (Encoder::new(tokenizer, MOST_TOKENS), 0);
    let mut hash = Sha256::new();
    for document in &found {
        let encoded = encoder.requests(document, label.fast).expect("ids").expect(label.name);
        let choices: Vec<u32> = encoded.iter().map(|request| request.continuation[0]).collect();
        let read = if label.fast { &encoded[..1] } else { &encoded[..] };
        for (choice, request) in read.iter().enumerate() {
            let text = &document.choices[choice].continuation;
            let leading = text.chars().next().map_or(0, char::len_utf8);
            let characters = text.chars().count() - 1;
            let choices = if label.fast { &choices[..] } else { &[] };
            let mut numbers = vec![document.id, choice, request.context_len, document.gold];
            numbers.extend([characters, text.len() - leading]);
            for ids in [&request.query[..], &request.continuation, choices] {
                numbers.push(ids.len());
                numbers.extend(ids.iter().map(|&id| id as usize));
            }
            numbers.iter().for_each(|&number| hash.update((number as u32).to_le_bytes()));
            requests += 1;
        }
    }
    let hex: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    (requests, hex)
}

#[test]
fn requests_are_the_harnesses_own() {
    let source = Source::find();
    let tokenizer = source.tokenizer();
    let expected = golden(source.requests);
    let mut wrong = Vec::new();
    for line in expected.lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        let [harness, name, requests, hash] = cells[..] else { panic!("{line}") };
        let label = find(Harness::of(harness).expect("a harness"), name).expect("a label");
        let found = digest(label, &source, &tokenizer);
        if found != (requests.parse().expect("a count"), hash.to_owned()) {
            wrong.push(format!("{line}, but here {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} labels:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
#[ignore = "takes the harnesses' data: OLMO2_EVAL_DATA"]
fn every_label_has_as_many_documents_and_requests_as_the_table_says() {
    let source = Source::find();
    assert!(!source.is_excerpt, "OLMO2_EVAL_DATA names no folder");
    for label in labels() {
        let found = documents(label, label.metric, &source.data, 0..usize::MAX).expect(label.name);
        let choices = found.iter().map(|document| document.choices.len()).sum();
        let requests = if label.fast { found.len() } else { choices };
        assert_eq!((found.len(), requests), (label.documents, label.requests), "{}", label.name);
    }
}
