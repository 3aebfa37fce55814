//! The n-gram model by hand, against its definitions in Python, and as a distribution.

use olmo_core::prepare::kneser_ney::KneserNey;
use proptest::prelude::*;
use serde_json::Value;

fn close(got: f64, expected: f64) -> bool {
    (got - expected).abs() <= 1e-12
}

/// Two documents, "a b a b" and "a c", where end, a, b, c are 0 to 3.
const TEXT: [u16; 8] = [1, 2, 1, 2, 0, 1, 3, 0];

/// Unigrams count what stands before: 2 each for end and a, 1 each for b and c, 6 in all. As no
/// count is 3 the discounts are ½, 1, 1½, so λ = (1 + 1 + ½ + ½) / 6 = ½, over a uniform ¼:
/// p(end) = p(a) = (2 - 1) / 6 + ½ · ¼ = 7/24 and p(b) = p(c) = ½ / 6 + ½ · ¼ = 5/24.
///
/// After a: b twice, c once. λ = (1 + ½) / 3 = ½.
#[test]
fn by_hand() {
    let model = KneserNey::train(&TEXT, 0, 4, 2).unwrap();
    assert_eq!(model.ngrams(), [4, 6]);
    assert_eq!(model.discounts(), [[0.5, 1.0, 1.5]; 2]);
    let after_a = [
        (0, 0.5 * 7.0 / 24.0),
        (1, 0.5 * 7.0 / 24.0),
        (2, (2.0 - 1.0) / 3.0 + 0.5 * 5.0 / 24.0),
        (3, (1.0 - 0.5) / 3.0 + 0.5 * 5.0 / 24.0),
    ];
    for (token, expected) in after_a {
        for history in [&[1][..], &[3, 1], &[0, 2, 1]] {
            let got = model.probability(history, token);
            assert!(close(got, expected), "{history:?} {token}: {got} is not {expected}");
        }
    }
    // Both documents begin with a: c(end a) = 2, λ = 1 / 2.
    assert!(close(model.probability(&[0], 1), (2.0 - 1.0) / 2.0 + 0.5 * 7.0 / 24.0));
    assert!(close(model.probability(&[], 3), 5.0 / 24.0), "nothing known of what came before");
}

/// The end of a document, too, has to be paid for.
#[test]
fn bits_are_those_of_every_token() {
    let model = KneserNey::train(&TEXT, 0, 4, 3).unwrap();
    let bits = |history: &[u16], token| -model.probability(history, token).log2();
    let expected = bits(&[0], 3) + bits(&[0, 3], 0) + bits(&[0], 0);
    assert!(close(model.bits(&[3, 0, 0]), expected));
}

#[test]
fn as_defined() {
    let golden: Value =
        serde_json::from_str(include_str!("prepare_golden/kneser_ney.json")).unwrap();
    let numbers = |json: &Value| -> Vec<u16> { serde_json::from_value(json.clone()).unwrap() };
    let mut compared = 0;
    for case in golden["cases"].as_array().unwrap() {
        let vocab = case["vocab_size"].as_u64().unwrap() as usize;
        let order = case["order"].as_u64().unwrap() as usize;
        let model = KneserNey::train(&numbers(&case["stream"]), 0, vocab, order).unwrap();
        let expected: Vec<[f64; 3]> = serde_json::from_value(case["discounts"].clone()).unwrap();
        for (got, expected) in model.discounts().iter().zip(&expected) {
            assert!(got.iter().zip(expected).all(|(&g, &e)| close(g, e)), "{got:?} {expected:?}");
        }
        for query in case["queries"].as_array().unwrap() {
            let (history, token) = (numbers(&query[0]), query[1].as_u64().unwrap() as u16);
            let got = model.probability(&history, token);
            let expected = query[2].as_f64().unwrap();
            assert!(close(got, expected), "order {order}, {history:?} {token}: {got} {expected}");
            compared += 1;
        }
    }
    assert_eq!(compared, 150);
}

#[test]
fn faults_are_named() {
    let train = |stream: &[u16], order| KneserNey::train(stream, 0, 4, order).err().unwrap();
    let expected = "option `order` is 9, but 1 to 8 are possible";
    assert_eq!(train(&TEXT, 9).to_string(), expected);
    assert_eq!(train(&TEXT, 0).code(), "INVALID_OPTION");
    assert_eq!(train(&[4, 0], 2).code(), "INVALID_TOKEN");
    assert_eq!(train(&[1, 2], 2).code(), "INVALID_FILE", "the last document is cut off");
    assert_eq!(train(&[], 2).code(), "INVALID_FILE");
}

proptest! {
    /// Whatever the text and the history, something comes next.
    #[test]
    fn probabilities_sum_to_one(
        mut stream in prop::collection::vec(0u16..11, 0..400),
        history in prop::collection::vec(0u16..13, 0..10),
        order in 1usize..=8,
    ) {
        stream.push(0);
        let model = KneserNey::train(&stream, 0, 13, order).unwrap();
        let probabilities = (0..13).map(|token| model.probability(&history, token));
        let total: f64 = probabilities.clone().sum();
        prop_assert!((total - 1.0).abs() < 1e-9, "{}", total);
        prop_assert!(probabilities.into_iter().all(|p| p > 0.0));
    }

    /// A document says nothing about the next one.
    #[test]
    fn nothing_is_seen_across_documents(
        mut stream in prop::collection::vec(0u16..6, 0..200),
        before in prop::collection::vec(0u16..6, 0..5),
        after in prop::collection::vec(1u16..6, 0..5),
        token in 0u16..6,
    ) {
        stream.push(0);
        let model = KneserNey::train(&stream, 0, 6, 5).unwrap();
        let long: Vec<u16> = before.iter().chain(&[0]).chain(&after).copied().collect();
        let short: Vec<u16> = std::iter::once(0).chain(after).collect();
        prop_assert_eq!(model.probability(&long, token), model.probability(&short, token));
    }
}
