//! Checkpoints that were cut short or damaged, as an interrupted copy leaves them.

use std::fs::{self, File};
use std::path::Path;

use memmap2::Mmap;
use safetensors::SafeTensors;

use super::checkpoint::{self, MODEL_FILE, STATE_FILE};
use crate::weights::Checkpoint;
use crate::{Error, Result};

/// Gives the newest checkpoints of a run other names as long as they are not whole, so that it goes on from
/// the one before. Returns a note on each.
///
/// Without a whole one nothing is renamed: the newest then fails to load with its own error.
pub fn set_aside(output: &Path) -> Result<Vec<String>> {
    let mut checkpoints = checkpoint::list(output)?;
    let mut damaged = Vec::new();
    while let Some((_, path)) = checkpoints.pop() {
        match check(&path) {
            Ok(()) => break,
            Err(error) if !is_damage(&error) => return Err(error),
            Err(error) if checkpoints.is_empty() => {
                return if damaged.is_empty() { Ok(Vec::new()) } else { Err(error) };
            }
            Err(error) => damaged.push((path, error)),
        }
    }
    let mut notes = Vec::new();
    for (path, error) in damaged {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let aside = output.join(format!("damaged-{name}"));
        if aside.exists() {
            fs::remove_dir_all(&aside).map_err(|error| Error::write(&aside, error))?;
        }
        fs::rename(&path, &aside).map_err(|error| Error::write(&aside, error))?;
        notes.push(format!(
            "{name} is not whole and is called damaged-{name} now; the run goes on from the one before \
             ({error})"
        ));
    }
    Ok(notes)
}

/// Not that a file could not be read this time, nor that it is of another model than the config's.
fn is_damage(error: &Error) -> bool {
    matches!(error, Error::InvalidFile { .. } | Error::InvalidWeights { .. })
}

fn check(path: &Path) -> Result<()> {
    if !path.join(MODEL_FILE).exists() {
        let problem = format!("it has no {MODEL_FILE}");
        return Err(Error::InvalidFile { file: path.to_owned(), problem });
    }
    Checkpoint::open(path)?;
    let file = path.join(STATE_FILE);
    if !file.is_file() {
        return Ok(());
    }
    let opened = File::open(&file).map_err(|error| Error::io(&file, error))?;
    let invalid = |problem: String| Error::InvalidFile { file: file.clone(), problem };
    if opened.metadata().map_err(|error| Error::io(&file, error))?.len() == 0 {
        return Err(invalid("it is empty".to_owned()));
    }
    // SAFETY: read-only, and only its header is looked at, which is checked; see weights/bytes.rs.
    let map = unsafe { Mmap::map(&opened) }.map_err(|error| Error::io(&file, error))?;
    // The header says how long the file must be.
    SafeTensors::deserialize(&map).map(drop).map_err(|error| invalid(error.to_string()))
}
