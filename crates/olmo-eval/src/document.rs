//! A question as a task puts it.

use std::sync::Arc;

/// One document: what a harness counts as one.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its place in the task.
    pub id: usize,
    /// What its data set calls it.
    pub native_id: Option<String>,
    /// The part of the task that it belongs to, such as MMLU's subject.
    pub subject: Option<String>,
    pub choices: Vec<Choice>,
    /// Which choice is right.
    pub gold: usize,
    /// Whether each choice is true, of a task with several that are.
    pub truths: Vec<bool>,
    /// The right answer, of a question that is also answered with text.
    pub answer: Option<String>,
}

/// A continuation, and what stands before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Most often one for all choices.
    pub context: Arc<str>,
    pub continuation: String,
    /// What stands before it for `pmi_dc`.
    pub neutral: Arc<str>,
}

impl Document {
    /// A document whose choices follow one context.
    pub fn new(
        id: usize,
        context: String,
        neutral: &str,
        continuations: Vec<String>,
        gold: usize,
    ) -> Document {
        let (context, neutral): (Arc<str>, Arc<str>) = (context.into(), neutral.into());
        let choice = |continuation| Choice {
            context: context.clone(),
            continuation,
            neutral: neutral.clone(),
        };
        Document {
            id,
            native_id: None,
            subject: None,
            choices: continuations.into_iter().map(choice).collect(),
            gold,
            truths: Vec::new(),
            answer: None,
        }
    }
}
