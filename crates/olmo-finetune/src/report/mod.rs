//! What a preparation came to, for people and programs.

mod commands;
mod html;
mod tally;

use std::path::Path;

use olmo_core::files::{read_if_there, MOST_CONFIG};
use olmo_core::Result;
use serde::Serialize;
use serde_json::Value;

use crate::labels::{Labels, Reason};
use crate::options::{Format, Options};
use crate::setup::Run;

pub use tally::{Mixed, Tally, Written};

pub const FILE: &str = "report.json";
pub const HTML: &str = "report.html";
/// The file of Open Instruct's format.
pub const LINES: &str = "data.jsonl";

/// A file of the output.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileEntry {
    pub file: String,
    pub bytes: u64,
    pub sha256: String,
}

/// The contents of `report.json`.
#[derive(Debug, Clone)]
pub struct Report {
    pub json: Value,
}

impl Serialize for Report {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

#[derive(Serialize)]
struct Parts<'a> {
    key: &'a str,
    format: Format,
    tokenizer: &'a str,
    chat_template: Option<&'a str>,
    add_bos: bool,
    max_seq_len: Option<usize>,
    labels: Option<Labels>,
    shuffle_seed: Option<u64>,
    dtype: Option<&'a str>,
    rows: u64,
    examples: u64,
    tokens: u64,
    labelled_tokens: u64,
    longest: u64,
    sources: Vec<SourcePart<'a>>,
    dropped: Vec<DroppedPart>,
    notices: tally::Notices,
    histogram: Vec<tally::Bin>,
    files: &'a [FileEntry],
    /// How trainers are called that make their own of the data.
    commands: Vec<String>,
}

#[derive(Serialize)]
struct SourcePart<'a> {
    name: &'a str,
    files: usize,
    rows: u64,
    wanted: u64,
    kept: u64,
    tokens: u64,
    labelled_tokens: u64,
    shapes: Vec<ShapePart>,
}

#[derive(Serialize)]
struct ShapePart {
    columns: &'static str,
    rows: u64,
}

#[derive(Serialize)]
struct DroppedPart {
    reason: Reason,
    about: &'static str,
    rows: u64,
}

impl Report {
    pub fn new(run: &Run, tally: Tally, files: Vec<FileEntry>) -> Report {
        let Run { options, setup, plan, .. } = run;
        let is_text = options.format == Format::OpenInstruct;
        let sources = tally.sources.iter().zip(&plan.sources).map(|(tally, source)| SourcePart {
            name: &source.name,
            files: source.files.len(),
            rows: tally.mixed.rows,
            wanted: tally.mixed.wanted,
            kept: tally.mixed.kept,
            tokens: tally.written.tokens,
            labelled_tokens: tally.written.labelled,
            shapes: tally.shapes().map(|(columns, rows)| ShapePart { columns, rows }).collect(),
        });
        let dropped = tally.dropped().map(|(reason, rows)| DroppedPart {
            reason,
            about: reason.about(),
            rows,
        });
        let total = tally.total();
        let parts = Parts {
            key: &plan.key,
            format: options.format,
            tokenizer: &options.tokenizer_name,
            chat_template: options.chat_template.as_deref(),
            add_bos: options.add_bos,
            max_seq_len: options.max_seq_len,
            labels: labels(options),
            shuffle_seed: options.shuffle_seed,
            dtype: (!is_text).then(|| setup.dtype.name()),
            rows: tally.sources.iter().map(|source| source.mixed.rows).sum(),
            examples: total.examples,
            tokens: total.tokens,
            labelled_tokens: total.labelled,
            longest: tally.longest,
            sources: sources.collect(),
            dropped: dropped.collect(),
            notices: tally.notices,
            histogram: tally.bins(),
            files: &files,
            commands: if is_text { commands::of(options, LINES) } else { Vec::new() },
        };
        Report { json: serde_json::to_value(parts).expect("plain JSON") }
    }

    /// A page of its own.
    pub fn to_html(&self) -> String {
        html::page(&self.json)
    }
}

fn labels(options: &Options) -> Option<Labels> {
    (options.format == Format::OlmoCore).then_some(options.labels)
}

/// The report in a folder, if it is of that key.
pub fn read(folder: &Path, key: &str) -> Result<Option<Report>> {
    let Some(bytes) = read_if_there(&folder.join(FILE), MOST_CONFIG)? else { return Ok(None) };
    let json: Option<Value> = serde_json::from_slice(&bytes).ok();
    Ok(json.filter(|json| json["key"] == key).map(|json| Report { json }))
}
