//! From a folder of text to what the trainer reads.
//!
//! ```text
//! text/*.txt, *.jsonl.gz, … → documents → held-out split → BPE of the training split → token files
//!                                                                          → n-gram baseline
//! ```
//!
//! Nothing here draws on a clock, on threads or on the order of files: the same text, seed and
//! options give the same bytes.

pub mod bpe;
pub mod documents;
pub mod held_out;
pub mod kneser_ney;
mod manifest;
mod npy;
mod overlap;
pub(crate) mod packed;
mod pieces;
mod run_config;
pub mod token_file;
pub mod tokens;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

pub use held_out::HeldOut;
pub use manifest::{
    Manifest, SourceEntry, TokenFile, TokenFile as TokenEntry, BASELINES, MANIFEST,
};
pub use run_config::RUN_CONFIG;

use self::bpe::PAD;
use crate::files::hashed;
use crate::{Error, Result};

/// What [`prepare`] does.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder of text files; see [`documents`].
    pub text: PathBuf,
    /// Folder to write to. Files of the same names are replaced.
    pub out: PathBuf,
    /// Tokens of the vocabulary, dolma2's 22 added ones among them. Default 4096.
    pub vocab_size: usize,
    /// Decides which documents are held out. Default 0.
    pub seed: u64,
    /// How many are.
    pub held_out: HeldOut,
    /// `model_max_length` of `tokenizer_config.json`. Default 512.
    pub context: usize,
}

impl Options {
    /// The defaults, between two folders.
    pub fn new(text: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Options {
        Options {
            text: text.into(),
            out: out.into(),
            vocab_size: 4096,
            seed: 0,
            held_out: HeldOut::default(),
            context: 512,
        }
    }
}

/// Reads text, holds documents out, learns a tokenizer from the others and writes
///
/// - `tokenizer/tokenizer.json`, `tokenizer/tokenizer_config.json`,
/// - `train/SOURCE.npy` and `validation/SOURCE.npy` for each source,
/// - `train.yaml`, a run over all that, unless there is one,
/// - `manifest.json`, last, so that a folder with one is whole.
///
/// `progress` is told what begins. Once `cancelled` is set the work fails with [`Error::Cancelled`] after
/// the document it is at, or after the split or the tokenizer if it is at one of those; a file that is not
/// whole is removed.
pub fn prepare(
    options: &Options,
    cancelled: &AtomicBool,
    progress: &mut dyn FnMut(&str),
) -> Result<Manifest> {
    let mut begin = |what: &str| {
        progress(what);
        Error::if_cancelled(cancelled)
    };
    begin("reading the text")?;
    Manifest::check_place(&options.out)?;
    let sources = documents::read_folder(&options.text)?;
    begin("choosing documents to hold out")?;
    let splits = options.held_out.split(&sources, options.seed);
    let part = |index: usize, held_out: bool| -> Vec<&str> {
        let documents = sources[index].documents().zip(&splits[index].held_out);
        documents.filter(|(_, &held)| held == held_out).map(|(text, _)| text).collect()
    };

    begin("learning the tokenizer")?;
    let training: Vec<&str> = (0..sources.len()).flat_map(|index| part(index, false)).collect();
    let bpe = bpe::train(training.into_iter(), options.vocab_size)?;
    // From here on a folder of an earlier time is no longer whole.
    [MANIFEST, BASELINES].iter().try_for_each(|name| hashed::remove(&options.out.join(name)))?;
    let tokenizer_sha256 = bpe.write(&options.out.join("tokenizer"), options.context)?;
    let tokenizer = bpe.tokenizer()?;

    let mut entries = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        begin(&format!("encoding {}", source.name))?;
        let write = |split: &str, held_out: bool| {
            // Not joined as a path, so that the manifest is the same on Windows.
            let file = format!("{split}/{}.npy", source.name);
            let documents = part(index, held_out);
            tokens::write_tokens(&options.out, Path::new(&file), &documents, &tokenizer, cancelled)
        };
        entries.push(SourceEntry {
            name: source.name.clone(),
            text_sha256: source.sha256.clone(),
            text_bytes: source.bytes,
            passed_over: splits[index].passed_over,
            train: write("train", false)?,
            validation: write("validation", true)?,
        });
    }
    let manifest = Manifest {
        dtype: "uint16".to_owned(),
        seed: options.seed,
        held_out: options.held_out.clone(),
        vocab_size: options.vocab_size,
        eos_token_id: tokens::end_of_text(&tokenizer)?.into(),
        tokenizer_sha256,
        sources: entries,
    };
    let pad = tokenizer.token_id(PAD).ok_or_else(|| Error::Internal(format!("no {PAD}")))?;
    run_config::write(&options.out, &manifest, pad, options.context)?;
    manifest.write(&options.out)?;
    Ok(manifest)
}
