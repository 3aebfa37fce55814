//! What is written down of a document: a line of `documents.jsonl`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::document::Document;
use crate::python::length;
use crate::request::Request;

/// A scored document.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub label: String,
    pub harness: String,
    /// The metric of the label.
    pub metric: String,
    pub doc_id: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(default)]
    pub prompt: String,
    pub choices: Vec<Scored>,
    pub gold: usize,
    /// Whether each choice is true, of a task with several that are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub truths: Vec<bool>,
    /// The right answer, of a question that is answered with text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    pub chosen: Option<usize>,
    pub correct: Option<bool>,
    /// What the document adds to each mean.
    pub metrics: BTreeMap<String, f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generated: Option<String>,
}

/// A scored continuation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    pub text: String,
    /// None if the document could not be scored.
    pub loglikelihood: Option<f64>,
    pub characters: usize,
    pub bytes: usize,
    /// Of the continuation.
    pub tokens: usize,
    /// Of what the model reads: context and continuation, cut to the limit, without the last.
    pub query_tokens: usize,
    /// Of the context in it.
    pub context_tokens: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unconditional: Option<f64>,
    /// What stands before it, if that is not what stands before the first choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
}

impl Record {
    /// A document that is not scored yet.
    pub fn of(document: &Document) -> Record {
        let first = document.choices.first().map(|choice| choice.context.clone());
        let prompt = first.unwrap_or_default();
        let choices = document.choices.iter().map(|choice| Scored {
            text: choice.continuation.clone(),
            characters: length(&choice.continuation),
            bytes: choice.continuation.len(),
            prompt: (choice.context != prompt).then(|| choice.context.to_string()),
            ..Scored::default()
        });
        Record {
            doc_id: document.id,
            native_id: document.native_id.clone(),
            subject: document.subject.clone(),
            choices: choices.collect(),
            prompt: prompt.to_string(),
            gold: document.gold,
            truths: document.truths.clone(),
            answer: document.answer.clone(),
            ..Record::default()
        }
    }

    /// Notes how long the requests are.
    pub fn note(&mut self, requests: &[Request]) {
        for (choice, request) in self.choices.iter_mut().zip(requests) {
            choice.tokens = request.continuation.len();
            choice.query_tokens = request.query.len();
            choice.context_tokens = request.context_len;
        }
    }

    /// Gives up on a document.
    pub fn fail(&mut self, reason: impl ToString) {
        self.error = Some(reason.to_string());
        (self.chosen, self.correct) = (None, None);
        self.metrics.clear();
    }

    /// A line of JSON, without its end.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("names and finite numbers")
    }
}
