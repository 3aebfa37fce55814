//! Files that are read with a bound, and files that are whole or not there.

pub mod hashed;
pub mod parquet;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::human_bytes;
use crate::{Error, Result};

/// The largest file of keys and values that is read: config.json and its like, of which none has more
/// than a few kilobytes.
pub const MOST_CONFIG: u64 = 4 << 20;

/// What a file begins with that git-lfs has put in another's place.
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Opens a file to read it. A pipe or a device, which could keep a reader for ever, is an error.
pub fn open(path: &Path) -> Result<File> {
    let metadata = fs::metadata(path).map_err(|error| Error::io(path, error))?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "it is a folder" } else { "it is a pipe or a device" };
        return Err(Error::io(path, format!("{what}, but a file is needed")));
    }
    File::open(path).map_err(|error| Error::io(path, error))
}

/// The content of a file of at most `most` bytes.
///
/// Errors on a larger one before it is read, and on a git-lfs pointer.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = open(path)?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| Error::io(path, error))?;
    if bytes.len() as u64 > most {
        let most = human_bytes(most);
        return Err(invalid(path, format!("it has more than {most}, which no such file needs")));
    }
    refuse_pointer(path, &bytes)?;
    Ok(bytes)
}

/// The content, or nothing if there is no such file.
pub fn read_if_there(path: &Path, most: u64) -> Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        _ => read(path, most).map(Some),
    }
}

/// Copies those of the named files that are there from one folder to another.
pub fn copy_if_there(names: &[&str], from: &Path, to: &Path) -> Result<()> {
    for name in names {
        let (from, to) = (from.join(name), to.join(name));
        if from.is_file() {
            fs::copy(&from, &to).map_err(|error| Error::write(&to, error))?;
        }
    }
    Ok(())
}

/// A text in UTF-8, without the byte order mark that some editors put before it.
pub fn read_text(path: &Path, most: u64) -> Result<String> {
    text(path, read(path, most)?)
}

/// What was read of a file, as a text.
pub fn text(path: &Path, bytes: Vec<u8>) -> Result<String> {
    utf8(bytes).map_err(|problem| invalid(path, problem))
}

/// The text that bytes are in UTF-8, without a byte order mark; or else where they are not, and what they
/// may be.
pub fn utf8(mut bytes: Vec<u8>) -> Result<String, String> {
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        bytes.drain(..3);
    }
    String::from_utf8(bytes).map_err(|error| {
        let (at, bytes) = (error.utf8_error().valid_up_to(), error.as_bytes());
        let hint = match bytes {
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => {
                "it looks like UTF-16, as Windows PowerShell writes it: save it as UTF-8"
            }
            _ if error.utf8_error().error_len().is_none() => "it was cut off inside a character",
            _ if bytes.contains(&0) => "it looks like no text at all",
            _ => "it may be Latin-1 or Windows-1252: save it as UTF-8",
        };
        format!("byte {at} is not UTF-8 (0x{:02X}); {hint}", bytes[at])
    })
}

/// Errors if the content is git-lfs's and not the file's own.
pub fn refuse_pointer(path: &Path, bytes: &[u8]) -> Result<()> {
    if !bytes.starts_with(POINTER) {
        return Ok(());
    }
    let problem =
        "this is a git-lfs pointer and not the file itself: fetch it with `git lfs pull`, or \
                   the whole model with `olmo2 pull`";
    Err(invalid(path, problem.to_owned()))
}

fn invalid(path: &Path, problem: String) -> Error {
    Error::InvalidFile { file: path.to_owned(), problem }
}

/// A file that appears under its name only when all of it is on the disk.
///
/// Until [`finish`](Self::finish) it is beside its place, as `NAME.N.partial` with a number that no
/// other writer of the same file has. Dropped before that, it is removed; if the process was killed, by
/// the next writer.
pub struct NewFile {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_not_utf8_is_refused_where_it_is_not() {
        let utf16 = |text: &str| -> Vec<u8> {
            let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
            units.flat_map(u16::to_le_bytes).collect()
        };
        let cases: [(Vec<u8>, &str); 6] = [
            (utf16("hello"), "byte 0 is not UTF-8 (0xFF); it looks like UTF-16"),
            (b"\xFE\xFF\0h".to_vec(), "byte 0 is not UTF-8 (0xFE); it looks like UTF-16"),
            (b"caf\xE9 au lait".to_vec(), "byte 3 is not UTF-8 (0xE9); it may be Latin-1"),
            ("caf\u{e9}".as_bytes()[..4].to_vec(), "byte 3 is not UTF-8 (0xC3); it was cut off"),
            (b"\x80".to_vec(), "byte 0 is not UTF-8 (0x80); it may be Latin-1"),
            (b"ELF\0\0\xF0(".to_vec(), "byte 5 is not UTF-8 (0xF0); it looks like no text"),
        ];
        for (bytes, expected) in cases {
            let problem = utf8(bytes).unwrap_err();
            assert!(problem.starts_with(expected), "{problem}");
        }
        assert_eq!(utf8(b"\xEF\xBB\xBFa\r\n".to_vec()).as_deref(), Ok("a\r\n"));
        assert_eq!(utf8("a\u{feff}".into()).as_deref(), Ok("a\u{feff}"));
        assert_eq!(utf8(Vec::new()).as_deref(), Ok(""));
    }

    #[test]
    fn only_files_are_read_and_not_beyond_their_bound() {
        let folder = std::env::temp_dir().join(format!("olmo-core-files-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("config.json");
        fs::write(&file, "12345").unwrap();
        assert_eq!(read(&file, 5).unwrap(), b"12345");
        let error = read(&file, 4).unwrap_err();
        assert_eq!(error.code(), "INVALID_FILE");
        assert!(error.to_string().ends_with("it has more than 4 B, which no such file needs"));
        fs::write(&file, "version https://git-lfs.github.com/spec/v1\noid sha256:4d\n").unwrap();
        let error = read_text(&file, 1000).unwrap_err().to_string();
        assert!(error.contains("config.json: this is a git-lfs pointer"), "{error}");
        let error = read(&folder, 10).unwrap_err();
        assert!(error.to_string().ends_with("it is a folder, but a file is needed"), "{error}");
        assert_eq!(read_if_there(&folder.join("none"), 10).unwrap(), None);
        if cfg!(unix) {
            let pipe = folder.join("pipe");
            let made = std::process::Command::new("mkfifo").arg(&pipe).status();
            if made.is_ok_and(|made| made.success()) {
                let error = read_if_there(&pipe, 10).unwrap_err().to_string();
                assert!(
                    error.ends_with("it is a pipe or a device, but a file is needed"),
                    "{error}"
                );
            }
            let error = read("/dev/zero".as_ref(), 10).unwrap_err();
            assert_eq!(error.code(), "IO");
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
