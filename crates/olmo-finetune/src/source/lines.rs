//! Rows of a stream, each of bounded length.

use std::io::{BufRead, Error as IoError};
use std::path::Path;

use olmo_core::{files, Error, Result};

use super::files::Take;
use super::list::Items;
use super::{packed, Content};

/// The longest line that is taken for a conversation.
pub const MOST_LINE: usize = 64 << 20;

/// Gives every row to `take`: the lines that are not blank, counted from 1, or the items of a file that is one list,
/// with the lines where they begin.
///
/// `packed` says with what the file is packed, for what is told of its damages.
pub fn each(mut reader: impl BufRead, path: &Path, packed: &str, take: &mut Take) -> Result<()> {
    let told = |error, number| packed::fault(path, packed, &error, number);
    let start = reader.fill_buf().map_err(|error| told(error, 0))?;
    let start = start.strip_prefix(BOM).unwrap_or(start);
    let mut number = 0;
    if start.trim_ascii_start().starts_with(b"[") {
        let mut items = Items::new(reader);
        while let Some((line, item)) = items.next().map_err(|error| told(error, items.line()))? {
            take_row(line, item, take)?;
        }
        return match items.problem() {
            None => Ok(()),
            Some(problem) => Err(Error::InvalidFile { file: path.to_owned(), problem }),
        };
    }
    while let Some(line) = next(&mut reader).map_err(|error| told(error, number))? {
        number += 1;
        let line = match line {
            Line::Whole(mut line) if number == 1 => {
                files::refuse_pointer(path, &line)?;
                if line.starts_with(BOM) {
                    line.drain(..BOM.len());
                }
                Line::Whole(line)
            }
            line => line,
        };
        take_row(number, line, take)?;
    }
    Ok(())
}

/// What some programs begin a text in UTF-8 with.
const BOM: &[u8] = b"\xEF\xBB\xBF";

fn take_row(number: u64, line: Line, take: &mut Take) -> Result<()> {
    match line {
        Line::Long => {
            let most = MOST_LINE >> 20;
            take(number, Content::Broken(format!("the line has more than {most} MiB")))
        }
        Line::Whole(line) if line.iter().all(|byte| byte.is_ascii_whitespace()) => Ok(()),
        Line::Whole(line) => take(number, Content::Line(line)),
    }
}

pub enum Line {
    Whole(Vec<u8>),
    /// It is passed over.
    Long,
}

/// The next line, without its end; none at the end of the stream.
fn next(reader: &mut impl BufRead) -> Result<Option<Line>, IoError> {
    let (mut line, mut is_long, mut is_there) = (Vec::new(), false, false);
    loop {
        let part = reader.fill_buf()?;
        if part.is_empty() {
            break;
        }
        is_there = true;
        let end = part.iter().position(|&byte| byte == b'\n');
        let taken = end.unwrap_or(part.len());
        is_long |= line.len() + taken > MOST_LINE;
        match is_long {
            true => line = Vec::new(),
            false => line.extend_from_slice(&part[..taken]),
        }
        reader.consume(taken + usize::from(end.is_some()));
        if end.is_some() {
            break;
        }
    }
    Ok(is_there.then_some(if is_long { Line::Long } else { Line::Whole(line) }))
}
