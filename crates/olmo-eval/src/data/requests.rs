//! `requests.jsonl.gz`: prompts that are finished, a line for each continuation.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use olmo_core::Result;
use serde::Deserialize;
use serde_json::Value;

use super::{io, unreadable};

/// The longest line that is read; no task has one of a tenth of it.
const MOST_LINE: u64 = 4 << 20;

/// The most text of one file, unpacked.
const MOST_BYTES: u64 = 2 << 30;

/// A line: what may follow a context.
#[derive(Debug, Deserialize)]
pub struct Line {
    pub doc_id: usize,
    /// Which choice it is.
    pub idx: usize,
    /// Which choice is right; of a task without choices a text, texts, or null.
    pub label: Option<Value>,
    pub native_id: Option<Value>,
    pub request: Request,
    #[serde(default)]
    pub doc: Doc,
}

#[derive(Debug, Deserialize)]
pub struct Request {
    pub context: String,
    pub continuation: String,
}

/// What is used of the question itself.
#[derive(Debug, Default, Deserialize)]
pub struct Doc {
    pub short_answer: Option<Value>,
}

/// Hands over a file's lines, until `each` says that it has enough.
///
/// Errors if the file is cut short, or a line is no request.
pub fn read_requests(
    path: &Path,
    mut each: impl FnMut(Line) -> Result<bool, String>,
) -> Result<()> {
    let file = File::open(path).map_err(|error| io(path, &error))?;
    let unpacked = MultiGzDecoder::new(BufReader::new(file));
    let mut lines = BufReader::new(unpacked.take(MOST_BYTES));
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = (&mut lines).take(MOST_LINE).read_until(b'\n', &mut line);
        let read = read.map_err(|error| {
            unreadable(path, format!("it is no gzip file, or is cut short: {error}"))
        })?;
        if read == 0 && number == 1 {
            return Err(unreadable(path, "it has no lines"));
        }
        if read == 0 {
            break;
        }
        let wrong = |problem: String| unreadable(path, format!("line {number}: {problem}"));
        if read as u64 == MOST_LINE {
            return Err(wrong(format!("it has more than {} MB", MOST_LINE >> 20)));
        }
        let request = serde_json::from_slice(&line).map_err(|error| wrong(error.to_string()))?;
        if !each(request).map_err(wrong)? {
            return Ok(());
        }
    }
    match lines.into_inner().limit() {
        0 => Err(unreadable(path, format!("it has more than {} GB of text", MOST_BYTES >> 30))),
        _ => Ok(()),
    }
}
