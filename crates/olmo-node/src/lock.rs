//! Advisory locks on files, the ones Python's `filelock` takes: `flock` on Unix, `LockFileEx` on
//! Windows. Node has neither.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use napi_derive::napi;

use crate::error::{js_error, Result};

/// A lock that is held until it is released, or until the process ends in whatever way.
#[napi]
pub struct FileLock {
    file: Option<File>,
}

/// Takes the lock on the file `path`, which is made if it is not there; null if another has it.
#[napi(catch_unwind)]
pub fn try_lock_file(path: String) -> Result<Option<FileLock>> {
    let locked = try_lock(Path::new(&path))
        .map_err(|error| olmo_core::Error::Write {
            reason: format!("no lock: {error}"),
            path: path.into(),
        })
        .map_err(js_error)?;
    Ok(locked.map(|file| FileLock { file: Some(file) }))
}

#[napi]
impl FileLock {
    /// Lets the next one in. The file stays: whoever waits for it has it open.
    #[napi]
    pub fn release(&mut self) {
        // Closing the only descriptor releases the lock.
        self.file = None;
    }
}

fn try_lock(path: &Path) -> io::Result<Option<File>> {
    let file = lock_file_options().open(path)?;
    match file.try_lock() {
        Ok(()) if is_unlinked(&file)? => Ok(None),
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// As `huggingface_hub` opens it: never truncated, and writable by the group that shares a cache.
fn lock_file_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o664);
    options
}

/// Whether the file lost its name before it was locked: then others lock its successor.
#[cfg(unix)]
fn is_unlinked(file: &File) -> io::Result<bool> {
    Ok(std::os::unix::fs::MetadataExt::nlink(&file.metadata()?) == 0)
}

#[cfg(not(unix))]
fn is_unlinked(_file: &File) -> io::Result<bool> {
    Ok(false)
}
