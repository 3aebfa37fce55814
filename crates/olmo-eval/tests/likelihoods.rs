//! Log-likelihoods of whole tasks, batched and with shared beginnings, are those of each continuation by itself;
//! and with the harnesses' data, those of transformers for every label: `golden/likelihoods.bin.gz`, which
//! `scripts/golden/make_eval_likelihoods.py` explains.

mod support;

use std::collections::HashMap;
use std::io::Read;

use olmo_core::checkpoint::LoadOptions;
use olmo_core::device::Device;
use olmo_core::engine::Engine;
use olmo_eval::plan::Plan;
use olmo_eval::record::Record;
use olmo_eval::request::{Encoder, Request};
use olmo_eval::run::score;
use olmo_eval::table::{find, labels, Harness, Label, Metric};
use olmo_eval::tasks::documents;
use support::{model, Source};

fn load(path: &std::path::Path) -> Engine {
    let options = LoadOptions { path: path.into(), device: Device::Cpu, ..LoadOptions::default() };
    Engine::load(&options, &mut |_| Ok(())).expect("a model")
}

/// The records of a label's first documents, and the requests of each.
fn scored(
    engine: &Engine,
    label: &Label,
    metric: Metric,
    source: &Source,
) -> Vec<(Record, Vec<Request>)> {
    let documents = documents(label, metric, &source.data, 0..source.documents).expect(label.name);
    let mut records = Vec::new();
    score(engine, Plan::new(label, metric), &documents, &mut |record| {
        records.push(record);
        Ok(())
    })
    .expect(label.name);
    let context = engine.info().config.max_position_embeddings;
    let mut encoder = Encoder::new(engine.tokenizer(), context);
    let ids = documents.iter().map(|document| encoder.requests(document, label.fast).expect("ids"));
    let requests = ids.map(Result::unwrap_or_default);
    let places: Vec<usize> = records.iter().map(|record| record.doc_id).collect();
    assert_eq!(places, documents.iter().map(|document| document.id).collect::<Vec<_>>());
    records.into_iter().zip(requests).collect()
}

#[test]
fn many_texts_together_give_what_each_gives_alone() {
    let source = Source::find();
    let folder = model::with_context(&support::tiny(), 2500);
    let (engine, alone) = (load(folder.path()), load(folder.path()));
    for name in ["arc_easy_rc_5shot", "winogrande", "boolq", "hellaswag", "gsm8k_gold_bpb_5shot"] {
        let label = find(Harness::OlmoEval, name).expect(name);
        let source = Source { documents: source.documents.min(8), ..Source::find() };
        for (record, requests) in scored(&engine, label, label.metric, &source) {
            assert_eq!(record.error, None);
            for (choice, request) in record.choices.iter().zip(requests) {
                let context = request.query[..request.context_len].to_vec();
                let own = pollster::block_on(alone.score(context, request.continuation));
                let found = choice.loglikelihood.expect("a number");
                assert!((found - own.expect("a score").logprob).abs() < 1e-5, "{name}: {found}");
            }
        }
    }
}

#[test]
fn documents_that_do_not_fit_fail_alone() {
    let source = Source::find();
    let folder = model::with_context(&support::tiny(), 8);
    let engine = load(folder.path());
    let label = find(Harness::Olmo, "piqa").expect("piqa");
    for (record, _) in scored(&engine, label, label.metric, &source) {
        assert!(record.error.expect("a reason").contains("8 fit"));
        assert!(record.metrics.is_empty() && record.chosen.is_none());
    }
}

#[test]
fn weights_that_give_no_numbers_fail_documents_and_not_the_work() {
    let source = Source::find();
    let folder = model::broken(&support::tiny());
    let engine = load(folder.path());
    let label = find(Harness::Olmo, "boolq").expect("boolq");
    let records = scored(&engine, label, label.metric, &source);
    assert!(!records.is_empty());
    for (record, _) in records {
        assert!(record.error.expect("a reason").contains("no finite numbers"));
    }
}

/// Every label, on the harnesses' data; the excerpt has not the vocabulary.
#[test]
#[ignore = "takes the harnesses' data: OLMO2_EVAL_DATA"]
fn every_label_is_scored_as_transformers_scores_it() {
    let source = Source { documents: 20, ..Source::find() };
    assert!(!source.is_excerpt, "OLMO2_EVAL_DATA names no folder");
    let mut numbers = Vec::new();
    let packed = support::golden_bytes("likelihoods.bin.gz");
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut numbers).expect("a gzip file");
    let number = |bytes: &[u8]| i32::from_le_bytes(bytes.try_into().expect("four bytes"));
    let expected: Vec<f64> =
        numbers.chunks_exact(4).map(|bytes| f64::from(number(bytes)) / 4096.0).collect();
    assert!(expected.iter().all(|value| *value <= 0.0) && !expected.is_empty());

    let mut engine = None;
    let mut places: HashMap<(Vec<u32>, Vec<u32>), usize> = HashMap::new();
    let mut worst = (0.0_f64, String::new());
    for label in labels() {
        let engine = engine.get_or_insert_with(|| load(model::dolma2(&source).path()));
        for (record, requests) in scored(engine, label, label.metric, &source) {
            assert_eq!(record.error, None, "{} {}", label.name, record.doc_id);
            for (choice, request) in record.choices.iter().zip(requests) {
                let next = places.len();
                let place = *places.entry((request.query, request.continuation)).or_insert(next);
                let (found, value) = (choice.loglikelihood.expect("a number"), expected[place]);
                let allowed = 1e-3 + 1e-5 * value.abs();
                let off = (found - value).abs() / allowed;
                if off > worst.0 {
                    worst =
                        (off, format!("{} {}: {found}, not {value}", label.name, record.doc_id));
                }
            }
        }
    }
    println!("{} requests; at worst {:.3} of what is allowed: {}", places.len(), worst.0, worst.1);
    assert!(worst.0 <= 1.0, "{}", worst.1);
    assert_eq!(places.len(), expected.len());
}
