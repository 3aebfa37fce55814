//! Checkpoints on disk: whole folders, or none.
//!
//! A checkpoint is a Hugging Face folder (`config.json`, `generation_config.json`,
//! `model.safetensors`, the tokenizer's files) and, for resuming, `trainer_state.safetensors` with
//! the optimizer's averages. It is written under another name, flushed to the disk and renamed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, View};
use serde_json::{json, Value};

use crate::dtype::DType;
use crate::files::copy_if_there;
use crate::{Error, Result};

pub const MODEL_FILE: &str = "model.safetensors";
pub const STATE_FILE: &str = "trainer_state.safetensors";

/// What an unfinished folder's name begins with.
const PARTIAL: &str = ".partial-";

/// A checkpoint's place in its run. Later ones compare greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    /// 1 or 2.
    pub stage: u32,
    /// Number of the anneal, from 1; 0 in stage 1.
    pub ingredient: u32,
    /// Optimizer steps of the stage that are done.
    pub step: u64,
}

/// The name OLMo gives such a revision: `stage1-step1000-tokens5B`,
/// `stage2-ingredient1-step1000-tokens5B`. Tokens are those of the stage, rounded up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    pub moment: Moment,
    pub tokens: u64,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Moment { stage, ingredient, step } = self.moment;
        write!(f, "stage{stage}-")?;
        if ingredient > 0 {
            write!(f, "ingredient{ingredient}-")?;
        }
        write!(f, "step{step}-tokens{}", rounded(self.tokens))
    }
}

/// `5B`, `12M`, `8K`, or the number itself below a thousand.
fn rounded(tokens: u64) -> String {
    match tokens {
        1_000_000_000.. => format!("{}B", tokens.div_ceil(1_000_000_000)),
        1_000_000.. => format!("{}M", tokens.div_ceil(1_000_000)),
        1_000.. => format!("{}K", tokens.div_ceil(1_000)),
        _ => tokens.to_string(),
    }
}

/// The moment a folder's name tells; `None` for other names.
pub fn parse_name(name: &str) -> Option<Moment> {
    let mut parts = name.split('-').peekable();
    let mut number = |prefix: &str| -> Option<u64> {
        let text = parts.peek()?.strip_prefix(prefix)?;
        let number = text.parse().ok()?;
        parts.next();
        Some(number)
    };
    let stage = number("stage")? as u32;
    let ingredient = number("ingredient").unwrap_or(0) as u32;
    let step = number("step")?;
    let tokens = parts.next()?.strip_prefix("tokens")?;
    let digits = tokens.trim_end_matches(['B', 'M', 'K']);
    (parts.next().is_none() && digits.parse::<u64>().is_ok()).then_some(Moment {
        stage,
        ingredient,
        step,
    })
}

/// All checkpoints in a run's folder, oldest first.
pub fn list(output: &Path) -> Result<Vec<(Moment, PathBuf)>> {
    let mut found = Vec::new();
    for path in entries(output)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Some(moment) = parse_name(&name) {
            found.push((moment, path));
        }
    }
    found.sort();
    Ok(found)
}

/// The newest checkpoint, to resume from. Only a copy of a run can be without its state and have an older
/// one with it; which of the two is meant nobody can know, so that is an error.
pub fn newest(output: &Path) -> Result<Option<(Moment, PathBuf)>> {
    let has_state = |path: &PathBuf| path.join(STATE_FILE).is_file();
    let mut checkpoints = list(output)?;
    let Some((moment, path)) = checkpoints.pop() else { return Ok(None) };
    let older = checkpoints.into_iter().rfind(|(_, path)| has_state(path));
    match older.filter(|_| !has_state(&path)) {
        None => Ok(Some((moment, path))),
        Some((_, older)) => Err(Error::InvalidFile {
            file: path,
            problem: format!(
                "it has no {STATE_FILE}, but the older {} has; to go on from this one remove that \
                 file in the older folders, to go on from there move the newer ones away",
                older.file_name().unwrap_or_default().to_string_lossy()
            ),
        }),
    }
}

/// The checkpoint of a moment.
pub fn find(checkpoints: &[(Moment, PathBuf)], wanted: Moment, output: &Path) -> Result<PathBuf> {
    let found = checkpoints.iter().find(|(moment, _)| *moment == wanted);
    found.map(|(_, path)| path.clone()).ok_or_else(|| {
        let Moment { stage, ingredient, step } = wanted;
        let reason = format!(
            "the checkpoint of stage {stage}, ingredient {ingredient}, step {step} is gone"
        );
        Error::io(output, reason)
    })
}

/// Removes what writes that were cut off have left.
pub fn clean(output: &Path) -> Result<()> {
    for path in entries(output)? {
        if path.file_name().unwrap_or_default().to_string_lossy().starts_with(PARTIAL) {
            fs::remove_dir_all(&path).map_err(|error| Error::write(&path, error))?;
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| Error::io(folder, error))?;
    entries.map(|entry| Ok(entry.map_err(|e| Error::io(folder, e))?.path())).collect()
}

/// Makes the folder `output/name` out of what `fill` puts into a temporary one. A folder of that
/// name stays as it is.
pub fn write_whole(
    output: &Path,
    name: &str,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let target = output.join(name);
    if target.exists() {
        return Ok(target);
    }
    let partial = output.join(format!("{PARTIAL}{name}"));
    let failed = |path: &Path, error: std::io::Error| Error::write(path, error);
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(|error| failed(&partial, error))?;
    }
    fs::create_dir_all(&partial).map_err(|error| failed(&partial, error))?;
    fill(&partial)?;
    // The contents must be on the disk before the name that promises them.
    for file in entries(&partial)? {
        sync(&file)?;
    }
    sync(&partial)?;
    fs::rename(&partial, &target).map_err(|error| failed(&target, error))?;
    sync(output)?;
    Ok(target)
}

fn sync(path: &Path) -> Result<()> {
    // Windows can neither open nor flush a folder; its rename is journalled.
    if cfg!(windows) && path.is_dir() {
        return Ok(());
    }
    // Windows flushes only what is open for writing.
    let file = OpenOptions::new().read(true).write(cfg!(windows)).open(path);
    let synced = file.and_then(|file| file.sync_all());
    synced.map_err(|error| Error::write(path, error))
}

/// Writes the Hugging Face part of a checkpoint into `folder`. Tokenizer files are copied from
/// `tokenizer`, those that are there.
pub fn write_model<'a>(
    folder: &Path,
    config: &Value,
    dtype: DType,
    weights: impl Iterator<Item = (&'a str, &'a [usize], &'a [f32])>,
    tokenizer: Option<&Path>,
) -> Result<()> {
    write_json(&folder.join("config.json"), config)?;
    let generation = json!({
        "_from_model_config": true,
        "eos_token_id": config["eos_token_id"],
        "pad_token_id": config["pad_token_id"],
    });
    write_json(&folder.join("generation_config.json"), &generation)?;
    let tensors =
        weights.map(|(name, shape, values)| (name.to_owned(), Array { shape, values, dtype }));
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    write_tensors(&folder.join(MODEL_FILE), tensors.collect(), metadata)?;
    let Some(tokenizer) = tokenizer else { return Ok(()) };
    copy_if_there(&crate::tokenizer::FILES, tokenizer, folder)
}

fn write_json(file: &Path, json: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(json).expect("a JSON value can be written") + "\n";
    fs::write(file, text).map_err(|error| Error::write(file, error))
}

/// Writes a safetensors file.
pub fn write_tensors(
    file: &Path,
    tensors: Vec<(String, Array)>,
    metadata: HashMap<String, String>,
) -> Result<()> {
    // Not `serialize_to_file`: what that makes only its owner may read.
    let bytes = safetensors::serialize(tensors, Some(metadata))
        .map_err(|error| Error::write(file, error))?;
    fs::write(file, bytes).map_err(|error| Error::write(file, error))
}

/// Numbers to be written in some dtype.
pub struct Array<'a> {
    pub shape: &'a [usize],
    pub values: &'a [f32],
    pub dtype: DType,
}

impl View for Array<'_> {
    fn dtype(&self) -> Dtype {
        match self.dtype {
            DType::F32 => Dtype::F32,
            DType::F16 => Dtype::F16,
            DType::BF16 => Dtype::BF16,
        }
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let values = self.values.iter();
        Cow::Owned(match self.dtype {
            DType::F32 => values.flat_map(|v| v.to_le_bytes()).collect(),
            DType::F16 => values.flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect(),
            DType::BF16 => values.flat_map(|&v| half::bf16::from_f32(v).to_le_bytes()).collect(),
        })
    }

    fn data_len(&self) -> usize {
        self.values.len() * self.dtype.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_olmo_s() {
        let name = |stage, ingredient, step, tokens| {
            Name { moment: Moment { stage, ingredient, step }, tokens }.to_string()
        };
        // Revisions of allenai/OLMo-2-1124-7B: 4,194,304 tokens a step.
        assert_eq!(name(1, 0, 1000, 1000 * 4_194_304), "stage1-step1000-tokens5B");
        assert_eq!(name(1, 0, 928_646, 928_646 * 4_194_304), "stage1-step928646-tokens3896B");
        assert_eq!(name(2, 1, 700, 700 * 4_194_304), "stage2-ingredient1-step700-tokens3B");
        assert_eq!(name(1, 0, 3000, 11_600_000), "stage1-step3000-tokens12M");
        assert_eq!(name(1, 0, 2, 2048), "stage1-step2-tokens3K");
        assert_eq!(name(1, 0, 0, 0), "stage1-step0-tokens0");
    }

    #[test]
    fn names_are_read_back_and_others_are_not() {
        let moment = |stage, ingredient, step| Some(Moment { stage, ingredient, step });
        assert_eq!(parse_name("stage1-step1000-tokens5B"), moment(1, 0, 1000));
        assert_eq!(parse_name("stage2-ingredient3-step70-tokens12M"), moment(2, 3, 70));
        for other in
            ["stage1", ".partial-stage1-step1-tokens5B", "stage1-step1-tokens5B-old", "main"]
        {
            assert_eq!(parse_name(other), None, "{other}");
        }
    }
}
