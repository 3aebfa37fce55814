//! Where the tests have their data and their models from.

// Each test program uses a part of it.
#![allow(dead_code)]

pub mod model;

use std::path::{Path, PathBuf};

use olmo_core::tokenizer::Tokenizer;
use olmo_eval::data::DataFolder;

/// The harnesses' data: all of them, or the excerpt in this repository.
pub struct Source {
    pub data: DataFolder,
    pub is_excerpt: bool,
    /// Documents of a label that the golden data have.
    pub documents: usize,
    /// The golden file with the hashes of the requests.
    pub requests: &'static str,
}

impl Source {
    pub fn find() -> Source {
        let given = std::env::var_os("OLMO2_EVAL_DATA").map(PathBuf::from);
        let is_excerpt = given.is_none();
        let root = given.unwrap_or_else(|| folder().join("excerpt"));
        let (documents, requests) = match is_excerpt {
            true => (3, "excerpt.tsv"),
            false => (100, "requests.tsv"),
        };
        Source { data: DataFolder::new(root), is_excerpt, documents, requests }
    }

    pub fn tokenizer(&self) -> Tokenizer {
        Tokenizer::from_json(&self.tokenizer_json(), Path::new("tokenizer.json"))
            .expect("a tokenizer")
    }

    /// The tokenizer that the golden data are in.
    pub fn tokenizer_json(&self) -> Vec<u8> {
        let file = match self.is_excerpt {
            true => tiny().join("tokenizer.json"),
            false => self.data.find(Path::new("tokenizers/allenai_dolma2.json")).expect("dolma2"),
        };
        std::fs::read(file).expect("a tokenizer")
    }
}

/// A model with the excerpt's tokenizer.
pub fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../olmo-core/tests/golden/tiny-mha-f32")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

pub fn golden(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).expect(name)
}

pub fn golden_bytes(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).expect(name)
}
