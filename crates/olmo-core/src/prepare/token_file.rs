//! Files of token ids, how they are stored, and whether they are what they are taken for.
//!
//! A file is what numpy's `memmap` and `tofile` write and OLMo's `MemMapDataset` reads: ids one after the
//! other, little-endian, without a header; or what `numpy.save` writes, with one.

use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use serde::{Deserialize, Serialize};

use super::npy;
use crate::{files, Error, Result};

/// How a token id is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenType {
    Uint8,
    #[default]
    Uint16,
    Uint32,
    Uint64,
}

impl TokenType {
    pub const ALL: [TokenType; 4] =
        [TokenType::Uint8, TokenType::Uint16, TokenType::Uint32, TokenType::Uint64];

    /// Bytes of an id.
    pub fn size(self) -> usize {
        match self {
            TokenType::Uint8 => 1,
            TokenType::Uint16 => 2,
            TokenType::Uint32 => 4,
            TokenType::Uint64 => 8,
        }
    }

    /// numpy's name.
    pub fn name(self) -> &'static str {
        match self {
            TokenType::Uint8 => "uint8",
            TokenType::Uint16 => "uint16",
            TokenType::Uint32 => "uint32",
            TokenType::Uint64 => "uint64",
        }
    }

    /// The smallest of 16 bits or more in which every id of a vocabulary has room.
    pub fn of_vocabulary(vocab_size: usize) -> TokenType {
        match vocab_size as u64 {
            0..=0x1_0000 => TokenType::Uint16,
            0x1_0001..=0x1_0000_0000 => TokenType::Uint32,
            _ => TokenType::Uint64,
        }
    }

    fn largest(self) -> u64 {
        u64::MAX >> (64 - 8 * self.size())
    }

    fn ids(self, bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
        let id = |bytes: &[u8]| bytes.iter().rev().fold(0, |id, &byte| id << 8 | u64::from(byte));
        bytes.chunks_exact(self.size()).map(id)
    }
}

/// A mapped file of token ids.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    map: Option<Mmap>,
    dtype: TokenType,
    /// Where the ids begin, in bytes.
    start: usize,
    len: usize,
}

/// Bytes that are looked at of a large file, in spans from its beginning to its end.
const LOOKED_AT: usize = 64 << 20;
const SPAN: usize = 64 << 10;

impl TokenFile {
    /// Maps a file whose ids are stored as `dtype`, unless a header says otherwise.
    pub fn open(path: &Path, dtype: TokenType) -> Result<TokenFile> {
        let file = files::open(path)?;
        let bytes = file.metadata().map_err(|error| Error::io(path, error))?.len();
        let invalid = |problem: String| Error::InvalidFile { file: path.to_owned(), problem };
        let map = match bytes {
            0 => None, // nothing to map
            // SAFETY: read-only, and every bit pattern is a number; see weights/safetensors.rs.
            _ => Some(unsafe { Mmap::map(&file) }.map_err(|error| Error::io(path, error))?),
        };
        let content = map.as_deref().unwrap_or_default();
        if let Some(npy::Header { dtype, start, len }) = npy::header(content).map_err(&invalid)? {
            return Ok(TokenFile { path: path.to_owned(), map, dtype, start, len });
        }
        let len = content.len() / dtype.size();
        if !content.len().is_multiple_of(dtype.size()) {
            let bytes = content.len();
            return Err(invalid(format!(
                "{bytes} bytes are no whole number of {dtype:?} tokens; check the dtype"
            )));
        }
        Ok(TokenFile { path: path.to_owned(), map, dtype, start: 0, len })
    }

    /// Maps a file for a model, and makes sure as far as a look can that it holds ids of its vocabulary.
    ///
    /// Without a `dtype` a header says how they are stored, or else the size of the vocabulary, as in
    /// OLMo-core. The look takes some hundredths of a second however large the file is; every id that is
    /// [read](Self::read) is checked.
    pub fn open_for(path: &Path, dtype: Option<TokenType>, vocab_size: usize) -> Result<TokenFile> {
        let file = TokenFile::open(path, dtype.unwrap_or(TokenType::of_vocabulary(vocab_size)))?;
        if let Some(dtype) = dtype.filter(|dtype| *dtype != file.dtype) {
            let (is, not) = (file.dtype.name(), dtype.name());
            return Err(file.error(format!("its .npy header says {is}, and not {not}")));
        }
        let largest = file.dtype.largest();
        if largest < vocab_size as u64 - 1 {
            let name = file.dtype.name();
            return Err(file.error(format!(
                "{name} holds ids to {largest}, but the vocabulary has {vocab_size}{}",
                file.fitting(vocab_size)
            )));
        }
        file.check(vocab_size)?;
        Ok(file)
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn dtype(&self) -> TokenType {
        self.dtype
    }

    /// The ids in a range, each checked against the vocabulary.
    pub fn read(&self, range: Range<usize>, vocab_size: usize) -> Result<Vec<u32>> {
        let size = self.dtype.size();
        let bytes = &self.bytes()[range.start * size..range.end * size];
        let mut ids = Vec::with_capacity(range.len());
        for (index, id) in self.dtype.ids(bytes).enumerate() {
            if id >= vocab_size as u64 {
                return Err(self.outside(range.start + index, id, vocab_size));
            }
            ids.push(id as u32);
        }
        Ok(ids)
    }

    /// All ids, which must be 16-bit ones.
    pub fn read_all(&self) -> Vec<u16> {
        self.dtype.ids(self.bytes()).map(|id| id as u16).collect()
    }

    /// The ids as they are stored.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.map.as_deref().unwrap_or_default()[self.start..]
    }

    /// The spans that are looked at, with where they begin: all of a small file.
    fn spans(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let bytes = self.bytes();
        let all = bytes.len().div_ceil(SPAN);
        let count = all.min(LOOKED_AT / SPAN);
        (0..count).map(move |n| {
            let span = if count == all { n } else { (all - 1) * n / (count - 1) };
            let start = span * SPAN;
            (start, &bytes[start..bytes.len().min(start + SPAN)])
        })
    }

    fn check(&self, vocab_size: usize) -> Result<()> {
        for (start, bytes) in self.spans() {
            let outside = |&(_, id): &(usize, u64)| id >= vocab_size as u64;
            if let Some((index, id)) = self.dtype.ids(bytes).enumerate().find(outside) {
                return Err(self.outside(start / self.dtype.size() + index, id, vocab_size));
            }
        }
        match self.is_wider() {
            true => Err(self.error(format!(
                "every second id is 0 if it is read as {}{}",
                self.dtype.name(),
                self.fitting(vocab_size)
            ))),
            false => Ok(()),
        }
    }

    /// Whether this is surely stored in more bytes: upper halves of small numbers are 0.
    fn is_wider(&self) -> bool {
        let halves_are_empty = |(_, bytes): (usize, &[u8])| {
            bytes
                .chunks_exact(2 * self.dtype.size())
                .all(|pair| pair[self.dtype.size()..].iter().all(|&byte| byte == 0))
        };
        let is_pairs = self.len >= 16 && self.len.is_multiple_of(2);
        // Of a whole file of zeros nothing can be told.
        let says_something = self.spans().any(|(_, bytes)| bytes.iter().any(|&byte| byte != 0));
        is_pairs && says_something && self.spans().all(halves_are_empty)
    }

    fn outside(&self, at: usize, id: u64, vocab_size: usize) -> Error {
        self.error(format!(
            "token {at} is {id}, outside the vocabulary of {vocab_size}{}",
            self.fitting(vocab_size)
        ))
    }

    /// The type that would make sense, as advice.
    fn fitting(&self, vocab_size: usize) -> String {
        let fits = |&dtype: &TokenType| {
            let whole = self.bytes().len().is_multiple_of(dtype.size());
            let known =
                |(_, bytes): (usize, &[u8])| dtype.ids(bytes).all(|id| id < vocab_size as u64);
            // Of 8 bits nothing can be told: every byte is an id of most vocabularies.
            ![self.dtype, TokenType::Uint8].contains(&dtype) && whole && self.spans().all(known)
        };
        // The widest: what fits in few bytes fits in fewer as well, with zeros between.
        match TokenType::ALL.iter().rev().copied().find(fits) {
            Some(dtype) => format!("; it looks like {0}: set dtype: {0}", dtype.name()),
            None => "; check the dtype, and that the text was encoded for this model".to_owned(),
        }
    }

    fn error(&self, problem: String) -> Error {
        Error::InvalidFile { file: self.path.clone(), problem }
    }
}
