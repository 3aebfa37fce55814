//! Prepared conversations: token files with a mask that says which tokens are answers.
//!
//! Two forms are read. OLMo-core's has `token_ids_part_*.npy`, `labels_mask_part_*.npy` and
//! `token_ids_part_*.csv.gz`, which says where documents begin and end; they are packed into rows here.
//! OLMo's has `input_ids.npy` and `label_mask.npy`, rows of one length that are padded already. None of the
//! arrays needs a header. The mask marks targets: a token that is marked is to be predicted from those
//! before it (`get_labels` in OLMo and in OLMo-core).

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::instance::Instance;
use crate::prepare::packed::{unpack, Packing};
use crate::prepare::token_file::{TokenFile, TokenType};
use crate::{files, Error, Result};

/// How a folder of conversations is read.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    pub sequence_length: usize,
    pub vocab_size: usize,
    /// How ids are stored; without it, what the vocabulary or a header says.
    pub dtype: Option<TokenType>,
    /// Whether several documents share a row.
    pub pack: bool,
}

/// A prepared folder.
pub struct Labelled {
    parts: Vec<Part>,
    documents: Vec<Document>,
    /// The documents of each row.
    rows: Vec<Vec<u32>>,
    reading: Reading,
    /// Documents without a target.
    pub unlabelled: usize,
    /// Documents longer than a row.
    pub cut: usize,
}

struct Part {
    tokens: TokenFile,
    mask: TokenFile,
}

/// Tokens of a part, at most a row's.
#[derive(Debug, Clone)]
struct Document {
    part: u32,
    range: Range<usize>,
}

/// Documents of one folder: their numbers are in memory.
const MOST_DOCUMENTS: usize = u32::MAX as usize;

impl Labelled {
    /// Opens a folder, and looks at every mask: documents that have no target are left out.
    pub fn open(folder: &Path, reading: Reading) -> Result<Labelled> {
        let mut labelled = Labelled {
            parts: Vec::new(),
            documents: Vec::new(),
            rows: Vec::new(),
            reading,
            unlabelled: 0,
            cut: 0,
        };
        match form(folder)? {
            Form::Parts(parts) => {
                for path in &parts {
                    labelled.add_part(path)?;
                }
                labelled.rows = match reading.pack {
                    true => pack(&labelled.documents, reading.sequence_length),
                    false => labelled.rows_of_one(),
                };
            }
            Form::Rows { tokens, mask } => {
                labelled.add_rows(&tokens, &mask)?;
                labelled.rows = labelled.rows_of_one();
            }
        }
        Ok(labelled)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// A row, without the padding that would fill it: that is never learned.
    pub fn row(&self, index: usize) -> Result<Instance> {
        let (mut tokens, mut targets, mut documents) = (Vec::new(), Vec::new(), Vec::new());
        for &document in &self.rows[index] {
            let Document { part, range } = &self.documents[document as usize];
            let part = &self.parts[*part as usize];
            tokens.extend(part.tokens.read(range.clone(), self.reading.vocab_size)?);
            targets.extend(part.mask.bytes()[range.clone()].iter().map(|&byte| byte != 0));
            documents.push(range.len());
        }
        let mut row = Instance { tokens, targets: Some(targets), documents: Some(documents) };
        row.trim();
        Ok(row)
    }

    fn rows_of_one(&self) -> Vec<Vec<u32>> {
        (0..self.documents.len() as u32).map(|document| vec![document]).collect()
    }

    fn add_part(&mut self, path: &Path) -> Result<()> {
        let mask = sibling(path, "token_ids_part_", "labels_mask_part_", ".npy")?;
        let boundaries = sibling(path, "token_ids_part_", "token_ids_part_", ".csv.gz")?;
        let part = self.open_part(path, &mask)?;
        for range in read_boundaries(&boundaries, part.tokens.len())? {
            let end = range.end.min(range.start.saturating_add(self.reading.sequence_length));
            self.cut += usize::from(end < range.end);
            self.add_document(&part, range.start..end, path)?;
        }
        self.parts.push(part);
        Ok(())
    }

    fn add_rows(&mut self, tokens: &Path, mask: &Path) -> Result<()> {
        let part = self.open_part(tokens, mask)?;
        let (len, row) = (part.tokens.len(), self.reading.sequence_length);
        if !len.is_multiple_of(row) {
            let problem = format!(
                "it has {len} tokens, no whole number of rows of {row}: set sequence_length to the length that it was prepared with"
            );
            return Err(invalid(tokens, problem));
        }
        for start in (0..len).step_by(row) {
            self.add_document(&part, start..start + row, tokens)?;
        }
        self.parts.push(part);
        Ok(())
    }

    fn open_part(&self, tokens: &Path, mask: &Path) -> Result<Part> {
        let Reading { dtype, vocab_size, .. } = self.reading;
        let part = Part {
            tokens: TokenFile::open_for(tokens, dtype, vocab_size)?,
            mask: TokenFile::open(mask, TokenType::Uint8)?,
        };
        let (ids, marks) = (part.tokens.len(), part.mask.bytes().len());
        if ids != marks {
            let ids_of = tokens.file_name().unwrap_or_default().to_string_lossy();
            let problem = format!(
                "it marks {marks} tokens, but {ids_of} has {ids} of {}: they are not of one preparation, or the dtype is another",
                part.tokens.dtype().name()
            );
            return Err(invalid(mask, problem));
        }
        if let Some(at) = part.mask.bytes().iter().position(|&mark| mark > 1) {
            let mark = part.mask.bytes()[at];
            return Err(invalid(mask, format!("mark {at} is {mark}, but a mask has 0 and 1")));
        }
        Ok(part)
    }

    fn add_document(&mut self, part: &Part, range: Range<usize>, file: &Path) -> Result<()> {
        let marks = &part.mask.bytes()[range.clone()];
        if marks.iter().skip(1).all(|&mark| mark == 0) {
            self.unlabelled += 1;
            return Ok(());
        }
        if self.documents.len() == MOST_DOCUMENTS {
            return Err(invalid(file, format!("more than {MOST_DOCUMENTS} documents")));
        }
        self.documents.push(Document { part: self.parts.len() as u32, range });
        Ok(())
    }
}

/// Rows of whole documents, with little room left in each: the longest document first, and each into the
/// fullest row that has room for it (best fit, decreasing; OLMo-core's `pack_documents_into_instances`).
fn pack(documents: &[Document], sequence_length: usize) -> Vec<Vec<u32>> {
    let length = |document: u32| documents[document as usize].range.len();
    let mut order: Vec<u32> = (0..documents.len() as u32).collect();
    order.sort_by_key(|&document| std::cmp::Reverse(length(document)));
    let mut rows: Vec<Vec<u32>> = Vec::new();
    // Rows by the room that is left in them, those of one size in the order in which they came to it.
    let mut room: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for document in order {
        let length = length(document);
        let fullest = room.range(length..).next().map(|(&left, _)| left);
        let (row, left) = match fullest {
            Some(left) => {
                let same = room.get_mut(&left).expect("just found");
                let row = same.pop().expect("no size is kept without rows");
                if same.is_empty() {
                    room.remove(&left);
                }
                (row, left)
            }
            None => {
                rows.push(Vec::new());
                (rows.len() - 1, sequence_length)
            }
        };
        rows[row].push(document);
        if left > length {
            room.entry(left - length).or_default().push(row);
        }
    }
    rows
}

enum Form {
    /// The token files of OLMo-core's form, in order.
    Parts(Vec<PathBuf>),
    Rows {
        tokens: PathBuf,
        mask: PathBuf,
    },
}

fn form(folder: &Path) -> Result<Form> {
    let (tokens, mask) = (folder.join("input_ids.npy"), folder.join("label_mask.npy"));
    let entries = std::fs::read_dir(folder).map_err(|error| Error::io(folder, error))?;
    let mut parts = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| Error::io(folder, error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("token_ids_part_") && name.ends_with(".npy") {
            parts.push(path);
        }
    }
    // Numbers of four digits until there are more than 10,000: the shorter comes first.
    parts.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
    match (tokens.is_file(), parts.is_empty()) {
        (false, false) => Ok(Form::Parts(parts)),
        (true, true) => Ok(Form::Rows { tokens, mask }),
        (true, false) => Err(invalid(
            folder,
            "it has both token_ids_part_*.npy and input_ids.npy: only one preparation can be in a folder".into(),
        )),
        (false, true) => Err(Error::io(
            folder,
            "it holds no prepared conversations: token_ids_part_*.npy (OLMo-core) or input_ids.npy (OLMo)",
        )),
    }
}

/// The file that belongs to a part.
fn sibling(path: &Path, from: &str, to: &str, end: &str) -> Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = name.trim_start_matches(from).trim_end_matches(".npy");
    let sibling = path.with_file_name(format!("{to}{number}{end}"));
    match sibling.is_file() {
        true => Ok(sibling),
        false => Err(Error::io(sibling, format!("{name} needs it, and it is not there"))),
    }
}

/// The most that a packed list of documents can have; one of a million has some megabytes.
const MOST_PACKED: u64 = 1 << 30;

/// Where documents begin and end: lines `start,end`.
fn read_boundaries(file: &Path, tokens: usize) -> Result<Vec<Range<usize>>> {
    let text = unpack(Packing::Gzip, &files::read(file, MOST_PACKED)?, file)?;
    let text = files::text(file, text)?;
    let mut ranges = Vec::new();
    let mut after = 0;
    for (index, line) in text.lines().enumerate() {
        let wrong = |problem: String| invalid(file, format!("line {}: {problem}", index + 1));
        let numbers = line.split_once(',').and_then(|(start, end)| {
            Some((start.trim().parse::<usize>().ok()?, end.trim().parse::<usize>().ok()?))
        });
        let Some((start, end)) = numbers else {
            return Err(wrong("it is no pair `start,end`".into()));
        };
        if start < after || start >= end || end > tokens {
            let problem =
                format!("{start},{end} is no document after token {after} of a part with {tokens}");
            return Err(wrong(problem));
        }
        after = end;
        ranges.push(start..end);
    }
    match ranges.is_empty() {
        true => Err(invalid(file, "it names no document".into())),
        false => Ok(ranges),
    }
}

fn invalid(file: &Path, problem: String) -> Error {
    Error::InvalidFile { file: file.to_owned(), problem }
}
