//! Rows of a file in Arrow's streaming format, as the `datasets` package saves them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::root_as_message;
use arrow_schema::DataType;
use olmo_core::{panics, Result};
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
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| io(path, &error))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(unreadable(path, format!("it has more than {} MB", MOST_BYTES >> 20)));
    }
    // The reader takes a damaged file's word for some lengths and panics.
    panics::catch(|| rows_of(bytes, columns))
        .unwrap_or_else(|said| Err(format!("it is damaged: {said}")))
        .map_err(|problem| unreadable(path, problem))
}

const CUT: &str = "it is no Arrow file, or is cut short";

fn rows_of(bytes: Vec<u8>, columns: &[&str]) -> Result<Vec<Row>, String> {
    check_lengths(&bytes).ok_or(CUT)?;
    let no_arrow = |error| format!("{CUT}: {error}");
    // Each element of a column takes a bit at least, and of a text four bytes.
    let mut left = bytes.len();
    let mut unread = Buffer::from_vec(bytes);
    let mut decoder = StreamDecoder::new();
    let mut rows = Vec::new();
    while let Some(batch) = decoder.decode(&mut unread).map_err(no_arrow)? {
        if rows.len() + batch.num_rows() > MOST_ROWS {
            return Err(format!("it has more than {MOST_ROWS} rows"));
        }
        push(&mut rows, &batch, columns, &mut left)?;
    }
    match rows.is_empty() {
        true => Err("it has no rows".to_owned()),
        false => Ok(rows),
    }
}

/// Whether the file has every message as long as it says, the mark of the end behind them, and no more elements in a
/// column than bytes. The reader makes room for what a message says, and takes a file that breaks off between two
/// messages for a shorter one.
fn check_lengths(mut bytes: &[u8]) -> Option<()> {
    let all = bytes.len();
    loop {
        let (mut length, mut rest) = bytes.split_first_chunk::<4>()?;
        if *length == CONTINUATION {
            (length, rest) = rest.split_first_chunk::<4>()?;
        }
        let length = u32::from_le_bytes(*length) as usize;
        if length == 0 {
            return Some(());
        }
        let (head, rest) = rest.split_at_checked(length)?;
        let message = root_as_message(head).ok()?;
        let rows = message.header_as_record_batch();
        let nodes = rows.and_then(|rows| rows.nodes()).into_iter().flatten();
        let mut counts = nodes.map(|node| node.length()).chain(rows.map(|rows| rows.length()));
        if !counts.all(|count| usize::try_from(count).is_ok_and(|count| count <= all)) {
            return None;
        }
        (_, bytes) = rest.split_at_checked(message.bodyLength().try_into().ok()?)?;
    }
}

/// What stands before a message's length.
const CONTINUATION: [u8; 4] = [0xFF; 4];

fn push(
    rows: &mut Vec<Row>,
    batch: &RecordBatch,
    columns: &[&str],
    left: &mut usize,
) -> Result<(), String> {
    let column = |name: &&str| {
        let found = batch.column_by_name(name).ok_or_else(|| format!("no column `{name}`"))?;
        Ok(((*name).to_owned(), found))
    };
    let columns: Vec<_> = columns.iter().map(column).collect::<Result<_, String>>()?;
    for row in 0..batch.num_rows() {
        let mut value = |(name, column): &(String, &ArrayRef)| {
            Ok((name.clone(), value(column.as_ref(), row, left)?))
        };
        let row = columns.iter().map(&mut value).collect::<Result<_, String>>()?;
        rows.push(Row(row));
    }
    Ok(())
}

/// An element as JSON has it, one of those that are `left`. Types that no task's columns have are refused.
fn value(array: &dyn Array, row: usize, left: &mut usize) -> Result<Value, String> {
    *left = left.checked_sub(1).ok_or("it has more elements than bytes")?;
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::List(_) => list(array.as_list::<i32>().value(row).as_ref(), left)?,
        DataType::LargeList(_) => list(array.as_list::<i64>().value(row).as_ref(), left)?,
        DataType::Struct(fields) => {
            let columns = array.as_struct();
            let field = |(place, field): (usize, &arrow_schema::FieldRef)| {
                Ok((field.name().clone(), value(columns.column(place).as_ref(), row, left)?))
            };
            let fields = fields.iter().enumerate().map(field);
            Value::Object(fields.collect::<Result<_, String>>()?)
        }
        other => return Err(format!("a column of type {other} is not read")),
    })
}

fn list(elements: &dyn Array, left: &mut usize) -> Result<Value, String> {
    let elements = (0..elements.len()).map(|element| value(elements, element, left));
    Ok(Value::Array(elements.collect::<Result<_, String>>()?))
}
