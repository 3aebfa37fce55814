//! One pass over all ids and labels.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use olmo_core::{Error, Result};

use super::folder::{Folder, Part};
use super::{boundaries, name, tokens, Inspection};

pub struct Scan<'a> {
    pub folder: &'a Folder,
    pub vocab_size: usize,
    pub eos: Option<u32>,
    pub found: &'a mut Inspection,
    pub cancelled: &'a AtomicBool,
}

/// What is known of an example that is being read.
#[derive(Default)]
struct Open {
    len: u64,
    labelled: u64,
    eos: u64,
    last: u64,
}

impl Scan<'_> {
    /// The ends of a part's examples, if they can be told.
    pub fn ends(&mut self, part: &Part) -> Result<Option<Vec<u64>>> {
        let all = tokens(part, self.folder.dtype);
        if let Some(row) = self.folder.row {
            if !all.is_multiple_of(row) {
                self.found.problem(format!("{all} ids are no whole number of rows of {row}"));
            }
            return Ok(None);
        }
        let Some(path) = &part.boundaries else {
            self.found.examples = None;
            return Ok(None);
        };
        match boundaries::read(path, all)? {
            Ok(ends) => Ok(Some(ends)),
            Err(problem) => {
                self.found.problem(format!("{}: {problem}", name(path)));
                self.found.examples = None;
                Ok(None)
            }
        }
    }

    /// Reads ids and labels of a part.
    pub fn part(&mut self, part: &Part, ends: Option<&[u64]>) -> Result<()> {
        let size = self.folder.dtype.size();
        let mut ids = Bytes::open(&part.ids)?;
        let mut labels = part.labels.as_deref().map(Bytes::open).transpose()?;
        let mut ends = ends.map(|ends| ends.iter().copied().peekable());
        let (mut open, mut wrong_id, mut wrong_label) = (Open::default(), false, false);
        for at in 0..tokens(part, self.folder.dtype) {
            if at % (1 << 20) == 0 {
                Error::if_cancelled(self.cancelled)?;
            }
            let Some(id) = ids.number(size)? else { break };
            let label = match &mut labels {
                Some(labels) => labels.number(1)?.unwrap_or(0),
                None => 0,
            };
            if id >= self.vocab_size as u64 && !wrong_id {
                wrong_id = true;
                let (file, size) = (name(&part.ids), self.vocab_size);
                self.found
                    .problem(format!("{file}: id {at} is {id}, outside the vocabulary of {size}"));
            }
            if label > 1 && !wrong_label {
                wrong_label = true;
                self.found.problem(format!("label {at} is {label}, and neither 0 nor 1"));
            }
            open.len += 1;
            open.labelled += u64::from(label != 0);
            open.eos += u64::from(self.eos.map(u64::from) == Some(id));
            open.last = id;
            let is_end = match (&mut ends, self.folder.row) {
                (Some(ends), _) => ends.next_if_eq(&(at + 1)).is_some(),
                (None, Some(row)) => (at + 1) % row == 0,
                (None, None) => false,
            };
            if is_end {
                self.example(std::mem::take(&mut open));
            }
        }
        self.found.tokens += open.len;
        self.found.labelled_tokens += open.labelled;
        Ok(())
    }

    fn example(&mut self, open: Open) {
        let found = &mut *self.found;
        found.tokens += open.len;
        found.labelled_tokens += open.labelled;
        found.longest = found.longest.max(open.len);
        found.without_labels += u64::from(open.labelled == 0);
        if let Some(examples) = &mut found.examples {
            *examples += 1;
        }
        // A row of OLMo's begins with one, and pads what is short.
        if self.folder.row.is_none() {
            let ends = self.eos.map(u64::from) == Some(open.last);
            found.without_final_eos += u64::from(!ends);
            found.inner_eos += open.eos.saturating_sub(u64::from(ends));
        }
    }
}

/// A file as numbers.
struct Bytes {
    reader: BufReader<File>,
    path: std::path::PathBuf,
}

impl Bytes {
    fn open(path: &Path) -> Result<Bytes> {
        let reader = BufReader::with_capacity(1 << 18, olmo_core::files::open(path)?);
        Ok(Bytes { reader, path: path.to_owned() })
    }

    /// The next one, little-endian; none at the end.
    fn number(&mut self, size: usize) -> Result<Option<u64>> {
        let mut bytes = [0; 8];
        match self.reader.read_exact(&mut bytes[..size]) {
            Ok(()) => Ok(Some(u64::from_le_bytes(bytes))),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(Error::io(&self.path, error)),
        }
    }
}
