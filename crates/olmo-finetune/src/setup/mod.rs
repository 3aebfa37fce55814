//! What a run needs before it reads a row: tokenizer, template, and whether they go together; and which rows.

mod plan;

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use olmo_core::chat::find_templates;
use olmo_core::files::{self, hashed::sha256};
use olmo_core::prepare::token_file::TokenType;
use olmo_core::tokenizer::Tokenizer;
use olmo_core::{Error, Result};

use crate::encoder::Encoder;
use crate::example::Maker;
use crate::labels::Labeller;
use crate::options::{Format, Options};
use crate::template::{Template, Tokens};

pub use plan::Plan;

/// A run, as all that writes knows it.
pub struct Run<'a> {
    pub options: &'a Options,
    pub setup: &'a Setup,
    pub plan: &'a Plan,
    /// Rows of each source.
    pub rows: &'a [u64],
    pub cancelled: &'a AtomicBool,
}

/// The largest tokenizer.json that is read.
const MOST_TOKENIZER: u64 = 32 << 20;

pub struct Setup {
    pub tokenizer_json: Vec<u8>,
    pub tokenizer_sha256: String,
    pub tokens: Tokens,
    pub encoder: Encoder,
    /// With OLMo-core's format.
    pub template: Option<Template>,
    pub eos: u32,
    pub eos_text: String,
    pub pad: u32,
    pub dtype: TokenType,
}

impl Setup {
    pub fn new(options: &Options, cancelled: Arc<AtomicBool>) -> Result<Setup> {
        let path = &options.tokenizer;
        let file = if path.is_dir() { path.join("tokenizer.json") } else { path.clone() };
        let tokenizer_json = files::read(&file, MOST_TOKENIZER)?;
        let tokenizer = Tokenizer::from_json(&tokenizer_json, &file)?;
        let tokens = tokens(path, &tokenizer)?;
        let (eos_text, eos) = special(&tokens, &tokenizer, "eos_token", &file)?;
        let (_, pad) = special(&tokens, &tokenizer, "pad_token", &file)?;
        if pad == eos {
            let problem = "its pad_token is its eos_token, so that ends could not be learnt";
            return Err(Error::InvalidFile { file, problem: problem.to_owned() });
        }
        let template = match options.format {
            Format::OlmoCore => {
                check_bos(options)?;
                let name = options.chat_template.as_deref();
                Some(Template::open(name, options.add_bos, &tokens, cancelled, options.now)?)
            }
            _ => None,
        };
        Ok(Setup {
            tokenizer_sha256: sha256(&tokenizer_json),
            tokenizer_json,
            dtype: dtype(options.format, &tokenizer),
            encoder: Encoder::new(tokenizer, &file)?,
            tokens,
            template,
            eos,
            eos_text,
            pad,
        })
    }

    pub fn maker(&self, options: &Options) -> Maker<'_> {
        let bytes = self.dtype.size();
        let max_seq_len = options.max_seq_len.unwrap_or(usize::MAX);
        match &self.template {
            Some(template) => {
                let labels = options.labels;
                let labeller = Labeller { template, encoder: &self.encoder, max_seq_len, labels };
                Maker::OlmoCore { labeller, eos: self.eos, bytes }
            }
            None if options.format == Format::OpenInstruct => Maker::OpenInstruct,
            None => Maker::Olmo {
                encoder: &self.encoder,
                eos: self.eos,
                eos_text: self.eos_text.clone(),
                max_seq_len,
                bytes,
            },
        }
    }
}

/// What a folder says of its tokens; of dolma2 alone, a `tokenizer.json` does without.
pub fn tokens(path: &Path, tokenizer: &Tokenizer) -> Result<Tokens> {
    let folder = if path.is_dir() { Some(path) } else { path.parent() };
    let folder = folder.filter(|folder| folder.join("tokenizer_config.json").is_file());
    let mut tokens = Tokens { special: Vec::new(), templates: Vec::new(), path: path.to_owned() };
    if let Some(folder) = folder {
        let found = find_templates(folder)?;
        (tokens.special, tokens.templates) = (found.special_tokens, found.templates);
    }
    for (name, text) in
        [("bos_token", "<|endoftext|>"), ("eos_token", "<|endoftext|>"), ("pad_token", "<|pad|>")]
    {
        if folder.is_none() && tokenizer.token_id(text).is_some() {
            tokens.special.push((name.to_owned(), text.to_owned()));
        }
    }
    Ok(tokens)
}

fn special(
    tokens: &Tokens,
    tokenizer: &Tokenizer,
    name: &str,
    file: &Path,
) -> Result<(String, u32)> {
    let invalid = |problem: String| Error::InvalidFile { file: file.to_owned(), problem };
    let text = tokens.get(name).ok_or_else(|| {
        invalid(format!(
            "the tokenizer has no {name}: tokenizer_config.json beside it has to name one"
        ))
    })?;
    let id = tokenizer.token_id(text);
    let id = id.ok_or_else(|| invalid(format!("{text:?}, its {name}, is no token of it")))?;
    Ok((text.to_owned(), id))
}

/// What Open Instruct asserts of a tokenizer with OLMo in its name.
///
/// Source: `get_tokenizer_tulu_v2_2` in `open_instruct/dataset_transformation.py` at e6c3044.
fn check_bos(options: &Options) -> Result<()> {
    let Some(name) = &options.chat_template else { return Ok(()) };
    let is_olmo = options.tokenizer_name.to_lowercase().contains("olmo");
    if !is_olmo || !crate::template_names().contains(&name.as_str()) {
        return Ok(());
    }
    match (name.contains("olmo"), options.add_bos) {
        (true, true) => {
            let problem = format!("not for the chat template {name}, which OLMo reads without one");
            Err(Error::option("add_bos", true, problem))
        }
        (false, false) => {
            let problem = format!("needed for the chat template {name} with a tokenizer of OLMo's");
            Err(Error::option("add_bos", false, problem))
        }
        _ => Ok(()),
    }
}

/// How ids are stored: in the fewest bytes that hold them with OLMo-core, in 16 bits at least with OLMo.
///
/// An added token can have an id beyond the vocabulary that it was added to; it has to have room too.
fn dtype(format: Format, tokenizer: &Tokenizer) -> TokenType {
    let ids = tokenizer.base_vocab_size().max(tokenizer.vocab_size());
    match (format, ids) {
        (Format::OlmoCore, 0..=0x100) => TokenType::Uint8,
        _ => TokenType::of_vocabulary(ids),
    }
}
