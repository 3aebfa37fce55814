//! The file of a cache: written as a whole, and read as something that anybody may have made.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cache::BLOCK_TOKENS;
use crate::files::{self, NewFile};
use crate::{Error, Result};

/// The last character is the format's version.
const MAGIC: &[u8; 8] = b"OLMO2KV1";
/// Bytes of the largest head that is read.
const MOST_HEAD: usize = 1 << 12;
/// Bytes of a SHA-256.
const HASH: u64 = 32;
/// Bytes of a block in front of its keys and values.
const BLOCK_HEAD: usize = 4 * (1 + BLOCK_TOKENS);

/// What keys and values hang on: a file is of use only where all of it is the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// A hash of weights and config.
    pub model: String,
    /// What the weights are held in.
    pub dtype: String,
    pub cache_dtype: String,
    /// Which backend's form the blocks are in.
    pub backend: String,
    pub block_tokens: usize,
    pub block_bytes: usize,
}

/// A file in the making; it is there when it is [finished](Writer::finish).
pub struct Writer {
    file: NewFile,
    hash: Sha256,
    bytes: u64,
}

impl Writer {
    pub fn create(path: &Path, head: &Head) -> Result<Writer> {
        let mut writer = Writer { file: NewFile::create(path)?, hash: Sha256::new(), bytes: 0 };
        let head = serde_json::to_vec(head).map_err(|error| Error::Internal(error.to_string()))?;
        writer.write(MAGIC)?;
        writer.write(&(head.len() as u32).to_le_bytes())?;
        writer.write(&head)?;
        Ok(writer)
    }

    pub fn block(&mut self, follows: u32, tokens: &[u32], bytes: &[u8]) -> Result<()> {
        self.write(&follows.to_le_bytes())?;
        for token in tokens {
            self.write(&token.to_le_bytes())?;
        }
        self.write(bytes)
    }

    /// Gives the bytes of the file.
    pub fn finish(mut self) -> Result<u64> {
        self.file.write(&self.hash.finalize())?;
        self.file.finish()?;
        Ok(self.bytes + HASH)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.file.write(bytes)
    }
}

/// A block that was read.
pub struct StoredBlock {
    /// The number of the block before it; smaller than its own.
    pub follows: usize,
    pub tokens: [u32; BLOCK_TOKENS],
    pub bytes: Vec<u8>,
}

/// A file that is whole, and of this model.
pub struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    bytes: u64,
    block_bytes: usize,
    /// Blocks that were read, and that there are.
    read: usize,
    blocks: usize,
}

impl Reader {
    /// Errors if a byte of the file is not as it was written, or it was written of something else than `own`.
    pub fn open(path: &Path, own: &Head) -> Result<Reader> {
        let invalid = |problem: &str| invalid(path, problem);
        let mut file = BufReader::with_capacity(1 << 20, files::open(path)?);
        let bytes = file.get_ref().metadata().map_err(|error| Error::io(path, error))?.len();
        let (head, head_bytes) = read_head(path, &mut file)?;
        if head.model != own.model {
            return Err(invalid("it is the cache of another model, or of other weights"));
        }
        if head != *own {
            return Err(invalid(&format!(
                "it is the cache of this model in another form: {} with a cache in {} on {}, not {} with {} on {}",
                head.dtype, head.cache_dtype, head.backend, own.dtype, own.cache_dtype, own.backend,
            )));
        }
        let block = (BLOCK_HEAD + own.block_bytes) as u64;
        let rest = bytes.checked_sub(head_bytes + HASH).filter(|rest| rest.is_multiple_of(block));
        let Some(rest) = rest else { return Err(invalid("it was cut off, or is damaged")) };
        check_hash(path, &mut file, bytes - HASH)?;
        file.seek(SeekFrom::Start(head_bytes)).map_err(|error| Error::io(path, error))?;
        let blocks = (rest / block) as usize;
        let path = path.to_owned();
        Ok(Reader { path, file, bytes, block_bytes: own.block_bytes, read: 0, blocks })
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next `most` blocks, or those that are left, of tokens below `vocab_size`.
    pub fn blocks(&mut self, most: usize, vocab_size: usize) -> Result<Vec<StoredBlock>> {
        let count = most.min(self.blocks - self.read);
        (0..count).map(|_| self.block(vocab_size)).collect()
    }

    fn block(&mut self, vocab_size: usize) -> Result<StoredBlock> {
        let mut head = [0; BLOCK_HEAD];
        let mut bytes = vec![0; self.block_bytes];
        read(&self.path, &mut self.file, &mut head)?;
        read(&self.path, &mut self.file, &mut bytes)?;
        let mut numbers = head
            .chunks_exact(4)
            .map(|bytes| u32::from_le_bytes(bytes.try_into().expect("four bytes")));
        let follows = numbers.next().expect("the first of them") as usize;
        let mut tokens = [0; BLOCK_TOKENS];
        tokens.iter_mut().zip(numbers).for_each(|(token, number)| *token = number);
        if follows > self.read {
            return Err(invalid(&self.path, "a block follows one that comes after it"));
        }
        if tokens.iter().any(|&token| token as usize >= vocab_size) {
            return Err(invalid(&self.path, "it has a token that the model does not know"));
        }
        self.read += 1;
        Ok(StoredBlock { follows, tokens, bytes })
    }
}

/// The head, and the bytes up to its end.
fn read_head(path: &Path, file: &mut impl Read) -> Result<(Head, u64)> {
    let mut start = [0; MAGIC.len() + 4];
    read(path, file, &mut start)?;
    let (magic, length) = start.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(invalid(path, "it is not a saved cache, or one of another version"));
    }
    let length = u32::from_le_bytes(length.try_into().expect("four bytes")) as usize;
    if length > MOST_HEAD {
        return Err(invalid(path, "its head is too long"));
    }
    let mut json = vec![0; length];
    read(path, file, &mut json)?;
    let head = serde_json::from_slice(&json)
        .map_err(|error| invalid(path, &format!("its head cannot be read: {error}")))?;
    Ok((head, (start.len() + length) as u64))
}

/// Whether the first `bytes` bytes have the hash that stands behind them.
fn check_hash(path: &Path, file: &mut (impl Read + Seek), bytes: u64) -> Result<()> {
    file.seek(SeekFrom::Start(0)).map_err(|error| Error::io(path, error))?;
    let (mut hash, mut left) = (Sha256::new(), bytes);
    let mut buffer = vec![0; 1 << 20];
    while left > 0 {
        let part = &mut buffer[..left.min(1 << 20) as usize];
        read(path, file, part)?;
        hash.update(&*part);
        left -= part.len() as u64;
    }
    let mut stored = [0; HASH as usize];
    read(path, file, &mut stored)?;
    match hash.finalize()[..] == stored {
        true => Ok(()),
        false => Err(invalid(path, "it is damaged: its hash is another")),
    }
}

fn read(path: &Path, file: &mut impl Read, into: &mut [u8]) -> Result<()> {
    file.read_exact(into).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => invalid(path, "it was cut off, or is no saved cache"),
        _ => Error::io(path, error),
    })
}

fn invalid(path: &Path, problem: &str) -> Error {
    Error::InvalidFile { file: path.to_owned(), problem: problem.to_owned() }
}
