//! Token files as OLMo's trainers map them into memory.
//!
//! A file is the tokens of its documents one after the other, each document followed by the
//! end-of-text token, as little-endian 16-bit numbers and nothing else. The name ends in `.npy`,
//! as OLMo's do, though numpy's header is not there: `numpy.memmap(file, dtype="uint16")`.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::documents::END_OF_TEXT;
use super::manifest::TokenFile;
use super::pieces::pieces;
use super::token_file::{self, TokenType};
use crate::files::hashed::NewFile;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

/// Encodes documents and writes them to `folder/file`, unless `cancelled` gets set before it is whole.
pub fn write_tokens(
    folder: &Path,
    file: &Path,
    documents: &[&str],
    tokenizer: &Tokenizer,
    cancelled: &AtomicBool,
) -> Result<TokenFile> {
    let eos = end_of_text(tokenizer)?;
    let mut out = NewFile::create(&folder.join(file))?;
    let (mut tokens, mut bytes) = (0u64, 0u64);
    // A round at a time, so that at most some thousand documents' tokens are in memory.
    for round in documents.chunks(4096) {
        for (document, ids) in round.iter().zip(encode_all(round, tokenizer, eos, cancelled)?) {
            bytes += document.len() as u64;
            tokens += ids.len() as u64;
            let raw: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
            out.write(&raw)?;
        }
    }
    let documents = documents.len() as u64;
    Ok(TokenFile { file: file.to_owned(), documents, bytes, tokens, sha256: out.finish()? })
}

/// Reads a file of 16-bit tokens whole.
pub fn read_tokens(file: &Path) -> Result<Vec<u16>> {
    let tokens = token_file::TokenFile::open(file, TokenType::Uint16)?;
    if tokens.dtype() != TokenType::Uint16 {
        let problem = format!("it holds {}, and not uint16", tokens.dtype().name());
        return Err(Error::InvalidFile { file: file.to_owned(), problem });
    }
    Ok(tokens.read_all())
}

/// The id of the end-of-text token.
pub(crate) fn end_of_text(tokenizer: &Tokenizer) -> Result<u16> {
    let id = tokenizer.token_id(END_OF_TEXT).and_then(|id| u16::try_from(id).ok());
    id.ok_or_else(|| Error::Internal(format!("the tokenizer has no {END_OF_TEXT} in 16 bits")))
}

/// The tokens of each document, the last of each being `eos`; on all processors.
fn encode_all(
    documents: &[&str],
    tokenizer: &Tokenizer,
    eos: u16,
    cancelled: &AtomicBool,
) -> Result<Vec<Vec<u16>>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let worker = || -> Result<Vec<(usize, Vec<u16>)>> {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(document) = documents.get(index) else { return Ok(done) };
            Error::if_cancelled(cancelled)?;
            done.push((index, encode(document, tokenizer, eos)?));
        }
    };
    let parts = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().map(join).collect::<Result<Vec<_>>>()
    })?;
    let mut all = vec![Vec::new(); documents.len()];
    for (index, ids) in parts.into_iter().flatten() {
        all[index] = ids;
    }
    Ok(all)
}

fn encode(document: &str, tokenizer: &Tokenizer, eos: u16) -> Result<Vec<u16>> {
    let mut ids = Vec::with_capacity(document.len() / 3);
    for piece in pieces(document, 1 << 13) {
        for id in tokenizer.encode(piece, false)? {
            let id = u16::try_from(id);
            ids.push(id.map_err(|_| Error::Internal("a token id of over 16 bits".to_owned()))?);
        }
    }
    ids.push(eos);
    Ok(ids)
}
