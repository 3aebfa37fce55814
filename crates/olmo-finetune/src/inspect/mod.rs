//! A look at a folder of training data, whoever made it: what it is, what is wrong with it, some examples.

mod boundaries;
mod examples;
mod folder;
mod scan;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use olmo_core::files;
use olmo_core::prepare::token_file::TokenType;
use olmo_core::tokenizer::Tokenizer;
use olmo_core::{Error, Result};
use serde::Serialize;

use crate::encoder::Encoder;
use crate::options::Format;
use folder::{Folder, Part};

pub use examples::{Example, Run};

/// What [`inspect`] is asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub folder: PathBuf,
    /// A folder, or a `tokenizer.json`. Default: the one in the folder.
    pub tokenizer: Option<PathBuf>,
    /// How ids are stored. Default: as the files' lengths say.
    pub dtype: Option<TokenType>,
    /// The length of a row of OLMo's format. Default: as the folder says.
    pub max_seq_len: Option<usize>,
    /// Examples to decode, from the first.
    pub examples: usize,
    /// The first of them, from 0.
    pub from: u64,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    pub format: Format,
    pub dtype: &'static str,
    pub vocab_size: usize,
    pub eos_token_id: Option<u32>,
    pub parts: usize,
    pub tokens: u64,
    pub labelled_tokens: u64,
    /// Documents or rows; none where nothing says where they begin.
    pub examples: Option<u64>,
    /// That do not end with the eos token, or a row's padding.
    pub without_final_eos: u64,
    /// Eos tokens within an example: OLMo-core can take each for an end.
    pub inner_eos: u64,
    pub without_labels: u64,
    pub longest: u64,
    /// What a trainer would stumble over, or silently learn wrongly from.
    pub problems: Vec<String>,
    pub shown: Vec<Example>,
}

/// The most problems that are told.
const MOST_PROBLEMS: usize = 20;

/// Finds out what a folder holds, and reads all of it once.
///
/// Errors with [`Error::InvalidFile`] if it is no training data at all; what is wrong with data is among the
/// problems.
pub fn inspect(options: &Options, cancelled: &AtomicBool) -> Result<Inspection> {
    let mut folder = Folder::open(options)?;
    let (encoder, eos) = encoder(options, &folder)?;
    let vocab_size = encoder.tokenizer().vocab_size();
    let mut found = Inspection {
        format: folder.format,
        dtype: folder.dtype.name(),
        vocab_size,
        eos_token_id: eos,
        parts: folder.parts.len(),
        tokens: 0,
        labelled_tokens: 0,
        examples: Some(0),
        without_final_eos: 0,
        inner_eos: 0,
        without_labels: 0,
        longest: 0,
        problems: std::mem::take(&mut folder.problems),
        shown: Vec::new(),
    };
    let mut scan = scan::Scan { folder: &folder, vocab_size, eos, found: &mut found, cancelled };
    for part in &folder.parts {
        let ends = scan.ends(part)?;
        scan.part(part, ends.as_deref())?;
    }
    found.shown = examples::read(&folder, &encoder, options, &found)?;
    if found.labelled_tokens == 0 {
        found.problem("nothing is labelled, so that nothing would be learnt".to_owned());
    }
    Ok(found)
}

impl Inspection {
    fn problem(&mut self, problem: String) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(problem);
        }
    }
}

fn encoder(options: &Options, folder: &Folder) -> Result<(Encoder, Option<u32>)> {
    let own = options.folder.join("tokenizer");
    let path = match &options.tokenizer {
        Some(path) => path.clone(),
        None if own.join("tokenizer.json").is_file() => own,
        None => {
            let problem = "the folder has no tokenizer of its own: name the one it was made with";
            return Err(Error::option("tokenizer", "not given", problem));
        }
    };
    let file = if path.is_dir() { path.join("tokenizer.json") } else { path.clone() };
    let tokenizer = Tokenizer::from_json(&files::read(&file, 32 << 20)?, &file)?;
    let tokens = crate::setup::tokens(&path, &tokenizer)?;
    let eos = tokens.get("eos_token").and_then(|text| tokenizer.token_id(text));
    let _ = folder;
    Ok((Encoder::new(tokenizer, &file)?, eos))
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// How many ids a part has.
fn tokens(part: &Part, dtype: TokenType) -> u64 {
    part.ids_bytes / dtype.size() as u64
}
