//! Bits per byte of an n-gram model on the held-out documents.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use super::surprise::SourceScore;
use crate::files::hashed::{read_file, write_file};
use crate::prepare::kneser_ney::{KneserNey, MAX_ORDER};
use crate::prepare::tokens::read_tokens;
use crate::prepare::{Manifest, BASELINES};
use crate::{Error, Result};

/// An n-gram model's scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The longest n-gram, in tokens.
    pub order: usize,
    /// Different n-grams of each order from 1 on.
    pub ngrams: Vec<usize>,
    pub discounts: Vec<[f64; 3]>,
    pub sources: Vec<SourceScore>,
    pub overall: SourceScore,
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
        sources.push(SourceScore::new(&source.name, bits, tokens.len() as u64, validation.bytes));
    }
    let overall = SourceScore::overall(&sources);
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
        write_file(&folder.join(BASELINES), to_json(&baselines).as_bytes())?;
    }
    Ok(baselines)
}

/// The models that [`measure_all`] measured in a folder; none if it measured none.
pub fn read(folder: &Path) -> Result<Vec<Baseline>> {
    let file = folder.join(BASELINES);
    if !file.exists() {
        return Ok(Vec::new());
    }
    serde_json::from_slice(&read_file(&file)?).map_err(|error| {
        let problem = format!("these are no scores of n-gram models: {error}");
        Error::InvalidFile { file, problem }
    })
}

/// The contents of `baseline.json`.
pub fn to_json(baselines: &[Baseline]) -> String {
    serde_json::to_string_pretty(baselines).expect("plain JSON") + "\n"
}
