//! From data to documents: what each class of the harnesses does.
//!
//! A class over Arrow data is a row of [`of_rows`]' table: its columns, and how a row becomes a document.
//! What has more to it than one prompt and its choices has a file of its own.

mod few_words;
mod hellaswag;
mod mmlu;
mod own;
mod prepared;
mod questions;
mod truthful_qa;
mod winogrande;

pub use own::own_documents;

use std::ops::Range;
use std::path::Path;

use olmo_core::{Error, Result};

use crate::data::{read_rows, DataFolder, Row};
use crate::document::Document;
use crate::table::{Label, Metric};

/// How a row becomes a document with this id. Errors with what is wrong with the row.
type MakeDocument = fn(usize, &Row) -> Result<Document, String>;

/// The documents of a label whose ids are in `range`, with what `metric` needs of them. Data behind them
/// are not read.
///
/// Errors if data are missing or damaged.
pub fn documents(
    label: &Label,
    metric: Metric,
    data: &DataFolder,
    range: Range<usize>,
) -> Result<Vec<Document>> {
    match label.class {
        "OEEvalTask" => prepared::documents(label, metric, data, range),
        "GSM8K" => prepared::documents(label, Metric::Bpb, data, range),
        "TruthfulQA" => truthful_qa::documents(label, data, range),
        "MMLU" => mmlu::documents(label, metric, data, range),
        class => of_rows(class, label, data, range),
    }
}

fn of_rows(
    class: &str,
    label: &Label,
    data: &DataFolder,
    range: Range<usize>,
) -> Result<Vec<Document>> {
    let (columns, make): (&[&str], MakeDocument) = match class {
        "ArcEasy" | "ArcChallenge" | "BasicArithmetic" | "CommonsenseQA" => questions::ARC,
        "ArcEasyCELoss" => questions::ARC_ANSWER,
        "BoolQ" => few_words::BOOLQ,
        "COPA" => questions::COPA,
        "CommitmentBank" => few_words::COMMITMENT_BANK,
        "HellaSwag" => hellaswag::HELLASWAG,
        "MRPC" => few_words::MRPC,
        "NaturalQuestionsCELoss" => questions::NATURAL_QUESTIONS,
        "OpenBookQA" => questions::OPEN_BOOK_QA,
        "PIQA" => questions::PIQA,
        "RTE" => few_words::RTE,
        "SST2" => few_words::SST2,
        "SciQ" => questions::SCIQ,
        "SocialIQa" => questions::SOCIAL_IQA,
        "TriviaQACELoss" => questions::TRIVIA_QA,
        "WinoGrande" => winogrande::WINOGRANDE,
        other => return Err(Error::Internal(format!("no task makes documents of class {other}"))),
    };
    let path = data.find(&Path::new(label.data).join(label.split).join(FILE))?;
    let rows = read_rows(&path, columns)?;
    let wanted = range.start.min(rows.len())..range.end.min(rows.len());
    let document = |id: usize| {
        make(id, &rows[id]).map_err(|problem| Error::InvalidFile {
            file: path.clone(),
            problem: format!("row {id}: {problem}"),
        })
    };
    wanted.map(document).collect()
}

/// The name of the file of each data set in Arrow.
const FILE: &str = "data-00000-of-00001.arrow";

/// With the blank that a continuation begins with.
fn after_blank(text: &str) -> String {
    format!(" {text}")
}

fn all_after_blank(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| after_blank(text)).collect()
}
