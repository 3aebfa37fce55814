//! Bits per byte of the text that a preparation held out, beside those of n-gram models.

use std::path::Path;

use serde::Serialize;

use super::baseline::{self, Baseline};
use super::score::score_windows;
use super::surprise::SourceScore;
use super::windows::documents;
use crate::engine::Engine;
use crate::prepare::tokens::read_tokens;
use crate::prepare::{Manifest, SourceEntry};
use crate::{Error, Result};

/// How well a model knows the held-out text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HeldOut {
    pub sources: Vec<SourceScore>,
    pub overall: SourceScore,
    /// The n-gram models' scores on the same text; empty if none were measured.
    pub baselines: Vec<Baseline>,
}

impl HeldOut {
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain JSON")
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoreProgress {
    pub tokens: u64,
    pub total: u64,
}

/// Scores the held-out documents of a prepared folder as the n-gram models' are: each document by
/// itself after an end-of-text token, every token once, the one that ends the document too.
///
/// `told` is told after each window how far it is, and may end the work with an error.
pub async fn score_held_out(
    engine: &Engine,
    folder: &Path,
    told: &mut (dyn FnMut(ScoreProgress) -> Result<()> + Send),
) -> Result<HeldOut> {
    let manifest = Manifest::read(folder)?;
    let config = &engine.info().config;
    if manifest.vocab_size > config.vocab_size {
        let sizes = format!("{} and {} tokens", manifest.vocab_size, config.vocab_size);
        let problem = format!("the text's vocabulary is not the model's: they have {sizes}");
        return Err(Error::InvalidFile { file: folder.to_owned(), problem });
    }
    let total = manifest.sources.iter().map(|source| source.validation.tokens).sum();
    let mut tokens = 0;
    let mut count = |counted: usize| {
        tokens += counted as u64;
        told(ScoreProgress { tokens, total })
    };
    let mut sources = Vec::new();
    for source in &manifest.sources {
        let ids = read_source(folder, &manifest, source)?;
        let windows = documents(&ids, manifest.eos_token_id, config.max_position_embeddings);
        let surprise = score_windows(engine, &ids, windows, &mut count).await?;
        let (tokens, bytes) = (source.validation.tokens, source.validation.bytes);
        sources.push(SourceScore::new(&source.name, surprise.bits(), tokens, bytes));
    }
    let overall = SourceScore::overall(&sources);
    Ok(HeldOut { sources, overall, baselines: baseline::read(folder)? })
}

/// The held-out tokens of a source, after the end-of-text token that stands before the first document.
fn read_source(folder: &Path, manifest: &Manifest, source: &SourceEntry) -> Result<Vec<u32>> {
    let file = folder.join(&source.validation.file);
    let tokens = read_tokens(&file)?;
    let invalid = |problem: String| Error::InvalidFile { file: file.clone(), problem };
    if tokens.len() as u64 != source.validation.tokens {
        return Err(invalid(format!(
            "it has {} tokens, but the manifest has {} for {}: prepare the text again",
            tokens.len(),
            source.validation.tokens,
            source.name
        )));
    }
    if let Some(id) = tokens.iter().find(|&&id| usize::from(id) >= manifest.vocab_size) {
        let size = manifest.vocab_size;
        return Err(invalid(format!("it has the token {id}, but the vocabulary has {size}")));
    }
    Ok([manifest.eos_token_id].into_iter().chain(tokens.into_iter().map(u32::from)).collect())
}
