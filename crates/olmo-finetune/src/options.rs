//! What a preparation is asked for.

use std::path::PathBuf;

use olmo_core::jinja::Now;
use olmo_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::labels::Labels;

/// Whose trainer is to read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// OLMo's: rows of one length.
    Olmo,
    /// OLMo-core's: documents one after the other, in parts.
    OlmoCore,
    /// Open Instruct's: conversations in JSON, a line each.
    OpenInstruct,
}

/// What becomes of a row that is no conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// The work ends.
    #[default]
    Fail,
    /// It is counted among the dropped.
    Skip,
}

/// One of several machines that make one output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    pub index: u32,
    pub of: u32,
}

/// The most shards of one output.
const MOST_SHARDS: u32 = 4096;

impl Shard {
    pub const ONLY: Shard = Shard { index: 1, of: 1 };

    /// Reads `i/n`.
    pub fn parse(text: &str) -> Result<Shard> {
        let parts = text.split_once('/');
        let numbers = parts.and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((index, of)) if (1..=of).contains(&index) && of <= MOST_SHARDS => {
                Ok(Shard { index, of })
            }
            _ => {
                let expected =
                    format!("it is i/n, as in 1/4: the i-th of n, which are {MOST_SHARDS} at most");
                Err(Error::option("shard", text, expected))
            }
        }
    }
}

#[derive(Debug, Clone)]
pub struct Options {
    /// Files and folders, each with an amount or without: `a.jsonl:0.5`.
    pub data: Vec<String>,
    /// The folder to make.
    pub out: PathBuf,
    /// Where the tokenizer is: a folder, or a `tokenizer.json`.
    pub tokenizer: PathBuf,
    /// What it is called: what Open Instruct would be given.
    pub tokenizer_name: String,
    pub format: Format,
    /// Tokens of a conversation, and with [`Format::Olmo`] of a row.
    pub max_seq_len: Option<usize>,
    /// A name of Open Instruct's, or a file. Default: the tokenizer's own.
    pub chat_template: Option<String>,
    pub add_bos: bool,
    /// None keeps the order.
    pub shuffle_seed: Option<u64>,
    pub labels: Labels,
    pub on_error: OnError,
    /// A file of what was dropped.
    pub dropped: Option<PathBuf>,
    /// Goes on with what an earlier run left.
    pub resume: bool,
    pub shard: Shard,
    /// Bytes of token ids in a part.
    pub part_bytes: u64,
    /// For the statistics, as in 2026-11-29 12:00:00.
    pub timestamp: String,
    /// For templates that ask for the time.
    pub now: Now,
}

impl Options {
    /// The defaults.
    pub fn new(format: Format, out: impl Into<PathBuf>, tokenizer: impl Into<PathBuf>) -> Options {
        let tokenizer = tokenizer.into();
        Options {
            data: Vec::new(),
            out: out.into(),
            tokenizer_name: tokenizer.to_string_lossy().into_owned(),
            tokenizer,
            format,
            max_seq_len: (format == Format::Olmo).then_some(2048),
            chat_template: None,
            add_bos: false,
            shuffle_seed: (format == Format::OlmoCore).then_some(42),
            labels: Labels::default(),
            on_error: OnError::default(),
            dropped: None,
            resume: false,
            shard: Shard::ONLY,
            part_bytes: 1 << 30,
            timestamp: String::new(),
            now: Now { local_micros: 0, offset_seconds: 0 },
        }
    }

    /// Errors with [`Error::InvalidOption`] on what does not go together.
    pub fn check(&self) -> Result<()> {
        if self.data.is_empty() {
            return Err(Error::option(
                "data",
                "empty",
                "a file or a folder of conversations is needed",
            ));
        }
        if self.max_seq_len == Some(0) {
            return Err(Error::option("max_seq_len", 0, "a conversation has one token at least"));
        }
        let is_core = self.format == Format::OlmoCore;
        for (option, is_given, about) in [
            (
                "chat_template",
                self.chat_template.is_some(),
                "only OLMo-core's format renders with one here",
            ),
            ("add_bos", self.add_bos, "only OLMo-core's format has templates that lack it"),
            (
                "labels",
                self.labels == Labels::Exact,
                "only OLMo-core's format has a rule to choose",
            ),
        ] {
            // The command line of Open Instruct's format names them.
            if is_given && !is_core && (self.format == Format::Olmo || option == "labels") {
                return Err(Error::option(option, "given", about));
            }
        }
        Ok(())
    }
}
