//! Files that are whole or not there.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{Error, Result};

/// A file that appears under its name only when all of it is on the disk.
///
/// Until [`finish`](Self::finish) it is beside its place, as `NAME.N.partial` with a number that no
/// other writer of the same file has. Dropped before that, it is removed; if the process was killed, by
/// the next writer.
pub(crate) struct NewFile {
    path: PathBuf,
    partial: PathBuf,
    out: Option<BufWriter<File>>,
}

impl NewFile {
    /// Starts a file, and the folders it is to lie in.
    pub fn create(path: &Path) -> Result<NewFile> {
        let folder = parent(path);
        fs::create_dir_all(folder).map_err(|error| Error::write(folder, error))?;
        sweep(path);
        let (partial, file) = create_partial(path)?;
        let out = Some(BufWriter::with_capacity(1 << 20, file));
        Ok(NewFile { path: path.to_owned(), partial, out })
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let out = self.out.as_mut().expect("only finish takes it");
        out.write_all(bytes).map_err(|error| Error::write(&self.partial, error))
    }

    /// Puts the file in its place.
    pub fn finish(mut self) -> Result<()> {
        let out = self.out.take().expect("finish runs once");
        let done = out
            .into_inner()
            .map_err(|error| error.into_error())
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&self.partial, &self.path));
        if let Err(error) = done {
            let _ = fs::remove_file(&self.partial);
            return Err(Error::write(&self.path, error));
        }
        sync_folder(parent(&self.path))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.out.take().is_some() {
            let _ = fs::remove_file(&self.partial);
        }
    }
}

/// What the name of a file's unfinished content ends with.
const PARTIAL: &str = ".partial";

/// A new file beside `path`, locked for as long as it is open.
fn create_partial(path: &Path) -> Result<(PathBuf, File)> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut partial = path.as_os_str().to_owned();
        partial.push(format!(".{}-{next}{PARTIAL}", std::process::id()));
        let partial = PathBuf::from(partial);
        match OpenOptions::new().write(true).create_new(true).open(&partial) {
            // Someone may have swept it away between the two steps.
            Ok(file) if lock(&file) && partial.exists() => return Ok((partial, file)),
            Ok(_) => {}
            // Of a process of the same number, on another machine perhaps.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::write(&partial, error)),
        }
    }
}

/// Removes what writers of the same file have left that were killed: nobody has it locked.
fn sweep(path: &Path) {
    let name = format!("{}.", path.file_name().unwrap_or_default().to_string_lossy());
    for entry in fs::read_dir(parent(path)).into_iter().flatten().flatten() {
        let found = entry.file_name().to_string_lossy().into_owned();
        if !found.starts_with(&name) || !found.ends_with(PARTIAL) {
            continue;
        }
        let file = OpenOptions::new().write(true).open(entry.path());
        if file.is_ok_and(|file| lock(&file)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether nobody else has the file. Without locks nobody can know, and it counts as someone's.
fn lock(file: &File) -> bool {
    !matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A rename outlives a power cut only once the folder is on the disk too. Windows has no such call.
fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| Error::write(folder, error))?;
    }
    Ok(())
}
