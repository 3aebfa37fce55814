//! One run, one process: two that write the same checkpoints would each take the other's for its own.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::{Error, Result};

/// Empty; what counts is who has it locked. The system lets go of it when a process ends, however.
const FILE: &str = ".lock";

/// A run's folder, for as long as this lives.
#[derive(Debug)]
pub struct RunLock(#[allow(dead_code)] File);

impl RunLock {
    /// Takes the folder, which must be there, or fails at once if another process has it.
    pub fn take(output: &Path) -> Result<RunLock> {
        let path = output.join(FILE);
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|error| Error::write(&path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(RunLock(file)),
            Err(TryLockError::WouldBlock) => {
                let reason = "another process is training in this folder; wait for it or stop it";
                Err(Error::write(output, reason))
            }
            // A file system without locks, such as some network ones: better a run than none.
            Err(TryLockError::Error(_)) => Ok(RunLock(file)),
        }
    }
}
