//! Loss on held-out text, by source.

use std::sync::atomic::AtomicBool;

use super::config::{HeldOutConfig, TrainConfig, ValidationConfig};
use super::data::{document_lengths, open_files, TokenFile};
use super::network::{Examples, Learner};
use crate::evaluate::Surprise;
use crate::ops::LossSums;
use crate::{Error, Result};

/// The held-out files of one source.
pub struct HeldOut {
    pub name: String,
    files: Vec<TokenFile>,
    bytes: u64,
}

/// How well a source is predicted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Nats a predicted token.
    pub loss: f64,
    pub bits_per_byte: f64,
}

impl HeldOut {
    pub fn open(config: &ValidationConfig, vocab_size: usize) -> Result<Vec<HeldOut>> {
        let open = |source: &HeldOutConfig| {
            let files = open_files(&source.paths, source.dtype, vocab_size)?;
            if files.iter().all(|file| file.len() < 2) {
                let file = source.paths.first().cloned().unwrap_or_default();
                let problem = "holds no token to predict; leave this source out of the validation";
                return Err(Error::InvalidFile { file, problem: problem.to_owned() });
            }
            Ok(HeldOut {
                name: source.name.clone(),
                files,
                bytes: source.bytes.unwrap_or_default(),
            })
        };
        config.sources.iter().map(open).collect()
    }

    /// Scores every token but each file's first, once: in windows of the training length, each of
    /// which begins with the last token of the one before. If only a part of the tokens is scored,
    /// that part of the bytes counts. Stops with [`Error::Cancelled`] when the flag is set.
    pub fn score(
        &self,
        learner: &mut dyn Learner,
        config: &TrainConfig,
        limit: Option<usize>,
        cancelled: &AtomicBool,
    ) -> Result<Score> {
        let mut left = limit.unwrap_or(usize::MAX);
        let mut sums = LossSums::default();
        for file in &self.files {
            let mut start = 0;
            while start + 1 < file.len() && left > 0 {
                Error::if_cancelled(cancelled)?;
                let end = file.len().min(start + config.sequence_length);
                let end = end.min(start.saturating_add(left).saturating_add(1));
                let tokens = file.read(start..end, config.model.vocab_size)?;
                let documents = match config.document_masking {
                    true => document_lengths(&tokens, config.model.eos_token_id),
                    false => vec![tokens.len()],
                };
                let mut examples = Examples::default();
                examples.push(&tokens, &documents);
                sums = [sums, learner.evaluate(&examples)?].into_iter().sum();
                left -= end - 1 - start;
                start = end - 1;
            }
        }
        let predictable: usize = self.files.iter().map(|file| file.len().saturating_sub(1)).sum();
        let bytes = self.bytes as f64 * sums.rows as f64 / predictable as f64;
        let surprise = Surprise { nats: sums.cross_entropy, tokens: sums.rows as u64 };
        Ok(Score { loss: surprise.cross_entropy(), bits_per_byte: surprise.bits_per_byte(bytes) })
    }
}
