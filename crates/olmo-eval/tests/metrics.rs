//! Metrics are the harnesses' own: `golden/metrics.json` has what their code makes of log-likelihoods.

mod support;

use std::collections::BTreeMap;

use olmo_eval::metrics::{measure, primary, Tally};
use olmo_eval::record::{Record, Scored};
use olmo_eval::table::{Harness, Metric};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    metric: String,
    documents: Vec<Given>,
    expected: BTreeMap<String, BTreeMap<String, f64>>,
}

#[derive(Deserialize, Clone)]
struct Given {
    doc_id: usize,
    gold: usize,
    texts: Vec<String>,
    scores: Vec<f64>,
    neutral: Vec<f64>,
}

fn record(given: &Given, harness: Harness, metric: Metric) -> Record {
    let choice = |(text, (score, neutral)): (&String, (&f64, &f64))| Scored {
        text: text.clone(),
        loglikelihood: Some(*score),
        unconditional: Some(*neutral),
        characters: text.chars().count(),
        bytes: text.len(),
        tokens: 1,
        ..Scored::default()
    };
    let mut record = Record {
        label: "task".to_owned(),
        harness: harness.name().to_owned(),
        metric: metric.name().to_owned(),
        doc_id: given.doc_id,
        gold: given.gold,
        choices: given
            .texts
            .iter()
            .zip(given.scores.iter().zip(&given.neutral))
            .map(choice)
            .collect(),
        ..Record::default()
    };
    measure(&mut record, harness, metric, false);
    record
}

#[test]
fn numbers_are_what_the_harnesses_make_of_log_likelihoods() {
    let golden: Golden = serde_json::from_str(&support::golden("metrics.json")).expect("cases");
    for Case { metric, documents, expected } in golden.cases {
        let metric = Metric::of(&metric).expect("a metric");
        for (harness, expected) in expected {
            let harness = Harness::of(&harness).expect("a harness");
            let mut tally = Tally::default();
            for given in &documents {
                tally.add(&record(given, harness, metric)).expect("a document");
            }
            let results = &tally.results()["task"];
            assert_eq!((results.documents, results.failed), (documents.len(), 0));
            let names: Vec<&String> = results.metrics.keys().collect();
            assert_eq!(names, expected.keys().collect::<Vec<_>>(), "{harness} {metric:?}");
            for (name, value) in &expected {
                let found = results.metrics[name];
                let near = 1e-5 * value.abs().max(1.0);
                assert!((found - value).abs() <= near, "{harness} {name}: {found}, not {value}");
            }
            assert!(results.metrics.contains_key(&primary(harness, metric)));
        }
    }
}

#[test]
fn a_task_s_numbers_do_not_depend_on_the_order_of_its_documents_nor_on_doubles() {
    let golden: Golden = serde_json::from_str(&support::golden("metrics.json")).expect("cases");
    for case in &golden.cases {
        let metric = Metric::of(&case.metric).expect("a metric");
        let records: Vec<Record> =
            (case.documents.iter()).map(|given| record(given, Harness::OlmoEval, metric)).collect();
        let count = |records: &mut dyn Iterator<Item = &Record>| {
            let mut tally = Tally::default();
            records.for_each(|record| tally.add(record).expect("a document"));
            tally.results()["task"].clone()
        };
        let once = count(&mut records.iter());
        let again = count(&mut records.iter().rev().chain(&records));
        assert_eq!(once, again);
    }
}

#[test]
fn a_record_that_breaks_the_rules_is_refused_or_counted_as_failed() {
    let given = Given {
        doc_id: 0,
        gold: 2,
        texts: vec![" a".into(), " b".into()],
        scores: vec![-1.0, -2.0],
        neutral: vec![-1.0, -1.0],
    };
    let outside = record(&given, Harness::Olmo, Metric::Acc);
    assert!(outside.error.is_some() && outside.metrics.is_empty() && outside.chosen.is_none());
    let empty = Given { gold: 0, texts: vec![" ".into(), " b".into()], ..given.clone() };
    let empty = record(&empty, Harness::Olmo, Metric::Bpb);
    assert!(empty.error.is_some(), "there are no bytes to divide by");

    let mut tally = Tally::default();
    tally.add(&outside).expect("a document");
    assert_eq!((tally.results()["task"].documents, tally.results()["task"].failed), (0, 1));
    let other = record(&Given { gold: 0, doc_id: 1, ..given }, Harness::OlmoEval, Metric::Acc);
    assert!(tally.add(&other).is_err(), "it is another harness's");
    assert!(tally.add(&Record { harness: "mine".into(), ..Record::default() }).is_err());
}

proptest! {
    #[test]
    fn whatever_the_log_likelihoods_are_a_record_is_a_line_of_json(
        scores in prop::collection::vec(prop::num::f64::ANY, 0..4),
        gold in 0usize..5,
        texts in prop::collection::vec(".{0,3}", 4),
    ) {
        let given = Given { doc_id: 0, gold, texts, neutral: vec![-1.0; scores.len()], scores };
        for harness in Harness::ALL {
            for metric in Metric::ALL {
                let record = record(&given, harness, metric);
                prop_assert!(record.metrics.values().all(|value| value.is_finite()));
                let json = record.to_json();
                prop_assert!(!json.contains('\n'));
                prop_assert!(serde_json::from_str::<Record>(&json).is_ok());
            }
        }
    }
}
