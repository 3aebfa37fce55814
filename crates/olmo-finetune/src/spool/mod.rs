//! Examples on the disk, in the order of their rows, and a log that says which of them are whole.
//!
//! ```text
//! rows.bin  ids, mask and problem of one example after the other
//! log.bin   a record of fixed length for each, written when its bytes are on the disk
//! ```
//!
//! What a killed process leaves behind the last whole record is cut off before the next goes on.

mod record;

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use olmo_core::{Error, Result};

pub use record::{flags, Record};

/// What is made of a row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Example {
    pub record: Record,
    /// Ids as they are written, or a line of text.
    pub body: Vec<u8>,
    pub mask: Vec<u8>,
    /// What is wrong with the row.
    pub problem: String,
}

/// Where examples are written to.
pub struct Spool {
    rows: File,
    log: File,
    folder: PathBuf,
}

const ROWS: &str = "rows.bin";
const LOG: &str = "log.bin";

impl Spool {
    /// Opens a spool to go on with, and gives the records that are whole.
    pub fn open(folder: &Path) -> Result<(Spool, Vec<Record>)> {
        std::fs::create_dir_all(folder).map_err(|error| Error::write(folder, error))?;
        let open = |name: &str| {
            let path = folder.join(name);
            let file = OpenOptions::new().read(true).append(true).create(true).open(&path);
            file.map_err(|error| Error::write(&path, error))
        };
        let (rows, log) = (open(ROWS)?, open(LOG)?);
        let failed = |error| Error::write(folder, error);
        let there = rows.metadata().map_err(failed)?.len();
        let mut records = Vec::new();
        let mut end = 0;
        for record in read_log(folder)? {
            if end + record.bytes() > there {
                break;
            }
            end += record.bytes();
            records.push(record);
        }
        rows.set_len(end).map_err(failed)?;
        log.set_len((records.len() * Record::SIZE) as u64).map_err(failed)?;
        Ok((Spool { rows, log, folder: folder.to_owned() }, records))
    }

    /// Puts examples on the disk, and then their records.
    pub fn append(&mut self, examples: &[Example]) -> Result<()> {
        let (mut rows, mut log) = (Vec::new(), Vec::new());
        for Example { record, body, mask, problem } in examples {
            for bytes in [body.as_slice(), mask, problem.as_bytes()] {
                rows.extend_from_slice(bytes);
            }
            log.extend_from_slice(&record.to_bytes());
        }
        let write =
            |file: &mut File, bytes: &[u8]| file.write_all(bytes).and_then(|()| file.sync_data());
        write(&mut self.rows, &rows)
            .and_then(|()| write(&mut self.log, &log))
            .map_err(|error| Error::write(&self.folder, error))
    }
}

/// The records of a log up to one that is not whole.
fn read_log(folder: &Path) -> Result<Vec<Record>> {
    let path = folder.join(LOG);
    let file = File::open(&path).map_err(|error| Error::io(&path, error))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let (mut records, mut bytes) = (Vec::new(), [0; Record::SIZE]);
    while reader.read_exact(&mut bytes).is_ok() {
        let Some(record) = Record::from_bytes(&bytes) else { break };
        records.push(record);
    }
    Ok(records)
}

/// Rows of one shard after another that are together.
pub const BLOCK: usize = 64;

/// The spools of all shards as one list of examples.
pub struct Pool {
    parts: Vec<Part>,
}

struct Part {
    rows: File,
    path: PathBuf,
    records: Vec<Record>,
    starts: Vec<u64>,
}

impl Pool {
    /// Opens the spools of the shards, in their order. They must be whole.
    pub fn open(folders: &[PathBuf]) -> Result<Pool> {
        let open = |folder: &PathBuf| {
            let path = folder.join(ROWS);
            let rows = File::open(&path).map_err(|error| Error::io(&path, error))?;
            let records = read_log(folder)?;
            let mut end = 0;
            let starts = records.iter().map(|record| {
                let start = end;
                end += record.bytes();
                start
            });
            let starts = starts.collect();
            Ok(Part { rows, path, records, starts })
        };
        Ok(Pool { parts: folders.iter().map(open).collect::<Result<_>>()? })
    }

    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.records.len()).sum()
    }

    /// The shard of an example, and its place there.
    fn place(&self, index: usize) -> (usize, usize) {
        let (block, within) = (index / BLOCK, index % BLOCK);
        (block % self.parts.len(), block / self.parts.len() * BLOCK + within)
    }

    pub fn record(&self, index: usize) -> &Record {
        let (shard, place) = self.place(index);
        &self.parts[shard].records[place]
    }

    /// Reads an example again.
    pub fn read(&mut self, index: usize) -> Result<Example> {
        let (shard, place) = self.place(index);
        let part = &mut self.parts[shard];
        let record = part.records[place].clone();
        let mut bytes = vec![0; record.bytes() as usize];
        let read = part.rows.seek(SeekFrom::Start(part.starts[place]));
        read.and_then(|_| part.rows.read_exact(&mut bytes))
            .map_err(|error| Error::io(&part.path, error))?;
        let problem = bytes.split_off((record.body + record.tokens) as usize);
        let mask = bytes.split_off(record.body as usize);
        let problem = String::from_utf8_lossy(&problem).into_owned();
        Ok(Example { record, body: bytes, mask, problem })
    }
}
