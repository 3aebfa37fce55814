//! Packed files, unpacked within bounds: a few kilobytes can stand for terabytes.

use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;

use crate::error::{human_bytes, Amount, Hint};
use crate::machine::available_memory;
use crate::{Error, Result};

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    Gzip,
    Xz,
    Zstandard,
}

impl Packing {
    /// Ends of file names that say it.
    pub const ENDS: [(&'static str, Packing); 4] = [
        (".gz", Packing::Gzip),
        (".xz", Packing::Xz),
        (".zst", Packing::Zstandard),
        (".zstd", Packing::Zstandard),
    ];

    fn name(self) -> &'static str {
        match self {
            Packing::Gzip => "gzip",
            Packing::Xz => "xz",
            Packing::Zstandard => "zstd",
        }
    }
}

/// What text never reaches: it unpacks to some ten times its size.
const MOST_RATIO: usize = 256;
/// Below this no ratio is looked at.
const ALWAYS_FINE: usize = 64 << 20;
/// Of the memory that is free, the text of a preparation is read up to this part.
const SHARE: u64 = 2;
/// The most that an xz decoder may take itself, in KiB: the highest preset takes 65 MiB.
const XZ_KIB: u32 = 256 << 10;

/// Unpacks a file's content; `file` is for messages.
///
/// Errors with [`Error::InvalidFile`] if it is damaged, or unpacks to far more than text would, and with
/// [`Error::NotEnoughMemory`] if it does not fit.
pub fn unpack(packing: Packing, packed: &[u8], file: &Path) -> Result<Vec<u8>> {
    let mut out = Unpacked { bytes: Vec::new(), packed: packed.len(), file };
    let read = match packing {
        Packing::Gzip => out.read(&mut MultiGzDecoder::new(packed)),
        Packing::Xz => out.read(&mut XzReader::new_mem_limit(packed, true, XZ_KIB)),
        Packing::Zstandard => out.read_frames(packed),
    };
    match read {
        Ok(()) => Ok(out.bytes),
        Err(Failure::Limit(error)) => Err(error),
        Err(Failure::Damage(problem)) => {
            let name = packing.name();
            let problem = format!("it cannot be unpacked as {name}: {problem}");
            Err(Error::InvalidFile { file: file.to_owned(), problem })
        }
    }
}

enum Failure {
    Damage(String),
    Limit(Error),
}

struct Unpacked<'a> {
    bytes: Vec<u8>,
    packed: usize,
    file: &'a Path,
}

impl Unpacked<'_> {
    fn read(&mut self, reader: &mut dyn Read) -> Result<(), Failure> {
        let mut part = vec![0; 1 << 20];
        loop {
            match reader.read(&mut part).map_err(|error| Failure::Damage(error.to_string()))? {
                0 => return Ok(()),
                read => {
                    self.make_room(read).map_err(Failure::Limit)?;
                    self.bytes.extend_from_slice(&part[..read]);
                }
            }
        }
    }

    /// A zstd file is one frame after another, some of which hold no data.
    fn read_frames(&mut self, mut packed: &[u8]) -> Result<(), Failure> {
        let damage = |error: &dyn std::fmt::Display| Failure::Damage(error.to_string());
        if packed.is_empty() {
            return Err(damage(&"it is empty"));
        }
        while !packed.is_empty() {
            if let [0x50..=0x5F, 0x2A, 0x4D, 0x18, a, b, c, d, rest @ ..] = packed {
                let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
                packed = rest.get(length..).ok_or_else(|| damage(&"a frame is cut off"))?;
                continue;
            }
            let mut decoder = StreamingDecoder::new(&mut packed).map_err(|error| damage(&error))?;
            self.read(&mut decoder)?;
        }
        Ok(())
    }

    fn make_room(&mut self, more: usize) -> Result<()> {
        let needed = self.bytes.len() + more;
        let problem = format!(
            "it unpacks to more than {MOST_RATIO} times its size, which no text does: if it is meant so, \
             unpack it first"
        );
        if needed > ALWAYS_FINE && needed / MOST_RATIO > self.packed {
            return Err(Error::InvalidFile { file: self.file.to_owned(), problem });
        }
        if needed <= self.bytes.capacity() {
            return Ok(());
        }
        // Grown by doubling, so that the machine is not asked often.
        let capacity = needed.max(2 * self.bytes.capacity()).max(1 << 20);
        check_room(capacity as u64, self.file)?;
        self.bytes.reserve_exact(capacity - self.bytes.len());
        Ok(())
    }
}

/// Fails if a text of so many bytes does not fit into memory beside what is made of it.
pub fn check_room(bytes: u64, file: &Path) -> Result<()> {
    let have = available_memory() / SHARE;
    if bytes <= have {
        return Ok(());
    }
    Err(Error::NotEnoughMemory {
        what: format!("the text of {} ({} or more)", file.display(), human_bytes(bytes)),
        need: Amount::Bytes(bytes),
        have: Some(Amount::Bytes(have)),
        hint: Hint::LessText,
    })
}
