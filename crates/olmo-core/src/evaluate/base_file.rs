//! The log-probabilities of a reference model in a file, as llama.cpp's `--kl-divergence-base`
//! writes and reads them, so that either tool can compare with the other's reference.
//!
//! ```text
//! "_logits_"  n_ctx i32  n_vocab i32  n_chunk i32                 little-endian
//! tokens      i32 [n_chunk, n_ctx]
//! rows        [n_chunk, n_ctx - 1 - n_ctx / 2], one a counted token, each of
//!               scale f32, least f32, codes u16 [n_vocab, rounded up to even]
//! ```
//!
//! A log-probability is `least + scale · code`. Logits more than 16 below the largest share the
//! code 0; the others are within `scale / 2`, at most 1.3e-4.
//!
//! Source: `perplexity` and `kl_divergence` in llama.cpp's `tools/perplexity/perplexity.cpp`.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use crate::files::NewFile;
use crate::sampling::LogSoftmax;
use crate::{Error, Result};

const MAGIC: &[u8; 8] = b"_logits_";
/// Magic number, window, vocabulary, number of windows.
const HEADER: u64 = 8 + 3 * 4;
/// Scale and least of a row.
const ROW_HEADER: usize = 8;
/// How far below the largest logit the codes reach.
const RANGE: f32 = 16.0;

fn row_bytes(vocab: usize) -> usize {
    ROW_HEADER + 2 * vocab.next_multiple_of(2)
}

fn counted(ctx: usize) -> usize {
    ctx - 1 - ctx / 2
}

/// One counted token's log-probabilities in a reference model.
pub(super) struct BaseRow<'a> {
    scale: f32,
    least: f32,
    codes: &'a [u8],
}

impl BaseRow<'_> {
    /// Natural logarithms of the probabilities, token by token.
    pub fn logprobs(&self) -> impl Iterator<Item = f32> + '_ {
        let code = |bytes: &[u8]| f32::from(u16::from_le_bytes([bytes[0], bytes[1]]));
        self.codes.chunks_exact(2).map(move |bytes| self.scale * code(bytes) + self.least)
    }
}

/// Writes a reference. The file has its name only when it is complete.
pub(super) struct BaseWriter {
    file: NewFile,
    row: Vec<u8>,
}

impl BaseWriter {
    /// `ids` are the tokens of all windows, one after the other.
    pub fn create(path: &Path, ctx: usize, vocab: usize, ids: &[u32]) -> Result<BaseWriter> {
        let mut file = NewFile::create(path)?;
        file.write(MAGIC)?;
        for number in [ctx, vocab, ids.len() / ctx] {
            file.write(&(number as i32).to_le_bytes())?;
        }
        let tokens: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        file.write(&tokens)?;
        Ok(BaseWriter { file, row: Vec::with_capacity(row_bytes(vocab)) })
    }

    /// Adds the logits of one counted token.
    pub fn push(&mut self, logits: &[f32]) -> Result<()> {
        let (max, log_sum) = LogSoftmax::new(logits).normalizer();
        let min = logits.iter().fold(f32::INFINITY, |min, &x| min.min(x)).max(max - RANGE);
        let scale = (max - min) / f32::from(u16::MAX);
        let least = min - max - log_sum as f32;
        self.row.clear();
        self.row.extend(scale.to_le_bytes());
        self.row.extend(least.to_le_bytes());
        let per_step = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        for &logit in logits {
            let code = (per_step * (logit - min).max(0.0)).round_ties_even();
            self.row.extend((code as u16).to_le_bytes());
        }
        self.row.resize(row_bytes(logits.len()), 0);
        self.file.write(&self.row)
    }

    pub fn finish(self) -> Result<()> {
        self.file.finish().map(drop)
    }
}

/// Reads a reference, window by window.
pub(super) struct BaseReader {
    path: PathBuf,
    file: BufReader<File>,
    pub ctx: usize,
    vocab: usize,
    /// The tokens of all windows, one after the other.
    pub ids: Vec<u32>,
    rows: Vec<u8>,
}

impl BaseReader {
    /// Opens a reference for a model with `vocab` tokens. What it says of its size is believed only
    /// if the file is as long as that.
    pub fn open(path: &Path, vocab: usize) -> Result<BaseReader> {
        let io = |error| Error::io(path, error);
        let invalid = |problem| Error::InvalidFile { file: path.to_owned(), problem };
        let file = File::open(path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        let mut file = BufReader::with_capacity(1 << 20, file);
        let mut header = [0; HEADER as usize];
        file.read_exact(&mut header)
            .map_err(|_| invalid("it is too short for a file of log-probabilities".into()))?;
        if &header[..8] != MAGIC {
            return Err(invalid(
                "this is not a file of log-probabilities that save-base wrote".into(),
            ));
        }
        let number = |place: usize| {
            let bytes = header[8 + 4 * place..][..4].try_into().expect("four bytes");
            usize::try_from(i32::from_le_bytes(bytes)).unwrap_or(0)
        };
        let (ctx, own_vocab, windows) = (number(0), number(1), number(2));
        if own_vocab != vocab {
            let problem = format!(
                "its vocabulary has {own_vocab} tokens, but that of the model has {vocab}; compare \
                 with a reference of the same family"
            );
            return Err(invalid(problem));
        }
        if ctx < 4 || windows == 0 {
            return Err(invalid(format!("it has {windows} windows of {ctx} tokens")));
        }
        let rows = u128::from(counted(ctx) as u64) * row_bytes(vocab) as u128;
        let expected = u128::from(HEADER) + windows as u128 * (4 * ctx as u128 + rows);
        if u128::from(size) != expected {
            let problem = format!("it has {size} bytes, but its header promises {expected}");
            return Err(invalid(problem));
        }
        let mut tokens = vec![0; 4 * windows * ctx];
        file.read_exact(&mut tokens).map_err(io)?;
        let id = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
        Ok(BaseReader {
            path: path.to_owned(),
            file,
            ctx,
            vocab,
            ids: tokens.chunks_exact(4).map(id).collect(),
            rows: vec![0; rows as usize],
        })
    }

    /// The rows of the next window.
    pub fn next_window(&mut self) -> Result<impl Iterator<Item = BaseRow<'_>>> {
        self.file.read_exact(&mut self.rows).map_err(|error| Error::io(&self.path, error))?;
        let float = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().expect("four bytes"));
        let vocab = self.vocab;
        Ok(self.rows.chunks_exact(row_bytes(vocab)).map(move |row| BaseRow {
            scale: float(&row[..4]),
            least: float(&row[4..8]),
            codes: &row[ROW_HEADER..][..2 * vocab],
        }))
    }
}
