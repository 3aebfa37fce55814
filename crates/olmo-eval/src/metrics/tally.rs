//! From documents to a task's numbers. Documents may come in any order, and twice.

use std::collections::BTreeMap;

use serde::Serialize;

use super::primary;
use crate::record::Record;
use crate::table::{Harness, Metric};

/// Documents of tasks, counted.
#[derive(Debug, Default)]
pub struct Tally {
    tasks: BTreeMap<String, Task>,
}

#[derive(Debug)]
struct Task {
    harness: Harness,
    metric: Option<Metric>,
    /// The metric's name: one that no harness has stands for itself.
    name: String,
    /// By id; the first of a kind counts.
    documents: BTreeMap<usize, Counted>,
}

#[derive(Debug)]
struct Counted {
    subject: Option<String>,
    failed: bool,
    chosen: Option<usize>,
    gold: usize,
    metrics: BTreeMap<String, f64>,
    /// The probability of the right one among choices that are named by letters.
    letter: Option<f64>,
}

/// A task's numbers, as `results.json` has them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskResults {
    pub harness: &'static str,
    pub primary: String,
    pub documents: usize,
    pub failed: usize,
    pub metrics: BTreeMap<String, f64>,
    pub stderr: BTreeMap<String, f64>,
    pub ours: BTreeMap<String, f64>,
}

impl Tally {
    /// Counts a document, unless it is counted already. Errors if its label is counted by another harness or
    /// metric, or no harness has such a name.
    pub fn add(&mut self, record: &Record) -> Result<(), String> {
        let harness = Harness::of(&record.harness)
            .ok_or_else(|| format!("there is no harness {:?}", record.harness))?;
        let task = self.tasks.entry(record.label.clone()).or_insert_with(|| Task {
            harness,
            metric: Metric::of(&record.metric),
            name: record.metric.clone(),
            documents: BTreeMap::new(),
        });
        if task.harness != harness || task.name != record.metric {
            return Err(format!("{} is scored in two ways", record.label));
        }
        let counted = Counted {
            subject: record.subject.clone(),
            failed: record.error.is_some(),
            chosen: record.chosen,
            gold: record.gold,
            metrics: record.metrics.clone(),
            letter: letter_probability(record),
        };
        task.documents.entry(record.doc_id).or_insert(counted);
        Ok(())
    }

    /// The numbers of each label.
    pub fn results(&self) -> BTreeMap<&str, TaskResults> {
        self.tasks.iter().map(|(label, task)| (label.as_str(), task.results())).collect()
    }
}

impl Task {
    fn results(&self) -> TaskResults {
        let primary = match self.metric {
            Some(metric) => primary(self.harness, metric),
            None => self.name.clone(),
        };
        let counted: Vec<&Counted> =
            self.documents.values().filter(|document| !document.failed).collect();
        let (mut metrics, mut stderr) = (BTreeMap::new(), BTreeMap::new());
        for name in names(&counted) {
            let (mean, error) =
                mean(counted.iter().filter_map(|document| document.metrics.get(name)));
            metrics.insert(name.to_owned(), mean);
            stderr.extend(error.map(|error| (name.to_owned(), error)));
        }
        let mut ours = BTreeMap::new();
        if self.metric == Some(Metric::F1) && !counted.is_empty() {
            let versions: &[&str] = match self.harness {
                Harness::Olmo => &["f1"],
                Harness::OlmoEval => &["f1_v1", "f1_v2"],
            };
            metrics.extend(versions.iter().map(|name| ((*name).to_owned(), f1(&counted))));
            let right = counted.iter().filter(|document| document.chosen == Some(document.gold));
            ours.insert("acc".to_owned(), right.count() as f64 / counted.len() as f64);
        }
        if let Some(value) = macro_average(&counted, &primary) {
            ours.insert(format!("{primary}_macro"), value);
        }
        let letters: Vec<f64> = counted.iter().filter_map(|document| document.letter).collect();
        if !letters.is_empty() && letters.len() == counted.len() {
            ours.insert("letter_probability".to_owned(), mean(letters.iter()).0);
        }
        let failed = self.documents.len() - counted.len();
        let harness = self.harness.name();
        TaskResults { harness, primary, documents: counted.len(), failed, metrics, stderr, ours }
    }
}

fn names<'a>(counted: &[&'a Counted]) -> Vec<&'a str> {
    counted.first().map_or(Vec::new(), |first| first.metrics.keys().map(String::as_str).collect())
}

/// The mean, and its standard error if there are two numbers at least.
fn mean<'a>(numbers: impl Iterator<Item = &'a f64> + Clone) -> (f64, Option<f64>) {
    let count = numbers.clone().count() as f64;
    let mean = numbers.clone().sum::<f64>() / count;
    let squares: f64 = numbers.map(|number| (number - mean).powi(2)).sum();
    (mean, (count > 1.0).then(|| (squares / (count - 1.0) / count).sqrt()))
}

/// The mean over subjects of the means over their documents; None unless there are several.
fn macro_average(counted: &[&Counted], metric: &str) -> Option<f64> {
    let mut subjects: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for document in counted {
        let subject = document.subject.as_deref()?;
        subjects.entry(subject).or_default().push(*document.metrics.get(metric)?);
    }
    let means: Vec<f64> = subjects.values().map(|numbers| mean(numbers.iter()).0).collect();
    (means.len() > 1).then(|| mean(means.iter()).0)
}

/// F1 of the first choice.
fn f1(counted: &[&Counted]) -> f64 {
    let count = |chosen: bool, gold: bool| {
        let is = |document: &&&Counted| {
            (document.chosen == Some(0)) == chosen && (document.gold == 0) == gold
        };
        counted.iter().filter(is).count() as f64
    };
    let (both, chosen, gold) = (count(true, true), count(true, false), count(false, true));
    match both {
        0.0 => 0.0,
        both => 2.0 * both / (2.0 * both + chosen + gold),
    }
}

fn letter_probability(record: &Record) -> Option<f64> {
    let is_letter = |text: &str| {
        let text = text.trim_start();
        text.len() == 1 && text.bytes().all(|byte| byte.is_ascii_uppercase())
    };
    let lettered = record.choices.len() > 1 && record.choices.iter().all(|c| is_letter(&c.text));
    let right = record.choices.get(record.gold)?.loglikelihood?;
    (lettered && record.error.is_none()).then(|| right.exp())
}
