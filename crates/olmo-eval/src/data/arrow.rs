//! Rows of a file in Arrow's streaming format, as the `datasets` package saves them.

use std::fs::File;
use std::io::BufReader;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_schema::DataType;
use olmo_core::{panic_message, Result};
use serde_json::{Map, Value};

use super::{io, unreadable};

/// The largest file that is read; no task's has a quarter of it.
const MOST_BYTES: u64 = 64 << 20;

/// The most rows of one file.
const MOST_ROWS: usize = 1 << 20;

/// One row: its columns by name.
#[derive(Debug, Clone, Default)]
pub struct Row(Map<String, Value>);

impl Row {
    /// What is at a path of columns and fields, such as `choices.text`.
    fn at(&self, path: &str) -> Option<&Value> {
        let (column, fields) = path.split_once('.').unwrap_or((path, ""));
        let fields = fields.split('.').filter(|field| !field.is_empty());
        fields.fold(self.0.get(column), |value, field| value?.get(field))
    }

    /// A text. Errors with what is wrong, if there is none.
    pub fn text(&self, path: &str) -> Result<&str, String> {
        let text = self.at(path).and_then(Value::as_str);
        text.ok_or_else(|| format!("the column `{path}` has no text"))
    }

    pub fn texts(&self, path: &str) -> Result<Vec<&str>, String> {
        let list = self.at(path).and_then(Value::as_array);
        let texts = list.and_then(|list| list.iter().map(Value::as_str).collect());
        texts.ok_or_else(|| format!("the column `{path}` has no list of texts"))
    }

    /// A number that is an index.
    pub fn index(&self, path: &str) -> Result<usize, String> {
        let number = self.at(path).and_then(Value::as_u64);
        number
            .map(|number| number as usize)
            .ok_or_else(|| format!("the column `{path}` has no index"))
    }

    pub fn flag(&self, path: &str) -> Result<bool, String> {
        let flag = self.at(path).and_then(Value::as_bool);
        flag.ok_or_else(|| format!("the column `{path}` is neither true nor false"))
    }
}

/// The rows of a file, with these columns.
///
/// Errors if the file is cut short, is no such file, or has a column missing.
pub fn read_rows(path: &Path, columns: &[&str]) -> Result<Vec<Row>> {
    let file = File::open(path).map_err(|error| io(path, &error))?;
    let size = file.metadata().map_err(|error| io(path, &error))?.len();
    if size > MOST_BYTES {
        return Err(unreadable(path, format!("it has more than {} MB", MOST_BYTES >> 20)));
    }
    // The reader takes a damaged file's word for some lengths and panics.
    catch_unwind(AssertUnwindSafe(|| rows_of(file, columns)))
        .unwrap_or_else(|panic| Err(panic_message(&*panic)))
        .map_err(|problem| unreadable(path, problem))
}

fn rows_of(file: File, columns: &[&str]) -> Result<Vec<Row>, String> {
    let no_arrow = |error| format!("it is no Arrow file, or is cut short: {error}");
    let mut reader = StreamReader::try_new(BufReader::new(file), None).map_err(no_arrow)?;
    let schema = reader.schema();
    let place =
        |column: &&str| schema.index_of(column).map_err(|_| format!("no column `{column}`"));
    let places = columns.iter().map(place).collect::<Result<Vec<usize>, String>>()?;
    let mut rows = Vec::new();
    for batch in &mut reader {
        let batch = batch.map_err(no_arrow)?;
        if rows.len() + batch.num_rows() > MOST_ROWS {
            return Err(format!("it has more than {MOST_ROWS} rows"));
        }
        push(&mut rows, &batch, columns, &places)?;
    }
    // A file that breaks off between two messages reads as a shorter one.
    if !reader.is_finished() {
        return Err("it is cut short".to_owned());
    }
    Ok(rows)
}

fn push(
    rows: &mut Vec<Row>,
    batch: &RecordBatch,
    columns: &[&str],
    places: &[usize],
) -> Result<(), String> {
    for row in 0..batch.num_rows() {
        let value = |(name, place): (&&str, &usize)| {
            Ok(((*name).to_owned(), value(batch.column(*place).as_ref(), row)?))
        };
        let row = columns.iter().zip(places).map(value).collect::<Result<_, String>>()?;
        rows.push(Row(row));
    }
    Ok(())
}

/// An element as JSON has it. Types that no task's columns have are refused.
fn value(array: &dyn Array, row: usize) -> Result<Value, String> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::List(_) => list(array.as_list::<i32>().value(row).as_ref())?,
        DataType::LargeList(_) => list(array.as_list::<i64>().value(row).as_ref())?,
        DataType::Struct(fields) => {
            let columns = array.as_struct();
            let field = |(place, field): (usize, &arrow_schema::FieldRef)| {
                Ok((field.name().clone(), value(columns.column(place).as_ref(), row)?))
            };
            let fields = fields.iter().enumerate().map(field);
            Value::Object(fields.collect::<Result<_, String>>()?)
        }
        other => return Err(format!("a column of type {other} is not read")),
    })
}

fn list(elements: &dyn Array) -> Result<Value, String> {
    let elements = (0..elements.len()).map(|element| value(elements, element));
    Ok(Value::Array(elements.collect::<Result<_, String>>()?))
}
