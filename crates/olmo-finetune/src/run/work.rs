//! The folder beside the output in which it is made, and who may work there.
//!
//! ```text
//! OUT.partial/shard-1-of-1/state.json  what the spool is of
//!                          lock        held while someone writes it
//!                          rows.bin, log.bin
//!                          done.json   the numbers of rows, once all are there
//!             out/                     the files, which become OUT when they are whole
//! ```

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use olmo_core::files::hashed::write_file;
use olmo_core::files::{read_if_there, MOST_CONFIG};
use olmo_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::options::Shard;
use crate::spool::{Record, Spool};

const STATE: &str = "state.json";
const DONE: &str = "done.json";

/// One shard's place.
pub struct Work {
    root: PathBuf,
    shard: Shard,
    key: String,
    _lock: File,
}

#[derive(Serialize, Deserialize)]
struct State {
    key: String,
}

/// What a shard leaves when it has made all its examples.
#[derive(Debug, Serialize, Deserialize)]
pub struct Done {
    key: String,
    /// Rows of each source.
    pub rows: Vec<u64>,
}

/// The folder in which an output is made.
pub fn root(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    // A path may end with a slash.
    while name.to_string_lossy().ends_with(['/', '\\']) && name.len() > 1 {
        let text = name.to_string_lossy();
        name = text[..text.len() - 1].into();
    }
    name.push(".partial");
    PathBuf::from(name)
}

fn shard_folder(root: &Path, index: u32, of: u32) -> PathBuf {
    root.join(format!("shard-{index}-of-{of}"))
}

impl Work {
    /// Takes the place of a shard. What an earlier run left there goes, unless it is to be gone on with and was
    /// made of the same: `key` says of what.
    pub fn begin(out: &Path, shard: Shard, key: &str, resume: bool) -> Result<Work> {
        let root = root(out);
        let folder = shard_folder(&root, shard.index, shard.of);
        std::fs::create_dir_all(&folder).map_err(|error| Error::write(&folder, error))?;
        let lock = lock(&folder.join("lock"))?
            .ok_or_else(|| Error::write(out, "another run is making it"))?;
        let is_same = resume && read_key(&folder.join(STATE))?.as_deref() == Some(key);
        if !is_same {
            for name in [STATE, DONE, "log.bin", "rows.bin"] {
                olmo_core::files::hashed::remove(&folder.join(name))?;
            }
            let state = State { key: key.to_owned() };
            write_json(&folder.join(STATE), &state)?;
        }
        Ok(Work { root, shard, key: key.to_owned(), _lock: lock })
    }

    fn folder(&self) -> PathBuf {
        shard_folder(&self.root, self.shard.index, self.shard.of)
    }

    pub fn spool(&self) -> Result<(Spool, Vec<Record>)> {
        Spool::open(&self.folder())
    }

    /// What this shard left when it was done, if it was.
    pub fn done(&self) -> Result<Option<Done>> {
        self.done_of(self.shard.index)
    }

    fn done_of(&self, index: u32) -> Result<Option<Done>> {
        let path = shard_folder(&self.root, index, self.shard.of).join(DONE);
        let Some(bytes) = read_if_there(&path, MOST_CONFIG)? else { return Ok(None) };
        let done: Option<Done> = serde_json::from_slice(&bytes).ok();
        Ok(done.filter(|done| done.key == self.key))
    }

    pub fn set_done(&self, rows: Vec<u64>) -> Result<()> {
        write_json(&self.folder().join(DONE), &Done { key: self.key.clone(), rows })
    }

    /// The spools of all shards, if all are done; else the numbers of those that are not.
    pub fn spools(&self) -> Result<Result<Vec<PathBuf>, Vec<u32>>> {
        let all = 1..=self.shard.of;
        let mut missing = Vec::new();
        for index in all.clone() {
            if self.done_of(index)?.is_none() {
                missing.push(index);
            }
        }
        let folders = all.map(|index| shard_folder(&self.root, index, self.shard.of)).collect();
        Ok(if missing.is_empty() { Ok(folders) } else { Err(missing) })
    }

    /// Takes the right to make the output of what all shards left; none if another has it.
    pub fn begin_merge(&self) -> Result<Option<Merge>> {
        let Some(lock) = lock(&self.root.join("merge.lock"))? else { return Ok(None) };
        let out = self.root.join("out");
        if out.exists() {
            std::fs::remove_dir_all(&out).map_err(|error| Error::write(&out, error))?;
        }
        std::fs::create_dir_all(&out).map_err(|error| Error::write(&out, error))?;
        Ok(Some(Merge { folder: out, _lock: lock }))
    }

    /// Removes everything but the output.
    pub fn remove(&self) {
        // What is left of it is in nobody's way.
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

/// Where the files of the output are made.
pub struct Merge {
    pub folder: PathBuf,
    _lock: File,
}

impl Merge {
    /// Makes the folder the output.
    pub fn finish(&self, out: &Path) -> Result<()> {
        if out.is_dir() {
            // It is empty, or this fails.
            std::fs::remove_dir(out).map_err(|error| Error::write(out, error))?;
        }
        std::fs::rename(&self.folder, out).map_err(|error| Error::write(out, error))
    }
}

/// A locked file; none if another process has it. Where there are no locks, everybody has it.
fn lock(path: &Path) -> Result<Option<File>> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    let file = file.map_err(|error| Error::write(path, error))?;
    Ok(match file.try_lock() {
        Err(TryLockError::WouldBlock) => None,
        _ => Some(file),
    })
}

fn read_key(path: &Path) -> Result<Option<String>> {
    let Some(bytes) = read_if_there(path, MOST_CONFIG)? else { return Ok(None) };
    Ok(serde_json::from_slice::<State>(&bytes).ok().map(|state| state.key))
}

pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).expect("plain JSON") + "\n";
    write_file(path, text.as_bytes()).map(|_| ())
}
