//! The header of numpy's `.npy` files, which some token files have.
//!
//! Source: `numpy.lib.format`: the magic, two bytes of version, the header's length in 2 bytes (version 1)
//! or 4, then a Python dict with `descr`, `fortran_order` and `shape`.

use super::token_file::TokenType;

const MAGIC: &[u8] = b"\x93NUMPY";

/// What a header says.
#[derive(Debug, PartialEq)]
pub struct Header {
    pub dtype: TokenType,
    /// Where the ids begin.
    pub start: usize,
    pub len: usize,
}

/// Reads the header, if there is one.
pub fn header(file: &[u8]) -> Result<Option<Header>, String> {
    let Some(after) = file.strip_prefix(MAGIC) else { return Ok(None) };
    let unread = "this is numpy's .npy format, with a header that cannot be read";
    let length = match after {
        [1, _, a, b, ..] => Some((4, u16::from_le_bytes([*a, *b]) as usize)),
        [2 | 3, _, a, b, c, d, ..] => Some((6, u32::from_le_bytes([*a, *b, *c, *d]) as usize)),
        _ => None,
    };
    let parts = length.and_then(|(before, length)| {
        let text = after.get(before..)?.get(..length)?;
        Some((MAGIC.len() + before + length, std::str::from_utf8(text).ok()?))
    });
    let (start, text) = parts.ok_or(unread)?;
    let descr = value(text, "descr").and_then(quoted).ok_or(unread)?;
    let dtype = match descr {
        "|u1" | "<u1" | "|i1" | "<i1" | "|b1" => TokenType::Uint8,
        "<u2" | "<i2" => TokenType::Uint16,
        "<u4" | "<i4" => TokenType::Uint32,
        "<u8" | "<i8" => TokenType::Uint64,
        other => {
            let known = "little-endian whole numbers of 1, 2, 4 or 8 bytes";
            return Err(format!("numpy stored it as {other}, but token ids are {known}"));
        }
    };
    if value(text, "fortran_order").is_none_or(|order| !order.starts_with("False")) {
        return Err("numpy stored it column by column (fortran_order), so texts are torn".into());
    }
    let len = value(text, "shape").and_then(elements).ok_or(unread)?;
    let bytes = file.len() - start;
    if len.checked_mul(dtype.size()) != Some(bytes) {
        return Err(format!(
            "its .npy header promises {len} ids of {} bytes, but {bytes} bytes follow: it was cut off",
            dtype.size()
        ));
    }
    Ok(Some(Header { dtype, start, len }))
}

/// What stands after a key of the dict.
fn value<'t>(dict: &'t str, key: &str) -> Option<&'t str> {
    let at = dict.find(&format!("'{key}'"))?;
    dict[at + key.len() + 2..].trim_start().strip_prefix(':').map(str::trim_start)
}

fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('\'')?.split_once('\'').map(|(inside, _)| inside)
}

/// How many elements a shape has: `(10,)`, `(4, 512)`.
fn elements(text: &str) -> Option<usize> {
    let (inside, _) = text.strip_prefix('(')?.split_once(')')?;
    let sizes = inside.split(',').map(str::trim).filter(|size| !size.is_empty());
    sizes
        .map(|size| size.parse().ok())
        .try_fold(1usize, |n, size: Option<usize>| n.checked_mul(size?))
}
