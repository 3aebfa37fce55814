//! Tasks of AllenAI's harnesses: their table, documents being scored, and what they come to.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::Env;
use napi_derive::napi;
use olmo_core::engine::Engine;
use olmo_core::Error;
use olmo_eval::data::DataFolder;
use olmo_eval::document::Document;
use olmo_eval::metrics::{primary, Tally};
use olmo_eval::plan::Plan;
use olmo_eval::record::Record;
use olmo_eval::run::score;
use olmo_eval::table::{find, labels, others, Harness, Label, Metric};
use olmo_eval::tasks::{documents, own_documents};
use serde_json::json;

use crate::error::{js_error, Promise, Result};
use crate::job::{Backlog, Job, Step};

/// A task's documents being scored. It tells each as a line of JSON.
#[napi]
pub struct TaskScoring(Job<String, bool>);

#[napi(object, object_to_js = false)]
pub struct TaskRequest {
    pub label: String,
    pub harness: String,
    /// Another metric than the label's
    pub metric: Option<String>,
    /// The folder with the harnesses' data
    pub data: String,
    /// The first document
    pub from: f64,
    /// The first document that is none of them any more
    pub to: f64,
    /// Documents that are scored already
    pub skip: Vec<u32>,
    /// Another number of examples than the label's
    pub shots: Option<u32>,
    /// The documents of a task of the user's own, in JSON
    pub own: Option<String>,
}

impl TaskScoring {
    pub fn new(engine: Arc<Engine>, request: TaskRequest) -> Result<TaskScoring> {
        let task = Task::of(&request).map_err(js_error)?;
        let job = Job::start("olmo2-tasks", Backlog::Wait, move |job| {
            let mut documents = task.documents(&request)?;
            let skip: HashSet<usize> = request.skip.iter().map(|&id| id as usize).collect();
            documents.retain(|document| !skip.contains(&document.id));
            let mut tell = |record: Record| job.tell_or_stop(record.to_json());
            score(&engine, task.plan(&request.label), &documents, &mut tell)?;
            Ok(true)
        })?;
        Ok(TaskScoring(job))
    }
}

/// A label of a harness, or a task of the user's own, and by what it counts.
struct Task {
    label: Option<Label>,
    harness: Harness,
    metric: Metric,
}

impl Task {
    fn of(request: &TaskRequest) -> olmo_core::Result<Task> {
        let harness = Harness::of(&request.harness).unwrap_or(Harness::OlmoEval);
        let label = match request.own {
            Some(_) => None,
            None => Some(with_shots(*label_of(harness, &request.label)?, request.shots)?),
        };
        let metric = match (&request.metric, label) {
            (Some(name), _) => metric_of(name, label.as_ref())?,
            (None, Some(label)) => label.metric,
            (None, None) => Metric::Acc,
        };
        Ok(Task { harness: label.map_or(harness, |label| label.harness), label, metric })
    }

    fn plan<'a>(&self, name: &'a str) -> Plan<'a> {
        let fast = self.label.is_some_and(|label| label.fast);
        Plan { label: name, harness: self.harness, metric: self.metric, fast }
    }

    fn documents(&self, request: &TaskRequest) -> olmo_core::Result<Vec<Document>> {
        let range = request.from as usize..request.to as usize;
        let (Some(label), None) = (&self.label, &request.own) else {
            let mut documents = own_documents(request.own.as_deref().unwrap_or("[]"))?;
            documents.retain(|document| range.contains(&document.id));
            return Ok(documents);
        };
        documents(label, self.metric, &DataFolder::new(&request.data), range)
    }
}

fn label_of(harness: Harness, name: &str) -> olmo_core::Result<&'static Label> {
    find(harness, name).ok_or_else(|| Error::InvalidOption {
        option: "tasks",
        value: name.to_owned(),
        expected: format!("{harness} has no such label").into(),
    })
}

fn with_shots(label: Label, shots: Option<u32>) -> olmo_core::Result<Label> {
    let Some(shots) = shots else { return Ok(label) };
    label.with_shots(shots as usize).ok_or_else(|| Error::InvalidOption {
        option: "shots",
        value: shots.to_string(),
        expected: format!("{} has no such number of examples", label.name).into(),
    })
}

fn metric_of(name: &str, label: Option<&Label>) -> olmo_core::Result<Metric> {
    let metric = Metric::of(name).filter(|metric| metric.is_of_harness());
    let changes = label.is_none_or(|label| label.metric.is_of_harness());
    metric.filter(|_| changes).ok_or_else(|| Error::InvalidOption {
        option: "metric",
        value: name.to_owned(),
        expected: "the harnesses have acc, len_norm, pmi_dc, f1, ce_loss and bpb".into(),
    })
}

#[napi]
impl TaskScoring {
    #[napi(catch_unwind, ts_return_type = "Promise<{ events: Array<string>, output?: boolean }>")]
    pub fn next(&self, env: &Env) -> Promise<Step<String, bool>> {
        self.0.next(env)
    }

    /// Ends it after the documents that the engine has.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

/// The labels of both harnesses, and those of neither, in JSON.
#[napi(catch_unwind)]
pub fn task_table() -> String {
    let row = |harness: Option<&str>, label: &Label| {
        json!({
            "harness": harness,
            "label": label.name,
            "class": label.class,
            "metric": label.metric.name(),
            "primary": primary(label.harness, label.metric),
            "data": label.data,
            "mostShots": label.most_shots(),
            "split": label.split,
            "documents": label.documents,
            "requests": label.requests,
        })
    };
    let own = labels().iter().map(|label| row(Some(label.harness.name()), label));
    let rows: Vec<_> = own.chain(others().iter().map(|label| row(None, label))).collect();
    json!(rows).to_string()
}

/// Scored documents on their way to a table.
#[napi]
#[derive(Default)]
pub struct TaskTally(Mutex<Tally>);

#[napi]
impl TaskTally {
    #[napi(constructor)]
    pub fn new() -> TaskTally {
        TaskTally::default()
    }

    /// Counts a line of `documents.jsonl`; `file` is for errors. Gives the document's label and place.
    #[napi(catch_unwind)]
    pub fn add(&self, line: String, file: String) -> Result<CountedDocument> {
        let wrong = |problem: String| {
            js_error(Error::InvalidFile { file: Path::new(&file).to_owned(), problem })
        };
        let record: Record = serde_json::from_str(&line)
            .map_err(|error| wrong(format!("a line of it is no scored document: {error}")))?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(&record).map_err(wrong)?;
        let failed = record.error.is_some();
        Ok(CountedDocument { label: record.label, doc_id: record.doc_id as u32, failed })
    }

    /// What each label comes to, in JSON.
    #[napi(catch_unwind)]
    pub fn results(&self) -> String {
        json!(self.0.lock().unwrap_or_else(PoisonError::into_inner).results()).to_string()
    }
}

#[napi(object, object_from_js = false)]
pub struct CountedDocument {
    pub label: String,
    pub doc_id: u32,
    pub failed: bool,
}
