//! What files are, whatever they are called, and what is told of damaged ones.

use std::error::Error as StdError;
use std::io::{Error as IoError, ErrorKind};
use std::path::Path;

use olmo_core::Error;

/// What a file begins with that is no text, what that is, and what to do.
const KINDS: [(&[u8], &str, &str); 8] = [
    (b"\x1F\x8B", GZIP, "give it a name that ends in .jsonl.gz"),
    (b"\x28\xB5\x2F\xFD", ZSTD, "give it a name that ends in .jsonl.zst"),
    (b"PAR1", "a Parquet file", "give it a name that ends in .parquet"),
    (b"PK\x03\x04", "a zip file", UNPACK),
    (b"\xFD7zXZ", "packed with xz", UNPACK),
    (b"BZh", "packed with bzip2", UNPACK),
    (b"\xFF\xFE", "a text in UTF-16", "write it in UTF-8"),
    (b"\xFE\xFF", "a text in UTF-16", "write it in UTF-8"),
];
const UNPACK: &str = "unpack it first";
pub const GZIP: &str = "packed with gzip";
pub const ZSTD: &str = "packed with zstd";

/// Frames of zstd that hold no data, which others can follow.
pub fn is_skippable(start: &[u8]) -> bool {
    matches!(start, [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..])
}

/// Errors if a file is not what its name says it is: `expected` is one of the above, or nothing for a text.
pub fn check(path: &Path, expected: &str, start: &[u8]) -> Result<(), Error> {
    let found = KINDS.iter().find(|(magic, ..)| start.starts_with(magic));
    let is_so = match found {
        Some((_, kind, _)) => *kind == expected,
        None => expected.is_empty() || expected == ZSTD && is_skippable(start),
    };
    if is_so || start.is_empty() {
        return Ok(());
    }
    let problem = match found {
        Some((_, kind, then)) => format!("it is {kind}: {then}"),
        None => format!("it is not {expected}, as its name says: leave out that end of the name"),
    };
    Err(Error::InvalidFile { file: path.to_owned(), problem })
}

/// What is told of a stream that cannot be read on; `packed` says how the file is packed, if it is.
pub fn fault(path: &Path, packed: &str, error: &IoError, lines: u64) -> Error {
    if packed.is_empty() || error.kind() == ErrorKind::PermissionDenied {
        return Error::io(path, IoError::new(error.kind(), error.to_string()));
    }
    let problem = match error.kind() {
        ErrorKind::Unsupported => format!("it is {packed} in a way that is not read here: {error}"),
        _ if is_cut(error) => {
            format!(
                "it is {packed} and was cut short, after line {lines}: fetch it or make it again"
            )
        }
        _ => format!(
            "it is {packed} and damaged, after line {lines}: fetch it or make it again ({error})"
        ),
    };
    Error::InvalidFile { file: path.to_owned(), problem }
}

/// Whether it, or what it came from, is that the bytes ended.
fn is_cut(error: &IoError) -> bool {
    let mut cause = error.get_ref().map(|inner| inner as &dyn StdError);
    let mut is_end = error.kind() == ErrorKind::UnexpectedEof;
    while let Some(inner) = cause {
        let inner_error = inner.downcast_ref::<IoError>();
        is_end |= inner_error.is_some_and(|error| error.kind() == ErrorKind::UnexpectedEof);
        cause = inner.source();
    }
    // flate2 has no kind of its own for it.
    is_end || error.to_string().contains("incomplete deflate stream")
}
