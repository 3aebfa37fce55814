//! Whole files with their checksums.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::{files, Error, Result};

/// A new file, hashed as it is written.
pub struct NewFile {
    file: files::NewFile,
    hash: Sha256,
}

impl NewFile {
    /// Starts a file, and the folders it is to lie in.
    pub fn create(path: &Path) -> Result<NewFile> {
        Ok(NewFile { file: files::NewFile::create(path)?, hash: Sha256::new() })
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        self.file.write(bytes)
    }

    /// Puts the file in its place and returns the SHA-256 of its contents.
    pub fn finish(self) -> Result<String> {
        self.file.finish()?;
        Ok(hex(&self.hash.finalize()))
    }
}

/// Writes a whole file at once, and returns its SHA-256.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<String> {
    let mut file = NewFile::create(path)?;
    file.write(bytes)?;
    file.finish()
}

/// Reads a whole file.
pub fn read_file(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| Error::io(path, error))
}

/// Removes a file, if there is one.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::write(path, error)),
        _ => Ok(()),
    }
}

/// The SHA-256 of bytes, as lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes as lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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

        // Two at once: each writes its own, and the last to finish is the one that stays.
        let (mut one, mut other) =
            (NewFile::create(&path).unwrap(), NewFile::create(&path).unwrap());
        one.write(b"one").unwrap();
        drop(NewFile::create(&path).unwrap());
        other.write(b"the other").unwrap();
        other.finish().unwrap();
        one.finish().unwrap();
        assert_eq!((entries(), read_file(&path).unwrap()), (1, b"one".to_vec()));

        let hash = write_file(&path, b"new").unwrap();
        assert_eq!((entries(), read_file(&path).unwrap()), (1, b"new".to_vec()));
        assert_eq!(hash, sha256(b"new"));
        // A folder stands where the file is to go.
        let error = write_file(&folder.join("deep"), b"x").unwrap_err().to_string();
        assert!(error.starts_with("cannot write ") && error.contains("deep"), "{error}");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no other file");
        fs::remove_dir_all(folder).unwrap();
    }
}
