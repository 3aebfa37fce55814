//! HellaSwag: which ending a scene has.

use std::sync::LazyLock;

use regex::Regex;

use super::{after_blank, MakeDocument};
use crate::data::Row;
use crate::document::Document;
use crate::python::{capitalize, strip};

pub const HELLASWAG: (&[&str], MakeDocument) =
    (&["activity_label", "ctx_a", "ctx_b", "endings", "label"], hellaswag);

fn hellaswag(id: usize, row: &Row) -> Result<Document, String> {
    let (activity, before) = (row.text("activity_label")?, row.text("ctx_a")?);
    let begun = capitalize(row.text("ctx_b")?);
    let context = cleaned(&format!("{activity}: {before} {begun}"));
    let neutral = match cleaned(&begun) {
        empty if empty.is_empty() => last_word(&cleaned(before)),
        begun => begun,
    };
    let endings = row.texts("endings")?.into_iter().map(|ending| after_blank(&cleaned(ending)));
    let label = strip(row.text("label")?).parse().map_err(|_| "`label` is no number")?;
    Ok(Document::new(id, context, &neutral, endings.collect(), label))
}

fn last_word(text: &str) -> String {
    text.rsplit(' ').next().unwrap_or_default().to_owned()
}

/// Without what its source, WikiHow, leaves in brackets.
fn cleaned(text: &str) -> String {
    static BRACKETS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\[.*?\]").expect("a pattern"));
    let text = strip(text).replace(" [title]", ". ");
    BRACKETS.replace_all(&text, "").replace("  ", " ")
}
