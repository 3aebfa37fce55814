//! Files of rows, by what their names say.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use olmo_core::files::parquet;
use olmo_core::jinja::Data;
use olmo_core::{files, Error, Result};
use serde_json::Value;

use super::frames::Frames;
use super::{lines, packed, Content, Watch};

/// What comes of a file: the line and what is in it.
pub type Take<'a> = dyn FnMut(u64, Content) -> Result<()> + 'a;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Lines,
    Gzip,
    Zstandard,
    Parquet,
}

const ENDS: [&str; 3] = [".jsonl", ".ndjson", ".json"];
const PACKED: [(&str, Form); 3] =
    [(".gz", Form::Gzip), (".zst", Form::Zstandard), (".zstd", Form::Zstandard)];

/// The ends of names that are read, in words.
fn ends() -> String {
    let packed = PACKED.map(|(end, _)| end).join(", ");
    format!("{}, packed or not ({packed}), or {}", ENDS.join(", "), parquet::END)
}

fn form(path: &Path) -> Option<Form> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    if name.ends_with(parquet::END) {
        return Some(Form::Parquet);
    }
    let packed = PACKED.iter().find_map(|(end, form)| Some((name.strip_suffix(end)?, *form)));
    let (name, form) = packed.unwrap_or((&name, Form::Lines));
    ENDS.iter().any(|end| name.ends_with(end)).then_some(form)
}

/// The files that a path means: itself, or those in it and in its folders by their names.
pub fn find(path: &Path) -> Result<Vec<PathBuf>> {
    let found = std::fs::metadata(path).map_err(|error| Error::io(path, error))?;
    if !found.is_dir() {
        if form(path).is_none() {
            let problem = format!("files of conversations end in {}", ends());
            return Err(Error::InvalidFile { file: path.to_owned(), problem });
        }
        files::open(path)?;
        return Ok(vec![path.to_owned()]);
    }
    let mut all = Vec::new();
    search(path, 0, &mut all)?;
    if all.is_empty() {
        let problem =
            format!("the folder has no file of conversations: their names end in {}", ends());
        return Err(Error::InvalidFile { file: path.to_owned(), problem });
    }
    Ok(all)
}

/// Folders within folders that are looked into.
const DEEPEST: usize = 16;

fn search(folder: &Path, depth: usize, all: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(|error| Error::io(folder, error))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(|error| Error::io(folder, error))?.path());
    }
    paths.sort();
    for path in paths {
        let is_hidden =
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        match path.is_dir() {
            _ if is_hidden => {}
            true if depth < DEEPEST => search(&path, depth + 1, all)?,
            false if path.is_file() && form(&path).is_some() => all.push(path),
            _ => {}
        }
    }
    Ok(())
}

/// Gives every row of a file to `take`.
pub fn each_row(path: &Path, watch: Watch, take: &mut Take) -> Result<()> {
    if form(path) == Some(Form::Parquet) {
        return each_of_parquet(path, watch, take);
    }
    let counted = Counted { file: files::open(path)?, read: watch.read };
    let mut reader = BufReader::with_capacity(1 << 18, counted);
    let start = reader.fill_buf().map_err(|error| Error::io(path, error))?;
    let packed = match form(path) {
        _ if start.is_empty() => return Ok(()),
        Some(Form::Gzip) => packed::GZIP,
        Some(Form::Zstandard) => packed::ZSTD,
        _ => "",
    };
    packed::check(path, packed, start)?;
    let buffered = |unpacked| BufReader::with_capacity(1 << 18, unpacked);
    match packed {
        packed::GZIP => {
            let unpacked: Box<dyn Read> = Box::new(MultiGzDecoder::new(reader));
            lines::each(buffered(unpacked), path, packed, take)
        }
        packed::ZSTD => lines::each(buffered(Box::new(Frames::new(reader))), path, packed, take),
        _ => lines::each(reader, path, packed, take),
    }
}

/// The columns of all shapes.
const COLUMNS: [&str; 9] = [
    "messages",
    "conversations",
    "prompt",
    "completion",
    "instruction",
    "input",
    "output",
    "system",
    "tools",
];

fn each_of_parquet(path: &Path, watch: Watch, take: &mut Take) -> Result<()> {
    let rows = parquet::Rows::open(path, Some(&COLUMNS))?;
    let size = std::fs::metadata(path).map_err(|error| Error::io(path, error))?.len();
    let total = rows.total().max(1);
    // What of the file a row takes is not known: an equal share.
    let mut told = 0;
    for (index, row) in rows.enumerate() {
        let number = index as u64 + 1;
        take(number, Content::Value(data(row?)))?;
        let read = (size as f64 * (number as f64 / total as f64).min(1.0)) as u64;
        watch.read.fetch_add(read - told, Ordering::Relaxed);
        told = read;
    }
    Ok(())
}

/// Goes as deep as the file's columns, which are bounded.
fn data(value: Value) -> Data {
    match value {
        Value::Null => Data::Null,
        Value::Bool(value) => Data::Bool(value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => Data::Int(number),
            None => Data::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Data::Text(text),
        Value::Array(items) => Data::List(items.into_iter().map(data).collect()),
        Value::Object(entries) => {
            Data::Dict(entries.into_iter().map(|(key, value)| (key, data(value))).collect())
        }
    }
}

/// A file that says how much of it has been read.
struct Counted<'a> {
    file: File,
    read: &'a AtomicU64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
