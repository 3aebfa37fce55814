//! From a folder of text files to sources of documents.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::packed::{check_room, unpack, Packing};
use crate::files::hashed::{read_file, sha256};
use crate::files::parquet;
use crate::{files, Error, Result};

/// The line that ends a document, and the token that does.
pub const END_OF_TEXT: &str = "<|endoftext|>";

/// One file of text: documents of one kind and one origin.
pub struct Source {
    /// The file's name without the ends that say its form.
    pub name: String,
    /// SHA-256 of the unpacked file.
    pub sha256: String,
    /// Bytes of the unpacked file.
    pub bytes: u64,
    text: String,
    documents: Vec<Range<usize>>,
}

impl Source {
    /// Splits a text at the lines that hold [`END_OF_TEXT`] and nothing else.
    ///
    /// White space around a document goes; one that is nothing else is left out. The marker may
    /// be missing after the last document.
    pub fn new(name: String, text: String) -> Source {
        let mut documents = Vec::new();
        let mut push = |range: Range<usize>| {
            let document = &text[range.clone()];
            let start = range.start + (document.len() - document.trim_start().len());
            let document = document.trim();
            if !document.is_empty() {
                documents.push(start..start + document.len());
            }
        };
        let (mut start, mut line_start) = (0, 0);
        for line in text.split_inclusive('\n') {
            let line_end = line_start + line.len();
            if line.trim_end() == END_OF_TEXT {
                push(start..line_start);
                start = line_end;
            }
            line_start = line_end;
        }
        push(start..text.len());
        let sha256 = sha256(text.as_bytes());
        Source { name, sha256, bytes: text.len() as u64, text, documents }
    }

    /// Reads a file of one of the [forms](Form), packed or not.
    ///
    /// Errors with [`Error::InvalidFile`] that names the line or the row where one is wrong.
    pub fn read(file: &Path) -> Result<Source> {
        let invalid = |problem: String| Error::InvalidFile { file: file.to_owned(), problem };
        let Named { name, form, packing } =
            named(file).ok_or_else(|| invalid(format!("text files end in {}", ends())))?;
        let size = files::open(file)?.metadata().map_err(|error| Error::io(file, error))?.len();
        check_room(size, file)?;
        let mut bytes = read_file(file)?;
        if form == Form::Parquet {
            let documents = Documents::of_parquet(file)?;
            return Ok(documents.source(name, &bytes));
        }
        if let Some(packing) = packing {
            bytes = unpack(packing, &bytes, file)?;
        }
        let text = files::text(file, bytes)?;
        if form == Form::JsonLines {
            let documents = Documents::of_json_lines(&text).map_err(invalid)?;
            return Ok(documents.source(name, text.as_bytes()));
        }
        check_markers(&text).map_err(invalid)?;
        Ok(Source::new(name, text))
    }

    /// How many documents there are.
    pub fn len(&self) -> usize {
        self.documents.len()
    }

    pub fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    /// The documents, in the file's order.
    pub fn documents(&self) -> impl ExactSizeIterator<Item = &str> {
        self.documents.iter().map(|range| &self.text[range.clone()])
    }
}

/// Documents that come one by one, each without the white space around it.
#[derive(Default)]
struct Documents {
    text: String,
    ranges: Vec<Range<usize>>,
}

impl Documents {
    /// A document a line: an object with its text in `text`, as in Dolma.
    fn of_json_lines(lines: &str) -> Result<Documents, String> {
        let mut documents = Documents::default();
        for (index, line) in lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let line_number = index + 1;
            let Line { text } = serde_json::from_str(line).map_err(|error| {
                format!("line {line_number} is not an object with a `text`: {error}")
            })?;
            documents.push(&text).map_err(|problem| format!("line {line_number} {problem}"))?;
        }
        Ok(documents)
    }

    /// A document a row, in the column `text`.
    fn of_parquet(file: &Path) -> Result<Documents> {
        let invalid = |problem: String| Error::InvalidFile { file: file.to_owned(), problem };
        let mut documents = Documents::default();
        for (index, row) in parquet::Rows::open(file, Some(&["text"]))?.enumerate() {
            let (row, row_number) = (row?, index + 1);
            let text = row["text"].as_str();
            let text = text.ok_or_else(|| invalid(format!("row {row_number} has no text")))?;
            let needed = documents.text.len() + text.len();
            if needed > documents.text.capacity() {
                check_room(2 * needed as u64, file)?;
            }
            let pushed = documents.push(text);
            pushed.map_err(|problem| invalid(format!("row {row_number} {problem}")))?;
        }
        Ok(documents)
    }

    fn push(&mut self, document: &str) -> Result<(), String> {
        if document.contains(END_OF_TEXT) {
            return Err(format!("holds {END_OF_TEXT} in its text"));
        }
        let document = document.trim();
        if !document.is_empty() {
            self.ranges.push(self.text.len()..self.text.len() + document.len());
            self.text.push_str(document);
        }
        Ok(())
    }

    /// The source of these documents, whose unpacked file has these bytes.
    fn source(self, name: String, file: &[u8]) -> Source {
        let (sha256, bytes) = (sha256(file), file.len() as u64);
        Source { name, sha256, bytes, text: self.text, documents: self.ranges }
    }
}

/// The part of a line of JSON that is read.
#[derive(Deserialize)]
struct Line {
    text: String,
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Documents between lines with [`END_OF_TEXT`].
    Text,
    /// Objects, one a line, each with a document in `text`.
    JsonLines,
    /// Rows with a document in their column `text`. Packed within, page by page.
    Parquet,
}

impl Form {
    /// Ends of file names. Dolma's files are called `.json.gz` and have an object a line.
    const ENDS: [(&'static str, Form); 6] = [
        (".txt", Form::Text),
        (".md", Form::Text),
        (".jsonl", Form::JsonLines),
        (".ndjson", Form::JsonLines),
        (".json", Form::JsonLines),
        (parquet::END, Form::Parquet),
    ];
}

/// The ends of file names that are read, in words.
fn ends() -> String {
    let all = Form::ENDS.iter().filter(|(_, form)| *form != Form::Parquet);
    let forms: Vec<_> = all.map(|(end, _)| *end).collect();
    let packings = Packing::ENDS.map(|(end, _)| end).join(", ");
    format!("{}, each of them packed or not ({packings}), or {}", forms.join(", "), parquet::END)
}

fn check_markers(text: &str) -> Result<(), String> {
    let within =
        |(_, line): &(usize, &str)| line.contains(END_OF_TEXT) && line.trim_end() != END_OF_TEXT;
    match text.lines().enumerate().find(within) {
        None => Ok(()),
        Some((index, _)) => {
            let line = index + 1;
            Err(format!("line {line} holds {END_OF_TEXT} and more; it must be a line of its own"))
        }
    }
}

/// Reads every file of text of a folder, in the order of their names.
///
/// Other files and folders in it are passed over. All the text is held in memory, unpacked.
pub fn read_folder(folder: &Path) -> Result<Vec<Source>> {
    let entries = std::fs::read_dir(folder).map_err(|error| Error::io(folder, error))?;
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    for entry in entries {
        let file = entry.map_err(|error| Error::io(folder, error))?.path();
        let Some(Named { name, .. }) = named(&file).filter(|_| file.is_file()) else { continue };
        if let Some(other) = files.insert(name, file.clone()) {
            let problem = format!("{} is of the same name; keep one of them", other.display());
            return Err(Error::InvalidFile { file, problem });
        }
    }
    let sources: Vec<Source> =
        files.values().map(|file| Source::read(file)).collect::<Result<_>>()?;
    if sources.iter().all(Source::is_empty) {
        return Err(Error::io(
            folder,
            format!("it holds no text; put files there that end in {}", ends()),
        ));
    }
    Ok(sources)
}

/// What a file's name says.
struct Named {
    /// The source's: without the ends.
    name: String,
    form: Form,
    packing: Option<Packing>,
}

/// None if it is no name of a text file.
fn named(file: &Path) -> Option<Named> {
    let name = file.file_name()?.to_str()?;
    let packed =
        Packing::ENDS.iter().find_map(|(end, kind)| Some((name.strip_suffix(end)?, *kind)));
    let (name, packing) = packed.map_or((name, None), |(name, kind)| (name, Some(kind)));
    let found = Form::ENDS.iter().find_map(|(end, form)| Some((name.strip_suffix(end)?, *form)));
    let (name, form) = found.filter(|(name, _)| !name.is_empty())?;
    if form == Form::Parquet && packing.is_some() {
        return None;
    }
    Some(Named { name: name.to_owned(), form, packing })
}
