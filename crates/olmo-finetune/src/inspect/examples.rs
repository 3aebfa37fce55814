//! Some examples as texts, in runs of labelled tokens and others.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use olmo_core::{Error, Result};
use serde::Serialize;

use super::folder::{Folder, Part};
use super::{boundaries, tokens, Inspection, Options};
use crate::encoder::Encoder;

/// An example to be looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Example {
    /// Among all, from 0.
    pub index: u64,
    pub tokens: u64,
    pub runs: Vec<Run>,
    /// Whether it goes on.
    pub is_cut: bool,
}

/// Tokens of one kind that follow one another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    pub labelled: bool,
    pub text: String,
}

/// The most tokens of an example that are decoded.
const MOST_TOKENS: u64 = 4096;

pub fn read(
    folder: &Folder,
    encoder: &Encoder,
    options: &Options,
    found: &Inspection,
) -> Result<Vec<Example>> {
    let mut shown = Vec::new();
    let Some(all) = found.examples else { return Ok(shown) };
    let wanted = options.from..all.min(options.from.saturating_add(options.examples as u64));
    let mut index = 0;
    for part in &folder.parts {
        let all = tokens(part, folder.dtype);
        let ends = match (folder.row, &part.boundaries) {
            (Some(row), _) => (1..=all / row).map(|number| number * row).collect(),
            (None, Some(path)) => boundaries::read(path, all)?.unwrap_or_default(),
            (None, None) => Vec::new(),
        };
        let mut start = 0;
        for end in ends {
            if wanted.contains(&index) {
                shown.push(example(folder, encoder, part, (index, start, end))?);
            }
            index += 1;
            start = end;
        }
    }
    Ok(shown)
}

fn example(
    folder: &Folder,
    encoder: &Encoder,
    part: &Part,
    (index, start, end): (u64, u64, u64),
) -> Result<Example> {
    let size = folder.dtype.size();
    let count = (end - start).min(MOST_TOKENS) as usize;
    let bytes = bytes(&part.ids, start * size as u64, count * size)?;
    let labels = match &part.labels {
        Some(labels) => self::bytes(labels, start, count)?,
        None => vec![0; count],
    };
    let mut ids: Vec<u32> = Vec::with_capacity(count);
    for id in bytes.chunks_exact(size) {
        let number = id.iter().rev().fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
        ids.push(u32::try_from(number).unwrap_or(u32::MAX));
    }
    let mut runs: Vec<Run> = Vec::new();
    let mut from = 0;
    for at in 1..=count {
        let is_over = at == count || (labels[at] != 0) != (labels[from] != 0);
        if is_over {
            runs.push(Run { labelled: labels[from] != 0, text: encoder.decode(&ids[from..at]) });
            from = at;
        }
    }
    Ok(Example { index, tokens: end - start, runs, is_cut: end - start > MOST_TOKENS })
}

fn bytes(path: &Path, start: u64, count: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    let mut file = File::open(path).map_err(|error| Error::io(path, error))?;
    file.seek(SeekFrom::Start(start))
        .and_then(|_| file.read_exact(&mut bytes))
        .map_err(|error| Error::io(path, error))?;
    Ok(bytes)
}
