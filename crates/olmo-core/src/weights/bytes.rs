//! The bytes of a weight file: mapped, or read into memory.

use std::fs::File;
use std::io::Read;
use std::ops::{Deref, Range};
use std::path::Path;

use memmap2::Mmap;

use crate::error::{Amount, Hint};
use crate::files;
use crate::machine::available_memory;
use crate::{Error, Result};

/// How the bytes of a weight file come into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// By the system, page after page as they are used. A file that another process cuts short meanwhile
    /// ends this one with SIGBUS.
    #[default]
    Map,
    /// All at once, into memory of this process's own.
    Read,
}

/// The bytes of an open file.
#[derive(Debug)]
pub(super) enum FileBytes {
    Mapped {
        map: Mmap,
        /// Holds a shared lock, where the system has one: it tells programs that ask not to write.
        _file: File,
    },
    Read(Vec<u8>),
}

impl FileBytes {
    pub fn open(path: &Path, access: Access) -> Result<FileBytes> {
        let file = files::open(path)?;
        let bytes = match access {
            Access::Read => FileBytes::Read(read_all(path, file)?),
            Access::Map => {
                let _ = file.try_lock_shared();
                // SAFETY: the mapping is read-only, and the bytes are only ever read as plain numbers,
                // for which every bit pattern is valid. A file that another process shrinks while it is
                // in use can end this process with SIGBUS: that is the price of mapping, the same for
                // every engine that maps, and `Access::Read` is the way around it.
                let map = unsafe { Mmap::map(&file) }.map_err(|error| Error::io(path, error))?;
                FileBytes::Mapped { map, _file: file }
            }
        };
        files::refuse_pointer(path, &bytes)?;
        Ok(bytes)
    }

    /// Says that a part is not needed in memory any more. Of a mapped file it comes back when asked for.
    pub fn release(&self, range: &Range<usize>) {
        #[cfg(unix)]
        if let FileBytes::Mapped { map, .. } = self {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            // SAFETY: the mapping is read-only and of a file, so that the same bytes come back.
            let _ = unsafe { map.unchecked_advise_range(advice, range.start, range.len()) };
        }
        #[cfg(not(unix))]
        let _ = range; // memmap2 has no such advice there
    }
}

impl Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            FileBytes::Mapped { map, .. } => map,
            FileBytes::Read(bytes) => bytes,
        }
    }
}

/// The file's content, of the length it had when it was opened.
fn read_all(path: &Path, file: File) -> Result<Vec<u8>> {
    let length = file.metadata().map_err(|error| Error::io(path, error))?.len();
    let mut bytes = Vec::new();
    let available = available_memory();
    let room = usize::try_from(length).ok().filter(|_| length <= available);
    if room.is_none_or(|room| bytes.try_reserve_exact(room).is_err()) {
        return Err(Error::NotEnoughMemory {
            what: format!("the whole of {}", path.display()),
            need: Amount::Bytes(length),
            have: Some(Amount::Bytes(available)),
            hint: Hint::MapFiles,
        });
    }
    file.take(length).read_to_end(&mut bytes).map_err(|error| Error::io(path, error))?;
    Ok(bytes)
}
