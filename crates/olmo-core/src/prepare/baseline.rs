//! Bits per byte of an n-gram model on the held-out documents.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use super::files::write_file;
use super::kneser_ney::{KneserNey, MAX_ORDER};
use super::manifest::Manifest;
use super::tokens::read_tokens;
use crate::{Error, Result};

/// The file with an n-gram model's scores.
pub const FILE: &str = "baseline.json";

/// How well a model knows one source's held-out documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    pub source: String,
    /// Bits for all tokens, the token that ends each document among them.
    pub bits: f64,
    pub tokens: u64,
    /// Bytes of the text in UTF-8.
    pub bytes: u64,
    pub bits_per_byte: f64,
}

/// An n-gram model's scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The longest n-gram, in tokens.
    pub order: usize,
    /// Different n-grams of each order from 1 on.
    pub ngrams: Vec<usize>,
    pub discounts: Vec<[f64; 3]>,
    pub sources: Vec<Score>,
    pub overall: Score,
}

/// Fails if no model could have one of the orders: to be asked before the work of preparing.
pub fn check_orders(orders: &[usize]) -> Result<()> {
    match orders.iter().find(|order| !(1..=MAX_ORDER).contains(*order)) {
        None => Ok(()),
        Some(order) => {
            Err(Error::option("baseline", order, format!("1 to {MAX_ORDER} are possible")))
        }
    }
}

/// Trains a modified Kneser-Ney model on a prepared folder's training files, all sources together
/// and each document once, and scores it on the validation files.
pub fn measure(folder: &Path, order: usize) -> Result<Baseline> {
    let manifest = Manifest::read(folder)?;
    let mut stream = Vec::new();
    for source in &manifest.sources {
        stream.extend(read_tokens(&folder.join(&source.train.file))?);
    }
    let eos = manifest.eos_token_id as u16;
    let model = KneserNey::train(&stream, eos, manifest.vocab_size, order)?;
    drop(stream);

    let mut sources = Vec::new();
    for source in &manifest.sources {
        let validation = &source.validation;
        let tokens = read_tokens(&folder.join(&validation.file))?;
        let bits = model.bits(&tokens);
        sources.push(score(&source.name, bits, tokens.len() as u64, validation.bytes));
    }
    let sum = |part: fn(&Score) -> u64| sources.iter().map(part).sum::<u64>();
    let bits = sources.iter().map(|score| score.bits).sum();
    let overall = score("overall", bits, sum(|score| score.tokens), sum(|score| score.bytes));
    let (ngrams, discounts) = (model.ngrams(), model.discounts());
    Ok(Baseline { order, ngrams, discounts, sources, overall })
}

/// Measures models of several orders and writes their scores to `baseline.json`, if there are any.
/// `cancelled` stops the work between two of them.
pub fn measure_all(
    folder: &Path,
    orders: &[usize],
    cancelled: &AtomicBool,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Baseline>> {
    let mut baselines = Vec::new();
    for &order in orders {
        progress(&format!("measuring {order}-grams"));
        Error::if_cancelled(cancelled)?;
        baselines.push(measure(folder, order)?);
    }
    if !baselines.is_empty() {
        write_file(&folder.join(FILE), to_json(&baselines).as_bytes())?;
    }
    Ok(baselines)
}

/// The contents of `baseline.json`.
pub fn to_json(baselines: &[Baseline]) -> String {
    serde_json::to_string_pretty(baselines).expect("plain JSON") + "\n"
}

fn score(source: &str, bits: f64, tokens: u64, bytes: u64) -> Score {
    // A source that had nothing to hold out has no bits either.
    let bits_per_byte = bits / bytes.max(1) as f64;
    Score { source: source.to_owned(), bits, tokens, bytes, bits_per_byte }
}
