//! Rows of Parquet files as JSON values, a row at a time.
//!
//! The format: <https://parquet.apache.org/docs/file-format/>. Pages may be packed with Snappy, gzip, LZ4
//! or zstd.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;
use serde_json::Value;

use crate::{files, panics, Error, Result};

/// The end of a file's name that says it.
pub const END: &str = ".parquet";

/// What a file begins and ends with.
const MAGIC: &[u8; 4] = b"PAR1";

/// The most metadata that is read. It holds some hundred bytes a column of a row group.
const MOST_METADATA: u32 = 64 << 20;

/// The most columns and groups of columns. The library goes down a schema by calling itself.
const MOST_FIELDS: u64 = 500;

/// The rows of a file.
pub struct Rows {
    path: PathBuf,
    rows: RowIter<'static>,
    nested: Nested,
    total: u64,
    failed: bool,
}

impl Rows {
    /// Opens a file, to read those of the named columns that it has, or all.
    ///
    /// Errors with [`Error::InvalidFile`] if it is damaged, or has none of the columns.
    pub fn open(path: &Path, columns: Option<&[&str]>) -> Result<Rows> {
        let mut file = files::open(path)?;
        check_metadata(&mut file).map_err(|problem| invalid(path, problem))?;
        let open = || -> Result<_, ParquetError> {
            let reader = SerializedFileReader::new(file)?;
            let metadata = reader.metadata().file_metadata();
            let total = metadata.num_rows().try_into().unwrap_or(0);
            let chosen = match choose(metadata.schema(), columns)? {
                Ok(chosen) => chosen,
                Err(problem) => return Ok(Err(problem)),
            };
            let nested = Nested::of(&chosen);
            let rows = RowIter::from_file_into(Box::new(reader)).project(Some(chosen))?;
            Ok(Ok((rows, nested, total)))
        };
        let opened = guarded(open).and_then(|opened| opened);
        let (rows, nested, total) = opened.map_err(|problem| invalid(path, problem))?;
        Ok(Rows { path: path.to_owned(), rows, nested, total, failed: false })
    }

    /// How many rows there are, as the file has it.
    pub fn total(&self) -> u64 {
        self.total
    }
}

impl Iterator for Rows {
    type Item = Result<Value>;

    /// A row as an object of its columns. After an error there is no other.
    fn next(&mut self) -> Option<Result<Value>> {
        if self.failed {
            return None;
        }
        let rows = &mut self.rows;
        let row = guarded(|| rows.next().map(|row| Ok(row?.to_json_value())).transpose());
        let mut row = row.map_err(|problem| invalid(&self.path, problem)).transpose()?;
        self.failed = row.is_err();
        if let Ok(row) = &mut row {
            self.nested.open(row);
        }
        Some(row)
    }
}

/// Where in a row there are texts in JSON, which stand for what they hold: so `datasets` keeps columns of no one type.
enum Nested {
    Nowhere,
    Here,
    Items(Box<Nested>),
    Entries(Vec<(String, Nested)>),
}

impl Nested {
    fn of(field: &Type) -> Nested {
        let info = field.get_basic_info();
        if field.is_primitive() {
            let is_json = info.converted_type() == ConvertedType::JSON
                || info.logical_type_ref() == Some(&LogicalType::Json);
            return if is_json { Nested::Here } else { Nested::Nowhere };
        }
        let fields = field.get_fields();
        if info.converted_type() == ConvertedType::LIST
            || info.logical_type_ref() == Some(&LogicalType::List)
        {
            let [repeated] = fields else { return Nested::Nowhere };
            // A list of three levels, whose middle one has no meaning, or of two.
            let item = match repeated.is_group() && repeated.get_fields().len() == 1 {
                true => &repeated.get_fields()[0],
                false => repeated,
            };
            return match Nested::of(item) {
                Nested::Nowhere => Nested::Nowhere,
                inner => Nested::Items(Box::new(inner)),
            };
        }
        let entry = |field: &Arc<Type>| match Nested::of(field) {
            Nested::Nowhere => None,
            inner => Some((field.name().to_owned(), inner)),
        };
        match fields.iter().filter_map(entry).collect::<Vec<_>>() {
            entries if entries.is_empty() => Nested::Nowhere,
            entries => Nested::Entries(entries),
        }
    }

    /// Puts what the texts hold in their place; one that is no JSON stays.
    fn open(&self, value: &mut Value) {
        match (self, value) {
            (Nested::Here, value) => {
                if let Some(inner) = value.as_str().and_then(|text| serde_json::from_str(text).ok())
                {
                    *value = inner;
                }
            }
            (Nested::Items(inner), Value::Array(items)) => {
                items.iter_mut().for_each(|item| inner.open(item));
            }
            (Nested::Entries(entries), Value::Object(object)) => {
                for (name, inner) in entries {
                    if let Some(value) = object.get_mut(name) {
                        inner.open(value);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Runs the library, whose panics on damaged files become what is wrong with them.
fn guarded<T>(work: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match panics::catch(work) {
        Ok(result) => result.map_err(|error| {
            format!("it cannot be read as Parquet (packed with snappy, gzip, lz4 or zstd): {error}")
        }),
        Err(said) => Err(format!("it is damaged: {said}")),
    }
}

/// A schema of the columns that are wanted, or that there are none of them.
fn choose(schema: &Type, columns: Option<&[&str]>) -> Result<Result<Type, String>, ParquetError> {
    let wanted = |field: &&Arc<Type>| columns.is_none_or(|names| names.contains(&field.name()));
    let fields: Vec<_> = schema.get_fields().iter().filter(wanted).cloned().collect();
    if fields.is_empty() {
        let has: Vec<_> = schema.get_fields().iter().take(20).map(|field| field.name()).collect();
        return Ok(Err(format!(
            "it has no column {}, but: {}",
            columns.unwrap_or_default().join(" or "),
            has.join(", ")
        )));
    }
    Type::group_type_builder(schema.name()).with_fields(fields).build().map(Ok)
}

/// Bounds what the library takes at the file's word.
fn check_metadata(file: &mut File) -> Result<(), String> {
    let cut = || "it is not a Parquet file, or was cut short".to_owned();
    let damaged = |_| cut();
    let size = file.seek(SeekFrom::End(0)).map_err(damaged)?;
    file.seek(SeekFrom::End(-8)).map_err(damaged)?;
    let mut tail = [0; 8];
    file.read_exact(&mut tail).map_err(damaged)?;
    let [length @ .., b'P', b'A', b'R', b'1'] = tail else {
        return Err(match &tail[4..] {
            b"PARE" => "it is encrypted".to_owned(),
            _ => cut(),
        });
    };
    let length = u32::from_le_bytes(length);
    if length > MOST_METADATA || u64::from(length) + 8 + MAGIC.len() as u64 > size {
        return Err(format!("its metadata is said to have {length} bytes, of a file of {size}"));
    }
    file.seek(SeekFrom::End(-8 - i64::from(length))).map_err(damaged)?;
    let mut head = [0; 32];
    let head = &mut head[..32.min(length as usize)];
    file.read_exact(head).map_err(damaged)?;
    file.rewind().map_err(damaged)?;
    match schema_len(head) {
        Some(fields) if fields <= MOST_FIELDS => Ok(()),
        Some(fields) => Err(format!("it has {fields} columns, more than {MOST_FIELDS}")),
        None => Err("its metadata does not begin with a version and a schema".to_owned()),
    }
}

/// How many elements the schema has that metadata begins with: in Thrift's compact protocol a version
/// (field 1, a number) and then the schema (field 2, a list of structs).
fn schema_len(metadata: &[u8]) -> Option<u64> {
    const NUMBER: u8 = 0x15;
    const LIST: u8 = 0x19;
    const STRUCT: u8 = 0x0C;
    let (&NUMBER, rest) = metadata.split_first()? else { return None };
    let (_, rest) = varint(rest)?;
    let (&LIST, rest) = rest.split_first()? else { return None };
    let (&header, rest) = rest.split_first()?;
    match (header >> 4, header & 0x0F) {
        (0x0F, STRUCT) => Some(varint(rest)?.0),
        (count, STRUCT) => Some(count.into()),
        _ => None,
    }
}

/// A number of seven bits a byte, the lowest first, and what follows it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let len = 1 + bytes.iter().take(9).position(|byte| byte & 0x80 == 0)?;
    let parts = bytes[..len].iter().enumerate();
    let value = parts.map(|(index, byte)| u64::from(byte & 0x7F) << (7 * index)).sum();
    Some((value, &bytes[len..]))
}

fn invalid(path: &Path, problem: String) -> Error {
    Error::InvalidFile { file: path.to_owned(), problem }
}
