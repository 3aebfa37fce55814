//! Which rows of which files, and what the output is made of.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use olmo_core::files::hashed::sha256;
use olmo_core::{Error, Result};
use serde_json::json;

use super::Setup;
use crate::options::Options;
use crate::source::{Amount, Source, Watch};

pub struct Plan {
    pub sources: Vec<Source>,
    /// Of everything that decides a byte of the output.
    pub key: String,
    /// Of all files.
    pub bytes: u64,
}

impl Plan {
    pub fn new(options: &Options, setup: &Setup) -> Result<Plan> {
        let sources = options.data.iter().map(|given| Source::parse(given));
        let sources: Vec<Source> = sources.collect::<Result<_>>()?;
        let sizes = sources.iter().map(Source::bytes).collect::<Result<Vec<_>>>()?;
        let key = key(options, setup, &sources)?;
        Ok(Plan { sources, key, bytes: sizes.iter().sum() })
    }

    /// The number of rows of each source of which not all are wanted. `told` is told how many bytes were read.
    pub fn count(
        &self,
        cancelled: &AtomicBool,
        told: &mut dyn FnMut(u64),
    ) -> Result<Vec<Option<usize>>> {
        let read = AtomicU64::new(0);
        let watch = Watch { read: &read, cancelled };
        let count = |source: &Source| {
            if source.amount == Amount::ALL {
                return Ok(None);
            }
            let count = source.count(watch)?;
            told(read.load(Ordering::Relaxed));
            match source.amount.of(count) {
                Some(_) => Ok(Some(count)),
                None => {
                    let problem = "more rows of one source than can be taken";
                    Err(Error::option("data", &source.name, problem))
                }
            }
        };
        self.sources.iter().map(count).collect()
    }
}

/// Files are told apart by size and time: their content is hashed by nobody, as they may be terabytes.
fn key(options: &Options, setup: &Setup, sources: &[Source]) -> Result<String> {
    let file = |path: &PathBuf| {
        let found = std::fs::metadata(path).map_err(|error| Error::io(path, error))?;
        let changed = found.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let nanoseconds = changed.map(|time| time.as_nanos().to_string());
        Ok(json!([path.to_string_lossy(), found.len(), nanoseconds]))
    };
    let mut data = Vec::new();
    for source in sources {
        let files = source.files.iter().map(file).collect::<Result<Vec<_>>>()?;
        data.push(json!({ "name": source.name, "amount": format!("{:?}", source.amount), "files": files }));
    }
    let all = json!({
        "version": 1,
        "data": data,
        "format": options.format,
        "tokenizer": setup.tokenizer_sha256,
        "tokens": setup.tokens.special,
        "tokenizer_name": options.tokenizer_name,
        "chat_template": options.chat_template,
        "template": setup.template.as_ref().map(|template| template.source()),
        "add_bos": options.add_bos,
        "max_seq_len": options.max_seq_len,
        "shuffle_seed": options.shuffle_seed,
        "labels": options.labels,
        "on_error": options.on_error,
        "part_bytes": options.part_bytes,
    });
    Ok(sha256(all.to_string().as_bytes()))
}
