//! The files of each format.

pub mod documents;
pub mod dropped;
pub mod lines;
pub mod rows;
pub mod run_config;
mod statistics;
pub mod tokenizer;

use std::path::{Path, PathBuf};

use olmo_core::files::hashed::{write_file, NewFile};
use olmo_core::Result;

use crate::report::FileEntry;
use crate::spool::Example;

/// Gives every example in its order to a function.
pub type Each<'a> = dyn FnMut(&mut dyn FnMut(Example) -> Result<()>) -> Result<()> + 'a;

/// The files that have been written into a folder.
pub struct Files {
    folder: PathBuf,
    entries: Vec<FileEntry>,
}

impl Files {
    pub fn new(folder: &Path) -> Files {
        Files { folder: folder.to_owned(), entries: Vec::new() }
    }

    pub fn create(&self, name: &str) -> Result<Output> {
        let file = NewFile::create(&self.folder.join(name))?;
        Ok(Output { name: name.to_owned(), file, bytes: 0 })
    }

    pub fn finish(&mut self, output: Output) -> Result<()> {
        let Output { name: file, bytes, .. } = output;
        self.entries.push(FileEntry { file, bytes, sha256: output.file.finish()? });
        Ok(())
    }

    pub fn write(&mut self, name: &str, content: &[u8]) -> Result<()> {
        let sha256 = write_file(&self.folder.join(name), content)?;
        let bytes = content.len() as u64;
        self.entries.push(FileEntry { file: name.to_owned(), bytes, sha256 });
        Ok(())
    }

    pub fn into_entries(self) -> Vec<FileEntry> {
        self.entries
    }
}

/// A file on its way.
pub struct Output {
    name: String,
    file: NewFile,
    pub bytes: u64,
}

impl Output {
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        self.file.write(bytes)
    }
}
