//! Log-likelihoods of whole tasks, batched and with shared beginnings, are those of each continuation by itself;
//! and with the harnesses' data, those of transformers for every label, and so are its metrics:
//! `golden/likelihoods-*.bin.gz` and `golden/label-metrics-*.tsv.gz`, which `scripts/golden/make_eval_likelihoods.py`
//! explains.

mod support;

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use olmo_core::checkpoint::LoadOptions;
use olmo_core::device::Device;
use olmo_core::engine::Engine;
use olmo_eval::document::Document;
use olmo_eval::metrics::{measure, Tally};
use olmo_eval::plan::Plan;
use olmo_eval::record::{Record, Scored};
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
fn every_label_is_scored_as_transformers_and_the_harnesses_score_it() {
    let source = Source::find();
    assert!(!source.is_excerpt, "OLMO2_EVAL_DATA names no folder");
    for seed in model::seeds() {
        let engine = load(model::dolma2(&source, seed).path());
        let golden = Golden::read(seed);
        let mut numbers = Numbers::new(&golden);
        let mut metrics = Worst::default();
        for label in labels() {
            let records = numbers.records(&engine, label, &source);
            golden.compare_metrics(label, &records, &mut metrics);
        }
        let of = |worst: &Worst| format!("at worst {:.3} of what is allowed: {}", worst.0, worst.1);
        println!("model {seed}: {} requests, {}", numbers.places.len(), of(&numbers.worst));
        println!("model {seed}: {} labels, {}", golden.metrics.len(), of(&metrics));
        assert_eq!(numbers.places.len(), golden.loglikelihoods.len());
        assert!(numbers.worst.0 <= 1.0 && metrics.0 <= 1.0, "model {seed}");
    }
}

/// How far a number is off by what is allowed, and which; the worst so far.
#[derive(Default)]
struct Worst(f64, String);

impl Worst {
    fn note(&mut self, off: f64, what: impl FnOnce() -> String) {
        if off > self.0 {
            *self = Worst(off, what());
        }
    }
}

/// What transformers and the harnesses make of the requests of one model.
struct Golden {
    loglikelihoods: Vec<f64>,
    /// By harness and label.
    metrics: HashMap<(String, String), BTreeMap<String, f64>>,
}

impl Golden {
    fn read(seed: usize) -> Golden {
        let planes = unpacked(&format!("likelihoods-{seed}.bin.gz"));
        let count = planes.len() / 4;
        let number =
            |at: usize| i32::from_le_bytes([0, 1, 2, 3].map(|plane| planes[plane * count + at]));
        let loglikelihoods: Vec<f64> =
            (0..count).map(|at| f64::from(number(at)) / 4096.0).collect();
        assert!(loglikelihoods.iter().all(|value| *value <= 0.0) && count > 0);
        let text = String::from_utf8(unpacked(&format!("label-metrics-{seed}.tsv.gz")));
        let text = text.expect("a table");
        let metrics = text.lines().map(|line| {
            let mut cells = line.split('\t');
            let label = [(); 2].map(|()| cells.next().expect("a label").to_owned());
            let values = cells.map(|cell| {
                let (name, value) = cell.split_once('=').expect("a metric");
                (name.to_owned(), value.parse().expect("a number"))
            });
            (label.into(), values.collect())
        });
        Golden { loglikelihoods, metrics: metrics.collect() }
    }

    /// The numbers of a label. Where one choice leads another by hardly anything, either counts.
    fn compare_metrics(&self, label: &Label, records: &[Record], worst: &mut Worst) {
        let expected = &self.metrics[&(label.harness.to_string(), label.name.to_owned())];
        let mut tally = Tally::default();
        records.iter().for_each(|record| tally.add(record).expect("a document"));
        let results = &tally.results()[label.name];
        assert!(results.metrics.keys().eq(expected.keys()), "{}", label.name);
        let open = records.iter().filter(|record| is_near_tie(record, label)).count();
        for (name, value) in expected {
            let found = results.metrics[name];
            let is_counted = ["acc", "len_norm", "f1"].iter().any(|kind| name.starts_with(kind));
            let allowed = match is_counted {
                true => 1e-6 + open as f64 / records.len() as f64,
                false => 1e-4,
            };
            let off = (found - value).abs() / allowed;
            worst.note(off, || format!("{} {name}: {found}, not {value}", label.name));
        }
    }
}

/// Whether the two largest scores of a document's choices are less than 0.0001 apart.
fn is_near_tie(record: &Record, label: &Label) -> bool {
    let first = &record.choices[0];
    let score = |choice: &Scored| {
        let length = if label.fast { first.characters } else { choice.characters };
        let characters = match (label.metric, label.harness) {
            (Metric::LenNorm, Harness::Olmo) => length - 1,
            (Metric::LenNorm, Harness::OlmoEval) => length,
            _ => 1,
        };
        choice.loglikelihood.expect("a number") / characters as f64
    };
    let mut scores: Vec<f64> = record.choices.iter().map(score).collect();
    scores.sort_by(f64::total_cmp);
    matches!(scores[..], [.., second, first] if first - second < 1e-4)
}

/// Log-likelihoods beside the golden ones, which are in the order in which requests come up first.
struct Numbers<'a> {
    golden: &'a Golden,
    /// The place of each request, and what was found for it: labels have many in common.
    places: HashMap<(Vec<u32>, Vec<u32>), (usize, f64)>,
    worst: Worst,
}

impl Numbers<'_> {
    fn new(golden: &Golden) -> Numbers<'_> {
        Numbers { golden, places: HashMap::new(), worst: Worst::default() }
    }

    /// The records of a label's documents, of which those are scored that have a request which is new.
    fn records(&mut self, engine: &Engine, label: &Label, source: &Source) -> Vec<Record> {
        let all = documents(label, label.metric, &source.data, 0..source.documents);
        let all = all.expect(label.name);
        let context = engine.info().config.max_position_embeddings;
        let mut encoder = Encoder::new(engine.tokenizer(), context);
        let (mut requests, mut new): (Vec<Vec<Request>>, Vec<Document>) = Default::default();
        for document in &all {
            let own = encoder.requests(document, label.fast).expect("ids").expect("it fits");
            if own.iter().any(|request| !self.places.contains_key(&key(request))) {
                new.push(document.clone());
            }
            requests.push(own);
        }
        let mut fresh = BTreeMap::new();
        score(engine, Plan::new(label, label.metric), &new, &mut |record| {
            assert_eq!(record.error, None, "{} {}", label.name, record.doc_id);
            fresh.insert(record.doc_id, record);
            Ok(())
        })
        .expect(label.name);
        let both = all.iter().zip(requests);
        both.map(|(document, requests)| match fresh.remove(&document.id) {
            Some(record) => {
                self.compare(&record, &requests);
                record
            }
            None => self.known(document, label, &requests),
        })
        .collect()
    }

    /// The record of a document whose requests were all scored before.
    fn known(&self, document: &Document, label: &Label, requests: &[Request]) -> Record {
        let mut record = Record::of(document);
        record.label = label.name.to_owned();
        record.harness = label.harness.to_string();
        record.metric = label.metric.name().to_owned();
        for (choice, request) in record.choices.iter_mut().zip(requests) {
            choice.loglikelihood = Some(self.places[&key(request)].1);
        }
        measure(&mut record, label.harness, label.metric, label.fast);
        record
    }

    fn compare(&mut self, record: &Record, requests: &[Request]) {
        for (choice, request) in record.choices.iter().zip(requests) {
            let found = choice.loglikelihood.expect("a number");
            let next = (self.places.len(), found);
            let place = self.places.entry(key(request)).or_insert(next).0;
            let value = self.golden.loglikelihoods[place];
            let off = (found - value).abs() / (1e-3 + 1e-5 * value.abs());
            let what = || format!("{} {}: {found}, not {value}", record.label, record.doc_id);
            self.worst.note(off, what);
        }
    }
}

fn key(request: &Request) -> (Vec<u32>, Vec<u32>) {
    (request.query.clone(), request.continuation.clone())
}

fn unpacked(name: &str) -> Vec<u8> {
    let mut content = Vec::new();
    let packed = support::golden_bytes(name);
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut content).expect("a gzip file");
    content
}
