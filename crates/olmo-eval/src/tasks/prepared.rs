//! Tasks whose prompts are finished: `OEEvalTask`.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use olmo_core::Result;
use serde_json::Value;

use crate::data::{read_requests, DataFolder, Line};
use crate::document::{Choice, Document};
use crate::table::{Label, Metric};

/// From this id on documents are copies without a question, which no label uses.
const UNCONDITIONAL: usize = 1_000_000;

const FILE: &str = "requests.jsonl.gz";

pub fn documents(
    label: &Label,
    metric: Metric,
    data: &DataFolder,
    range: Range<usize>,
) -> Result<Vec<Document>> {
    let path = data.find(&Path::new(label.data).join(FILE))?;
    let mut documents = Vec::<Document>::new();
    let neutral: Arc<str> = " ".into();
    read_requests(&path, |line| {
        if line.doc_id >= UNCONDITIONAL {
            return Ok(true);
        }
        if line.doc_id >= range.end {
            return Ok(false);
        }
        if range.contains(&line.doc_id) {
            add(&mut documents, line, metric, &neutral)?;
        }
        Ok(true)
    })?;
    Ok(documents)
}

fn add(
    documents: &mut Vec<Document>,
    line: Line,
    metric: Metric,
    neutral: &Arc<str>,
) -> Result<(), String> {
    let Some((place, gold)) = place(&line, metric)? else { return Ok(()) };
    if documents.last().is_none_or(|last| last.id != line.doc_id) {
        if documents.last().is_some_and(|last| last.id > line.doc_id) {
            return Err("documents are out of order".to_owned());
        }
        let empty = Document::new(line.doc_id, String::new(), "", Vec::new(), gold);
        documents.push(Document {
            native_id: line.native_id.as_ref().and_then(text),
            answer: line.doc.short_answer.as_ref().and_then(text),
            ..empty
        });
    }
    let document = documents.last_mut().expect("the document pushed above");
    let choices = &mut document.choices;
    if place < choices.len() {
        return Ok(()); // the first of several counts
    }
    if place > choices.len() {
        return Err("choices are out of order".to_owned());
    }
    let shared = choices.first().map(|first| first.context.clone());
    let context = shared
        .filter(|context| **context == *line.request.context)
        .unwrap_or_else(|| line.request.context.into());
    let continuation = line.request.continuation;
    choices.push(Choice { context, continuation, neutral: neutral.clone() });
    Ok(())
}

/// The place of a line among its document's choices, and the right one's; None if the metric has no use
/// for it. One that looks at a single continuation has the right one alone: where no number says which it
/// is, every line.
fn place(line: &Line, metric: Metric) -> Result<Option<(usize, usize)>, String> {
    let number = line.label.as_ref().and_then(Value::as_u64).map(|label| label as usize);
    if !metric.is_of_one() {
        let gold = number.ok_or("`label` is no number")?;
        return Ok(Some((line.idx, gold)));
    }
    let right = match &line.label {
        Some(Value::String(_) | Value::Array(_)) => true,
        Some(Value::Null) | None => line.idx == 0,
        Some(_) => number == Some(line.idx),
    };
    Ok(right.then_some((0, 0)))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
