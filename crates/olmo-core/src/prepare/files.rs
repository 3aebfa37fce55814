//! Files that are whole or not there, and their checksums.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// A file that appears under its name only when all of it is on the disk.
///
/// Until [`finish`](Self::finish) it is `NAME.partial` beside its place; dropped before that, it
/// is removed.
pub(crate) struct NewFile {
    path: PathBuf,
    partial: PathBuf,
    out: Option<BufWriter<File>>,
    hash: Sha256,
}

impl NewFile {
    /// Starts a file, and the folders it is to lie in.
    pub fn create(path: &Path) -> Result<NewFile> {
        let folder = parent(path);
        fs::create_dir_all(folder).map_err(|error| Error::write(folder, error))?;
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = File::create(&partial).map_err(|error| Error::write(&partial, error))?;
        let out = Some(BufWriter::with_capacity(1 << 20, file));
        Ok(NewFile { path: path.to_owned(), partial, out, hash: Sha256::new() })
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        let out = self.out.as_mut().expect("only finish takes it");
        out.write_all(bytes).map_err(|error| Error::write(&self.partial, error))
    }

    /// Puts the file in its place and returns the SHA-256 of its contents.
    pub fn finish(mut self) -> Result<String> {
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
        sync_folder(parent(&self.path))?;
        Ok(hex(&std::mem::take(&mut self.hash).finalize()))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.out.take().is_some() {
            let _ = fs::remove_file(&self.partial);
        }
    }
}

/// Writes a whole file at once, and returns its SHA-256.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<String> {
    let mut file = NewFile::create(path)?;
    file.write(bytes)?;
    file.finish()
}

/// Reads a whole file.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| Error::io(path, error))
}

/// The SHA-256 of bytes, as lower-case hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_given_up_leaves_the_old_one() {
        let folder = std::env::temp_dir().join(format!("olmo-files-{}", std::process::id()));
        let path = folder.join("deep/file");
        write_file(&path, b"old").unwrap();
        let mut file = NewFile::create(&path).unwrap();
        file.write(b"new").unwrap();
        let entries = || fs::read_dir(folder.join("deep")).unwrap().count();
        assert_eq!((entries(), read_file(&path).unwrap()), (2, b"old".to_vec()));
        drop(file);
        assert_eq!((entries(), read_file(&path).unwrap()), (1, b"old".to_vec()));

        let hash = write_file(&path, b"new").unwrap();
        assert_eq!((entries(), read_file(&path).unwrap()), (1, b"new".to_vec()));
        assert_eq!(hash, sha256(b"new"));
        // A folder stands where the file is to go.
        let error = write_file(&folder.join("deep"), b"x").unwrap_err().to_string();
        assert!(error.starts_with("cannot write ") && error.contains("deep"), "{error}");
        assert!(!folder.join("deep.partial").exists());
        fs::remove_dir_all(folder).unwrap();
    }
}
