//! What a run tells while it goes on, to its caller and in `metrics.jsonl`.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::checkpoint::Moment;
use crate::{Error, Result};

const FILE: &str = "metrics.jsonl";

/// One thing that happened. A line of `metrics.jsonl`, told apart by its `kind`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Progress {
    Step(StepMetrics),
    Validation(ValidationMetrics),
    Checkpoint(CheckpointMetrics),
}

/// One optimizer step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepMetrics {
    pub stage: u32,
    /// Number of the anneal, from 1; 0 in stage 1.
    pub ingredient: u32,
    /// Number of the step in its stage, from 1.
    pub step: u64,
    /// Steps the stage will have.
    pub steps: u64,
    /// Tokens read in the stage so far.
    pub tokens: u64,
    /// Mean cross-entropy a predicted token, in nats, without the z-loss.
    pub loss: f64,
    /// Mean squared log-sum-exp times its factor.
    pub z_loss: f64,
    pub learning_rate: f64,
    /// Norm of the whole gradient, before clipping.
    pub grad_norm: f64,
    /// Of this step alone.
    pub tokens_per_second: f64,
}

/// Loss on one held-out source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValidationMetrics {
    pub stage: u32,
    pub ingredient: u32,
    /// Steps done when it was measured.
    pub step: u64,
    pub source: String,
    /// Mean cross-entropy a predicted token, in nats.
    pub loss: f64,
    /// Cross-entropy in bits over bytes of text: comparable between tokenizers.
    pub bits_per_byte: f64,
}

/// A checkpoint that is now on the disk.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckpointMetrics {
    pub stage: u32,
    pub ingredient: u32,
    pub step: u64,
    /// Its folder; in the log from the run's folder on.
    pub path: PathBuf,
}

/// The log of a run.
pub struct MetricsLog {
    output: PathBuf,
    path: PathBuf,
    file: File,
    validated: Option<Moment>,
}

/// The part of a line that says what it is about.
#[derive(Deserialize)]
struct Heading {
    kind: String,
    stage: u32,
    ingredient: u32,
    step: u64,
}

impl MetricsLog {
    /// Opens the log of a run that goes on from `resumed`: lines about what comes later are of
    /// steps that were lost and will be done again, so they go.
    pub fn open(output: &Path, resumed: Moment) -> Result<MetricsLog> {
        let path = output.join(FILE);
        let mut validated = None;
        if path.exists() {
            let partial = output.join(format!("{FILE}.partial"));
            validated = keep(&path, &partial, resumed)
                .and_then(|validated| fs::rename(&partial, &path).map(|()| validated))
                .map_err(|error| Error::write(&path, error))?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|error| Error::write(&path, error))?;
        Ok(MetricsLog { output: output.to_owned(), path, file, validated })
    }

    /// When the last validation in the log was.
    pub fn validated(&self) -> Option<Moment> {
        self.validated
    }

    pub fn write(&mut self, progress: &Progress) -> Result<()> {
        if let Progress::Validation(ValidationMetrics { stage, ingredient, step, .. }) = *progress {
            self.validated = Some(Moment { stage, ingredient, step });
        }
        let line = match progress {
            // The folder of a run can be moved and given away.
            Progress::Checkpoint(checkpoint) => {
                let mut checkpoint = checkpoint.clone();
                if let Ok(inside) = checkpoint.path.strip_prefix(&self.output) {
                    checkpoint.path = inside.to_owned();
                }
                serde_json::to_string(&Progress::Checkpoint(checkpoint))
            }
            progress => serde_json::to_string(progress),
        };
        let line = line.expect("numbers and names can be written");
        writeln!(self.file, "{line}").map_err(|error| Error::write(&self.path, error))
    }
}

/// Copies the lines up to a moment. One that was cut off, maybe inside a character, cannot be read and goes
/// as well. Returns when the last validation was.
fn keep(from: &Path, to: &Path, until: Moment) -> std::io::Result<Option<Moment>> {
    let mut validated = None;
    let mut kept = std::io::BufWriter::new(File::create(to)?);
    for line in BufReader::new(File::open(from)?).split(b'\n') {
        let line = line?;
        let Ok(heading) = serde_json::from_slice::<Heading>(&line) else { continue };
        let Heading { kind, stage, ingredient, step } = heading;
        let moment = Moment { stage, ingredient, step };
        if moment <= until {
            kept.write_all(&line)?;
            kept.write_all(b"\n")?;
            if kind == "validation" {
                validated = Some(moment);
            }
        }
    }
    kept.flush()?;
    Ok(validated)
}
