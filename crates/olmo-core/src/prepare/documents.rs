//! From a folder of text files to sources of documents.

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use lzma_rust2::XzReader;

use crate::files::hashed::{read_file, sha256};
use crate::{Error, Result};

/// The line that ends a document, and the token that does.
pub const END_OF_TEXT: &str = "<|endoftext|>";

/// One file of text: documents of one kind and one origin.
pub struct Source {
    /// The file's name without `.txt` or `.txt.xz`.
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

    /// Reads a `.txt` or `.txt.xz` file.
    pub fn read(file: &Path) -> Result<Source> {
        let (name, packed) = name_of(file).ok_or_else(|| Error::InvalidFile {
            file: file.to_owned(),
            problem: "text files end in .txt or .txt.xz".to_owned(),
        })?;
        let mut bytes = read_file(file)?;
        if packed {
            bytes = unpack(&bytes, file)?;
        }
        let text = crate::files::text(file, bytes)?;
        let within = |(_, line): &(usize, &str)| {
            line.contains(END_OF_TEXT) && line.trim_end() != END_OF_TEXT
        };
        if let Some((index, _)) = text.lines().enumerate().find(within) {
            let line = index + 1;
            let problem =
                format!("line {line} holds {END_OF_TEXT} and more; it must be a line of its own");
            return Err(Error::InvalidFile { file: file.to_owned(), problem });
        }
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

/// Reads every `.txt` and `.txt.xz` file of a folder, in the order of their names.
///
/// Other files and folders in it are passed over. All the text is held in memory, unpacked.
pub fn read_folder(folder: &Path) -> Result<Vec<Source>> {
    let entries = std::fs::read_dir(folder).map_err(|error| Error::io(folder, error))?;
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    for entry in entries {
        let file = entry.map_err(|error| Error::io(folder, error))?.path();
        let Some((name, _)) = name_of(&file) else { continue };
        if let Some(other) = files.insert(name, file.clone()) {
            let problem = format!("{} is of the same name; keep one of them", other.display());
            return Err(Error::InvalidFile { file, problem });
        }
    }
    let sources: Vec<Source> =
        files.values().map(|file| Source::read(file)).collect::<Result<_>>()?;
    if sources.iter().all(Source::is_empty) {
        return Err(Error::io(folder, "it holds no text; put .txt or .txt.xz files there"));
    }
    Ok(sources)
}

/// The source's name, and whether the file is packed.
fn name_of(file: &Path) -> Option<(String, bool)> {
    let name = file.file_name()?.to_str()?;
    let (name, packed) = match name.strip_suffix(".xz") {
        Some(name) => (name, true),
        None => (name, false),
    };
    let name = name.strip_suffix(".txt")?;
    (!name.is_empty()).then(|| (name.to_owned(), packed))
}

fn unpack(packed: &[u8], file: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match XzReader::new(packed, true).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Error::InvalidFile {
            file: file.to_owned(),
            problem: format!("it cannot be unpacked as xz: {error}"),
        }),
    }
}
