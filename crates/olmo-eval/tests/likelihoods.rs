//! Log-likelihoods of whole tasks, batched and with shared beginnings, are those of each continuation by itself.

mod support;

use olmo_core::checkpoint::LoadOptions;
use olmo_core::device::Device;
use olmo_core::engine::Engine;
use olmo_eval::plan::Plan;
use olmo_eval::record::Record;
use olmo_eval::request::{Encoder, Request};
use olmo_eval::run::score;
use olmo_eval::table::{find, Harness, Label, Metric};
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
