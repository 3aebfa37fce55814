//! Where conversations come from: files and folders, how much of each, and in which order.

mod files;
mod frames;
mod lines;
mod list;
mod mixer;
mod packed;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};

use olmo_core::jinja::Data;
use olmo_core::{Error, Result};

pub use mixer::{order, Amount};

/// What was named: a file, or a folder of them, and how much of it is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// As it was named, without the amount.
    pub name: String,
    pub amount: Amount,
    pub files: Vec<PathBuf>,
}

/// One row, before anything is known of it.
#[derive(Debug)]
pub struct Row {
    /// Index of the source's file.
    pub file: u32,
    /// Its line, or its row, from 1.
    pub line: u64,
    pub content: Content,
}

#[derive(Debug)]
pub enum Content {
    Line(Vec<u8>),
    Value(Data),
    /// A row that could not be read.
    Broken(String),
}

/// Who is to be told how far the reading is, and can end it.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Bytes of the files that have been read.
    pub read: &'a AtomicU64,
    pub cancelled: &'a AtomicBool,
}

impl Source {
    /// Reads `PATH` or `PATH:AMOUNT`, and looks for the files.
    pub fn parse(given: &str) -> Result<Source> {
        let (path, amount) = match given.rsplit_once(':') {
            Some((path, amount)) if !Path::new(given).exists() && !path.is_empty() => {
                match Amount::parse(amount) {
                    Some(amount) => (path, amount),
                    None => (given, Amount::ALL),
                }
            }
            _ => (given, Amount::ALL),
        };
        let files = files::find(Path::new(path))?;
        Ok(Source { name: path.to_owned(), amount, files })
    }

    /// Bytes of the files, as they are on the disk.
    pub fn bytes(&self) -> Result<u64> {
        let size = |path: &PathBuf| {
            std::fs::metadata(path).map(|found| found.len()).map_err(|error| Error::io(path, error))
        };
        self.files.iter().map(size).sum()
    }

    /// Gives every row to `take`, in order.
    pub fn each_row(&self, watch: Watch, take: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
        for (index, path) in self.files.iter().enumerate() {
            let mut take = |line, content| {
                Error::if_cancelled(watch.cancelled)?;
                take(Row { file: index as u32, line, content })
            };
            files::each_row(path, watch, &mut take)?;
        }
        Ok(())
    }

    /// How many rows there are.
    pub fn count(&self, watch: Watch) -> Result<usize> {
        let mut count = 0;
        self.each_row(watch, &mut |_| {
            count += 1;
            Ok(())
        })?;
        Ok(count)
    }
}
