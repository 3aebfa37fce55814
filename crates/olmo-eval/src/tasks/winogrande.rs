//! WinoGrande: whom a sentence speaks of. Each choice has a context of its own, and all are followed by
//! the same end of the sentence.

use super::questions::counted_from_one;
use super::{after_blank, MakeDocument};
use crate::data::Row;
use crate::document::{Choice, Document};
use crate::python::strip;

pub const WINOGRANDE: (&[&str], MakeDocument) =
    (&["sentence", "option1", "option2", "answer"], winogrande);

fn winogrande(id: usize, row: &Row) -> Result<Document, String> {
    let sentence = row.text("sentence")?;
    let (before, after) = sentence.split_once('_').ok_or("`sentence` has no gap")?;
    let continuation = after_blank(strip(after));
    let choice = |option: &str| Choice {
        context: format!("{before}{option}").into(),
        continuation: continuation.clone(),
        neutral: option.into(),
    };
    let choices = vec![choice(row.text("option1")?), choice(row.text("option2")?)];
    let gold = counted_from_one(row, "answer")?;
    Ok(Document { choices, ..Document::new(id, String::new(), "", Vec::new(), gold) })
}
