//! The items of a file that is one list in JSON, without the whole of it in memory.

use std::io::{BufRead, Error as IoError};

use super::lines::{Line, MOST_LINE};

/// Cuts a list at the commas between its items; what is in them is for others to read.
pub struct Items<R> {
    reader: R,
    line: u64,
    at: Place,
    problem: Option<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    BeforeList,
    /// Behind the bracket that opens it.
    BeforeFirst,
    /// Behind a comma.
    BeforeNext,
    InItem,
    AfterList,
}

/// What of an item has been passed.
#[derive(Default)]
struct Item {
    bytes: Vec<u8>,
    line: u64,
    is_long: bool,
    depth: usize,
    in_text: bool,
    escapes: bool,
}

impl<R: BufRead> Items<R> {
    pub fn new(reader: R) -> Items<R> {
        Items { reader, line: 1, at: Place::BeforeList, problem: None }
    }

    /// Where it is.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// What was wrong with the list, if it ended before its end.
    pub fn problem(self) -> Option<String> {
        self.problem
    }

    /// The next item, and the line where it begins.
    pub fn next(&mut self) -> Result<Option<(u64, Line)>, IoError> {
        let mut item = Item::default();
        while self.problem.is_none() {
            let part = self.reader.fill_buf()?;
            if part.is_empty() {
                if !matches!(self.at, Place::BeforeList | Place::AfterList) {
                    let cut = "the list of rows is not closed: the file was cut short";
                    self.problem = Some(format!("line {}: {cut}", self.line));
                }
                return Ok(None);
            }
            let (mut passed, mut is_whole) = (0, false);
            for &byte in part {
                passed += 1;
                self.line += u64::from(byte == b'\n');
                let was = self.at;
                match step(&mut self.at, byte, &mut item) {
                    Ok(()) if was == Place::InItem && self.at != Place::InItem => {
                        is_whole = true;
                        break;
                    }
                    Ok(()) if was != Place::InItem && self.at == Place::InItem => {
                        item.line = self.line;
                    }
                    Ok(()) => {}
                    Err(problem) => {
                        self.problem = Some(format!("line {}: {problem}", self.line));
                        break;
                    }
                }
            }
            self.reader.consume(passed);
            if is_whole {
                let whole = if item.is_long { Line::Long } else { Line::Whole(item.bytes) };
                return Ok(Some((item.line, whole)));
            }
        }
        Ok(None)
    }
}

/// Passes one byte.
fn step(at: &mut Place, byte: u8, item: &mut Item) -> Result<(), &'static str> {
    match (*at, byte) {
        (Place::InItem, _) => {
            if let Some(next) = item.step(byte) {
                *at = next;
            }
        }
        (_, b' ' | b'\t' | b'\r' | b'\n') => {}
        (Place::BeforeList, b'[') => *at = Place::BeforeFirst,
        // A byte order mark: nothing else comes here.
        (Place::BeforeList, _) => {}
        (Place::BeforeFirst, b']') => *at = Place::AfterList,
        (Place::BeforeFirst | Place::BeforeNext, b',' | b']') => {
            return Err("the list of rows has a comma with nothing behind it");
        }
        (Place::BeforeFirst | Place::BeforeNext, _) => {
            *at = Place::InItem;
            item.step(byte);
        }
        (Place::AfterList, _) => return Err("something follows the list of rows"),
    }
    Ok(())
}

impl Item {
    /// Passes one byte, and says where it leads if the item is at its end.
    fn step(&mut self, byte: u8) -> Option<Place> {
        match byte {
            _ if self.escapes => self.escapes = false,
            b'\\' if self.in_text => self.escapes = true,
            b'"' => self.in_text = !self.in_text,
            _ if self.in_text => {}
            b'{' | b'[' => self.depth += 1,
            b',' if self.depth == 0 => return Some(Place::BeforeNext),
            b']' if self.depth == 0 => return Some(Place::AfterList),
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.is_long |= self.bytes.len() >= MOST_LINE;
        match self.is_long {
            true => self.bytes = Vec::new(),
            false => self.bytes.push(byte),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// The items and their lines, read through a small window, and what was wrong.
    fn items(text: &str) -> (Vec<(u64, String)>, Option<String>) {
        let mut items = Items::new(BufReader::with_capacity(3, text.as_bytes()));
        let mut found = Vec::new();
        while let Some((line, Line::Whole(item))) = items.next().unwrap() {
            found.push((line, String::from_utf8(item).unwrap().trim().to_owned()));
        }
        (found, items.problem())
    }

    #[test]
    fn a_list_is_cut_at_its_commas() {
        let (found, problem) =
            items("\u{feff} [ {\"a\": [1, {\"b\": \"],[\\\"\\\\\"}]} ,\n\n5,\n \"x\"\n]\n");
        let first = "{\"a\": [1, {\"b\": \"],[\\\"\\\\\"}]}";
        let expected =
            [(1, first), (3, "5"), (4, "\"x\"")].map(|(line, item)| (line, item.to_owned()));
        assert_eq!((found, problem), (expected.to_vec(), None));
        assert_eq!(items("[]"), (vec![], None));
        assert_eq!(items(" [ ] \n"), (vec![], None));
    }

    #[test]
    fn a_list_with_faults_is_told() {
        for (text, expected) in [
            ("[{}", "line 1: the list of rows is not closed"),
            ("[{},\n", "line 2: the list of rows is not closed"),
            ("[\"]", "line 1: the list of rows is not closed"),
            ("[{},]", "line 1: the list of rows has a comma with nothing behind it"),
            ("[,{}]", "line 1: the list of rows has a comma with nothing behind it"),
            ("[{}]\n{}", "line 2: something follows the list of rows"),
        ] {
            let (_, problem) = items(text);
            assert!(
                problem.as_ref().is_some_and(|said| said.starts_with(expected)),
                "{text}: {problem:?}"
            );
        }
    }
}
