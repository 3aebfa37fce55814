//! Which files a folder of training data has.

use std::path::{Path, PathBuf};

use olmo_core::files::{read_if_there, MOST_CONFIG};
use olmo_core::prepare::token_file::TokenType;
use olmo_core::{Error, Result};
use serde_json::Value;

use super::{name, Options};
use crate::options::Format;

pub struct Folder {
    pub format: Format,
    pub dtype: TokenType,
    pub parts: Vec<Part>,
    /// Of OLMo's rows.
    pub row: Option<u64>,
    pub problems: Vec<String>,
}

/// Ids, labels and boundaries that belong together.
pub struct Part {
    pub ids: PathBuf,
    pub ids_bytes: u64,
    pub labels: Option<PathBuf>,
    pub boundaries: Option<PathBuf>,
}

impl Folder {
    pub fn open(options: &Options) -> Result<Folder> {
        let folder = &options.folder;
        let names = names(folder)?;
        let is_there = |name: &str| names.iter().any(|known| known == name);
        let mut problems = Vec::new();
        let (format, parts) = if is_there("input_ids.npy") {
            let labels = is_there("label_mask.npy").then(|| folder.join("label_mask.npy"));
            (Format::Olmo, vec![part(folder.join("input_ids.npy"), labels, None)?])
        } else {
            let parts = names.iter().filter(|name| is_ids(name)).map(|ids| {
                let labels = labels_of(ids, &is_there).map(|name| folder.join(name));
                let boundaries = ids.replace(".npy", ".csv.gz");
                let boundaries = is_there(&boundaries).then(|| folder.join(boundaries));
                part(folder.join(ids), labels, boundaries)
            });
            (Format::OlmoCore, parts.collect::<Result<Vec<_>>>()?)
        };
        if parts.is_empty() {
            let problem = "there are neither token_ids_part_*.npy in it, as OLMo-core reads, nor input_ids.npy, \
                as OLMo does";
            return Err(Error::InvalidFile { file: folder.clone(), problem: problem.to_owned() });
        }
        for part in &parts {
            let lacks = |what: &str| format!("{} has no {what} beside it", name(&part.ids));
            if part.labels.is_none() {
                problems.push(lacks("labels"));
            }
            if part.boundaries.is_none() && format == Format::OlmoCore {
                problems.push(lacks("file of boundaries"));
            }
        }
        let report = read_if_there(&folder.join(crate::report::FILE), MOST_CONFIG)?;
        let report: Value =
            report.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let dtype = dtype(options, &parts, &mut problems)?;
        let row = match format {
            Format::Olmo => Some(row(options, &report)?),
            _ => None,
        };
        Ok(Folder { format, dtype, parts, row, problems })
    }
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder).map_err(|error| Error::io(folder, error))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::io(folder, error))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn is_ids(name: &str) -> bool {
    name.starts_with("token_ids_part_") && name.ends_with(".npy")
}

fn labels_of(ids: &str, is_there: &impl Fn(&str) -> bool) -> Option<String> {
    let number = ids.strip_prefix("token_ids_part_")?;
    let names = [format!("labels_mask_part_{number}"), format!("labels_mask_{number}")];
    names.into_iter().find(|name| is_there(name))
}

fn part(ids: PathBuf, labels: Option<PathBuf>, boundaries: Option<PathBuf>) -> Result<Part> {
    let ids_bytes = size(&ids)?;
    Ok(Part { ids, ids_bytes, labels, boundaries })
}

fn size(path: &Path) -> Result<u64> {
    Ok(olmo_core::files::open(path)?.metadata().map_err(|error| Error::io(path, error))?.len())
}

/// A label is a byte, so the two files' lengths say how many an id has.
fn dtype(options: &Options, parts: &[Part], problems: &mut Vec<String>) -> Result<TokenType> {
    let mut found = options.dtype;
    for part in parts {
        let Some(labels) = &part.labels else { continue };
        let labels_bytes = size(labels)?;
        let fits = |dtype: &TokenType| labels_bytes * dtype.size() as u64 == part.ids_bytes;
        match TokenType::ALL.into_iter().find(fits).filter(|_| labels_bytes > 0) {
            Some(dtype) if found.is_none_or(|before| before == dtype) => found = Some(dtype),
            Some(dtype) => problems.push(format!(
                "{} has ids of {}, as its labels say, and not of {}",
                name(&part.ids),
                dtype.name(),
                found.unwrap_or(dtype).name()
            )),
            None => problems.push(format!(
                "{} has {labels_bytes} labels, which do not go with the {} bytes of {}",
                name(labels),
                part.ids_bytes,
                name(&part.ids)
            )),
        }
    }
    found.ok_or_else(|| {
        let problem = "neither labels nor anything else say how ids are stored";
        Error::option("dtype", "not given", problem)
    })
}

fn row(options: &Options, report: &Value) -> Result<u64> {
    let told = options.max_seq_len.map(|length| length as u64).or(report["max_seq_len"].as_u64());
    told.filter(|&length| length > 0).ok_or_else(|| {
        let problem = "nothing in the folder says how long its rows are";
        Error::option("max_seq_len", "not given", problem)
    })
}
