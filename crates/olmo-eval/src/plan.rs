//! What is to be scored.

use crate::document::Document;
use crate::record::Record;
use crate::table::{Harness, Label, Metric};

/// A task, and how it counts.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    pub label: &'a str,
    pub harness: Harness,
    pub metric: Metric,
    /// Whether all choices are single tokens.
    pub fast: bool,
}

impl<'a> Plan<'a> {
    /// A label's task, counted by a metric that need not be its own.
    pub fn new(label: &'a Label, metric: Metric) -> Plan<'a> {
        Plan { label: label.name, harness: label.harness, metric, fast: label.fast }
    }

    /// The record of a document that is not scored yet.
    pub(crate) fn record(&self, document: &Document) -> Record {
        Record {
            label: self.label.to_owned(),
            harness: self.harness.name().to_owned(),
            metric: self.metric.name().to_owned(),
            ..Record::of(document)
        }
    }
}
