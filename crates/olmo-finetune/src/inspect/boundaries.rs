//! Where documents begin and end: lines `start,end` in a packed file.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use olmo_core::{Error, Result};

/// The most documents of one part that are taken in.
const MOST: usize = 1 << 26;
/// The longest line.
const MOST_LINE: u64 = 100;

/// The ends of the documents, which follow one another from 0; or what is wrong with the file.
pub fn read(path: &Path, tokens: u64) -> Result<Result<Vec<u64>, String>> {
    let file = File::open(path).map_err(|error| Error::io(path, error))?;
    let mut reader = BufReader::new(MultiGzDecoder::new(BufReader::new(file)));
    let (mut ends, mut line) = (Vec::new(), String::new());
    loop {
        line.clear();
        let number = ends.len() + 1;
        let mut bounded = std::io::Read::take(&mut reader, MOST_LINE);
        match bounded.read_line(&mut line) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => return Ok(Err(format!("it cannot be unpacked: {error}"))),
        }
        let end = bounds(&line).and_then(|(start, end)| {
            let before = ends.last().copied().unwrap_or(0);
            (start == before && end >= start && end <= tokens).then_some(end)
        });
        match end {
            Some(end) if ends.len() < MOST => ends.push(end),
            _ => {
                return Ok(Err(format!(
                    "line {number} is {:?}, and not where the document after the last one lies",
                    line.trim_end()
                )))
            }
        }
    }
    match ends.last() {
        Some(&end) if end < tokens => {
            Ok(Err(format!("its documents end at {end}, but there are {tokens} ids")))
        }
        _ => Ok(Ok(ends)),
    }
}

fn bounds(line: &str) -> Option<(u64, u64)> {
    let (start, end) = line.trim_end().split_once(',')?;
    Some((start.parse().ok()?, end.parse().ok()?))
}
