//! Files that are whole or not there.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Error, Result};

/// A file that appears under its name only when all of it is on the disk.
///
/// Until [`finish`](Self::finish) it is beside its place, as `NAME.N.partial` with a number that no
/// other writer of the same file has; dropped before that, it is removed.
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
        let mut partial = path.as_os_str().to_owned();
        partial.push(format!(".{}.partial", unique()));
        let partial = PathBuf::from(partial);
        let file = OpenOptions::new().write(true).create_new(true).open(&partial);
        let file = file.map_err(|error| Error::write(&partial, error))?;
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

/// A number that no other process and no other call has.
fn unique() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    // A process of the same number may have ended, or run on another machine over the same disk.
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.subsec_nanos());
    format!("{}-{nanos}-{next}", std::process::id())
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
