//! The table of options as data, for surfaces that are written in other languages.

use serde_json::{json, Value};

use super::entry::{Kind, OptionEntry, OptionValue, Range};
use super::options::GenerationOptions;

/// All options, in the order of the table, with all that is known of each.
pub fn describe() -> Value {
    GenerationOptions::default()
        .values()
        .into_iter()
        .map(|(entry, value)| one(entry, &value))
        .collect()
}

fn one(entry: &OptionEntry, default: &OptionValue) -> Value {
    json!({
        "name": entry.name,
        "kind": kind(entry.kind),
        "docs": entry.docs,
        "range": range(entry.range),
        "default": entry.default_is.map_or_else(|| to_json(default), Value::from),
        "huggingFace": entry.hugging_face,
        "defaultThere": entry.default_there,
        "inConfig": entry.in_config,
        "gguf": entry.gguf,
        "needs": entry.needs,
        "makesMany": entry.makes_many,
    })
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Flag => "flag",
        Kind::Count => "count",
        Kind::Number => "number",
        Kind::Seed => "seed",
        Kind::Ids => "ids",
        Kind::IdLists => "idLists",
        Kind::Texts => "texts",
        Kind::Biases => "biases",
        Kind::Text => "text",
        Kind::Schema => "schema",
    }
}

/// The range in words; null if every value of the kind is in it.
fn range(range: Range) -> Option<String> {
    match range {
        Range::Any => None,
        Range::From(least) => Some(format!("from {least}")),
        Range::UpTo(most) => Some(format!("at most {most}")),
        Range::Within(least, most) => Some(format!("from {least} to {most}")),
        Range::Above(least, most) => Some(format!("above {least}, at most {most}")),
    }
}

/// A value as JSON: null for what is off.
pub fn to_json(value: &OptionValue) -> Value {
    match value {
        OptionValue::Off => Value::Null,
        OptionValue::Flag(flag) => json!(flag),
        OptionValue::Count(count) => json!(count),
        // A whole number is written as one, so that 1 is not 1.0.
        OptionValue::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
            json!(*number as i64)
        }
        OptionValue::Number(number) => json!(number),
        OptionValue::Seed(seed) => json!(seed),
        OptionValue::Ids(ids) => json!(ids),
        OptionValue::IdLists(lists) => json!(lists),
        OptionValue::Texts(texts) => json!(texts),
        OptionValue::Biases(biases) => json!(biases),
        OptionValue::Text(text) => json!(text),
        OptionValue::Schema(schema) => json!(schema.0),
    }
}
