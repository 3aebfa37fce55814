//! The perplexity of a text, window by window.
//!
//! ```text
//! for each window: logits = forward(window); surprise += -ln p(token) for each counted token
//! perplexity = e^(surprise / counted tokens)
//! ```

use std::path::PathBuf;
use std::sync::Arc;

use super::base_file::{BaseReader, BaseWriter};
use super::divergence::{Divergence, DivergenceSums};
use super::statistics::{Mean, Sums};
use super::surprise::Surprise;
use super::windows::Windows;
use crate::engine::{Engine, ForwardOptions};
use crate::sampling::{are_sound, LogSoftmax};
use crate::{Error, Result};

/// How to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerplexityOptions {
    /// Tokens of a window, of which the second half counts. Default 512, as in llama.cpp.
    pub ctx: usize,
    /// Not 0: windows that overlap and begin so many tokens apart, of which the last so many count.
    /// Default 0.
    pub stride: usize,
    /// Where to keep the log-probabilities, as a reference for other models.
    pub save_base: Option<PathBuf>,
    /// The reference to compare with.
    pub kl_base: Option<PathBuf>,
}

impl Default for PerplexityOptions {
    fn default() -> Self {
        PerplexityOptions { ctx: 512, stride: 0, save_base: None, kl_base: None }
    }
}

/// How far an evaluation is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    pub windows: usize,
    pub total: usize,
    /// Of the windows so far.
    pub perplexity: f64,
}

/// What came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Perplexity {
    pub perplexity: Mean,
    /// Bits to encode a byte of the counted tokens; none if the tokenizer does not work on bytes.
    pub bits_per_byte: Option<f64>,
    /// Tokens that count.
    pub tokens: usize,
    pub windows: usize,
    /// Beside the reference, if one was given.
    pub divergence: Option<Divergence>,
}

/// A text being evaluated. Its caller sets the pace:
/// `while let Some(logits) = evaluation.read().await? { evaluation.count(logits)?; }`.
pub struct Evaluation {
    engine: Arc<Engine>,
    ids: Vec<u32>,
    windows: Windows,
    done: usize,
    surprise: Sums,
    bytes: Option<usize>,
    writer: Option<BaseWriter>,
    base: Option<(BaseReader, DivergenceSums)>,
}

impl Evaluation {
    /// `ids` are the tokens of the text. Opens the files that `options` name.
    pub fn new(
        engine: Arc<Engine>,
        ids: Vec<u32>,
        options: &PerplexityOptions,
    ) -> Result<Evaluation> {
        let config = &engine.info().config;
        let (vocab, context) = (config.vocab_size, config.max_position_embeddings);
        let windows = Windows::new(ids.len(), options.ctx, options.stride, context)?;
        let with_file = options.save_base.is_some() || options.kl_base.is_some();
        if with_file && options.stride > 0 {
            let problem = "a file of log-probabilities has windows without a stride";
            return Err(Error::option("stride", options.stride, problem));
        }
        let base = match &options.kl_base {
            Some(path) => {
                let reader = BaseReader::open(path, vocab)?;
                check_base(&reader, path, &ids, windows)?;
                Some((reader, DivergenceSums::default()))
            }
            None => None,
        };
        let writer = match &options.save_base {
            Some(path) => {
                let whole = &ids[..windows.count * windows.length];
                Some(BaseWriter::create(path, windows.length, vocab, whole)?)
            }
            None => None,
        };
        let bytes = engine.tokenizer().is_byte_level().then_some(0);
        Ok(Evaluation {
            engine,
            ids,
            windows,
            done: 0,
            surprise: Sums::default(),
            bytes,
            writer,
            base,
        })
    }

    /// Reads the next window and gives the logits `[counted, vocab]` that [`count`](Self::count)
    /// takes; none when there is no window left.
    pub async fn read(&self) -> Result<Option<Vec<f32>>> {
        if self.done == self.windows.count {
            return Ok(None);
        }
        let window = &self.ids[self.windows.tokens(self.done)];
        // The last token is predicted and need not be read.
        let ids = window[..window.len() - 1].to_vec();
        let options =
            ForwardOptions { logits_from: self.windows.first - 1, ..ForwardOptions::default() };
        Ok(Some(self.engine.forward(ids, options).await?.logits))
    }

    /// Counts a window's tokens. This computes for a while, some milliseconds a token.
    pub fn count(&mut self, logits: Vec<f32>) -> Result<Progress> {
        let info = self.engine.info();
        let place = self.windows.tokens(self.done);
        let first = place.start + self.windows.first;
        let rows = logits.chunks_exact(info.config.vocab_size);
        for (position, (row, &token)) in (first - 1..).zip(rows.zip(&self.ids[first..place.end])) {
            if !are_sound(row) {
                return Err(Error::NonFiniteLogits { position, dtype: info.dtype.name() });
            }
            self.surprise.add(-f64::from(LogSoftmax::new(row).of(token)));
            if let Some(bytes) = &mut self.bytes {
                let tokenizer = self.engine.tokenizer();
                *bytes +=
                    tokenizer.token_text(token).map_or(0, |t| tokenizer.token_bytes(&t).len());
            }
            if let Some(writer) = &mut self.writer {
                writer.push(row)?;
            }
        }
        if let Some((reader, sums)) = &mut self.base {
            let rows = logits.chunks_exact(info.config.vocab_size);
            for ((row, base), &token) in
                rows.zip(reader.next_window()?).zip(&self.ids[first..place.end])
            {
                sums.add(row, &base, token);
            }
        }
        self.done += 1;
        Ok(Progress {
            windows: self.done,
            total: self.windows.count,
            perplexity: self.surprise.mean().exp().value,
        })
    }

    /// The result, once all windows are counted. Puts the file of log-probabilities in its place.
    pub fn finish(self) -> Result<Perplexity> {
        debug_assert_eq!(self.surprise.count(), self.done * self.windows.counted());
        if let Some(writer) = self.writer {
            writer.finish()?;
        }
        let (nats, tokens) = (self.surprise.sum(), self.surprise.count());
        let surprise = Surprise { nats, tokens: tokens as u64 };
        let bytes = self.bytes.filter(|&bytes| bytes > 0);
        Ok(Perplexity {
            perplexity: self.surprise.mean().exp(),
            bits_per_byte: bytes.map(|bytes| surprise.bits_per_byte(bytes as f64)),
            tokens,
            windows: self.done,
            divergence: self.base.map(|(_, sums)| sums.finish()),
        })
    }
}

/// Errors if the reference was made with other windows or of another text.
fn check_base(
    base: &BaseReader,
    path: &std::path::Path,
    ids: &[u32],
    windows: Windows,
) -> Result<()> {
    if base.ctx != windows.length {
        let problem = format!("the reference {} has windows of {}", path.display(), base.ctx);
        return Err(Error::option("ctx", windows.length, problem));
    }
    if base.ids.len() != windows.count * windows.length || !ids.starts_with(&base.ids) {
        let problem = "its tokens are not those of the text; make the reference of the same text, \
                       with the same tokenizer";
        return Err(Error::InvalidFile { file: path.to_owned(), problem: problem.into() });
    }
    Ok(())
}
