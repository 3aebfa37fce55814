//! `manifest.json`: what a prepared folder holds, for the trainer and for whoever repeats it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::held_out::HeldOut;
use super::token_file::TokenType;
use crate::files::hashed::{read_file, write_file};
use crate::files::read_if_there;
use crate::{Error, Result};

/// The name of the file.
pub const MANIFEST: &str = "manifest.json";

/// The largest manifest that is looked at before it is replaced: one has some hundred bytes a source.
const MOST_BYTES: u64 = 64 << 20;

/// The file with the scores of n-gram models on the held-out text, if any were measured.
pub const BASELINES: &str = "baseline.json";

/// A prepared folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// How tokens are stored: `uint16`, little-endian, nothing before or after them.
    pub dtype: String,
    /// Decides which documents are held out.
    pub seed: u64,
    pub held_out: HeldOut,
    pub vocab_size: usize,
    /// The token after every document.
    pub eos_token_id: u32,
    /// SHA-256 of `tokenizer/tokenizer.json`.
    pub tokenizer_sha256: String,
    pub sources: Vec<SourceEntry>,
}

/// One source: one file of text, two of tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceEntry {
    pub name: String,
    /// SHA-256 of the unpacked text file.
    pub text_sha256: String,
    /// Bytes of the unpacked text file, markers included.
    pub text_bytes: u64,
    /// Documents drawn for validation, but left in training because they overlap with others.
    pub passed_over: usize,
    pub train: TokenFile,
    pub validation: TokenFile,
}

/// One file of tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenFile {
    /// Below the manifest's folder.
    pub file: PathBuf,
    pub documents: u64,
    /// Bytes of the documents' text in UTF-8, for bits per byte.
    pub bytes: u64,
    /// The token after each document counts.
    pub tokens: u64,
    pub sha256: String,
}

impl Manifest {
    /// Reads the manifest of a prepared folder.
    pub fn read(folder: &Path) -> Result<Manifest> {
        let file = folder.join(MANIFEST);
        let json = read_file(&file)?;
        let invalid = |problem: String| Error::InvalidFile { file: file.clone(), problem };
        let manifest: Manifest = serde_json::from_slice(&json)
            .map_err(|error| invalid(format!("this is not a manifest of tokens: {error}")))?;
        if manifest.dtype != TokenType::Uint16.name() {
            return Err(invalid(format!("its dtype is {}, not uint16", manifest.dtype)));
        }
        Ok(manifest)
    }

    /// Fails if a folder has a file of this name that holds something else: it would be replaced.
    pub(crate) fn check_place(folder: &Path) -> Result<()> {
        let file = folder.join(MANIFEST);
        let json = match read_if_there(&file, MOST_BYTES) {
            Ok(Some(json)) => json,
            // Where nothing can be read nothing can be written either, which then says why.
            Ok(None) | Err(Error::Io { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        match serde_json::from_slice::<Manifest>(&json) {
            Ok(_) => Ok(()),
            Err(_) => {
                let problem =
                    "this is not a manifest of tokens, and would be replaced by one: prepare into \
                               another folder";
                Err(Error::InvalidFile { file, problem: problem.to_owned() })
            }
        }
    }

    /// How tokens are stored.
    pub fn token_type(&self) -> TokenType {
        TokenType::Uint16 // `read` refuses others
    }

    /// The contents of the file.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain JSON") + "\n"
    }

    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        write_file(&folder.join(MANIFEST), self.to_json().as_bytes()).map(|_| ())
    }
}
