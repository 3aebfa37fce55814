//! A tokenizer in metadata: its tokens with their kinds, its merges, and the name of how it splits
//! words.
//!
//! Source: `llama-vocab.cpp` of llama.cpp.

use tokenizers::models::bpe::{Vocab, BPE};
use tokenizers::normalizer::SplitDelimiterBehavior;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::AddedToken;

use super::{Array, Gguf, Metadata, Value};
use crate::tokenizer::{Tokenizer, GPT4_WORDS};
use crate::{Error, Result};

pub(super) const MODEL: &str = "tokenizer.ggml.model";
pub(super) const PRE: &str = "tokenizer.ggml.pre";
pub(super) const TOKENS: &str = "tokenizer.ggml.tokens";
pub(super) const TOKEN_TYPES: &str = "tokenizer.ggml.token_type";
pub(super) const MERGES: &str = "tokenizer.ggml.merges";
const CHAT_TEMPLATE: &str = "tokenizer.chat_template";
/// The names of templates beside the default one.
pub(super) const CHAT_TEMPLATES: &str = "tokenizer.chat_templates";
/// The name of the template that is used unless another is asked for.
pub(super) const DEFAULT: &str = "default";
pub(super) const BOS_ID: &str = "tokenizer.ggml.bos_token_id";
pub(super) const PAD_ID: &str = "tokenizer.ggml.padding_token_id";
pub(super) const ADD_BOS: &str = "tokenizer.ggml.add_bos_token";

/// Byte-level BPE, in the words of the format.
pub(super) const BPE_MODEL: &str = "gpt2";

/// Kinds of token.
pub(super) const NORMAL: i32 = 1;
/// Left out when texts are decoded.
pub(super) const CONTROL: i32 = 3;
pub(super) const USER_DEFINED: i32 = 4;
/// Fills the vocabulary up to the rows of the embedding table.
pub(super) const UNUSED: i32 = 5;

/// How a tokenizer splits words before it merges within them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    Gpt2,
    Gpt4 {
        /// Whether a word that is a token is taken as one, whatever the merges say.
        ignore_merges: bool,
    },
}

/// Names that llama.cpp gives them. OLMo 2 has dbrx's: its converter knows a tokenizer by the ids
/// of one text, and these two agree on it. The first name of each is written.
pub(super) const WORDS: [(&str, Words); 5] = [
    ("dbrx", Words::Gpt4 { ignore_merges: false }),
    ("smaug-bpe", Words::Gpt4 { ignore_merges: false }),
    ("llama-bpe", Words::Gpt4 { ignore_merges: true }),
    ("gpt-2", Words::Gpt2),
    ("olmo", Words::Gpt2),
];

/// The tokenizer that a file's metadata describes.
///
/// It gives the same ids as the `tokenizer.json` it was made from. Which tokens decoding leaves out
/// can differ: the converter takes every added token of the form `<|…|>` for one of those.
pub(super) fn read(gguf: &Gguf) -> Result<Tokenizer> {
    let keys = Keys { gguf };
    let model = keys.text(MODEL)?;
    if model != BPE_MODEL {
        let problem = format!("is \"{model}\", but only {BPE_MODEL}, byte-level BPE, is read");
        return Err(keys.error(MODEL, problem));
    }
    let words = keys.words()?;
    let (vocab, added) = keys.tokens()?;
    let merges = keys.merges(&vocab)?;

    let first = match keys.flag(ADD_BOS)? {
        true => Some(keys.first_token()?),
        false => None,
    };
    let ignore_merges = words == Words::Gpt4 { ignore_merges: true };
    let invalid = |error: tokenizers::Error| Error::InvalidFile {
        file: gguf.path().to_owned(),
        problem: format!("its tokenizer cannot be built: {error}"),
    };
    let build = || -> Result<tokenizers::Tokenizer, tokenizers::Error> {
        let bpe =
            BPE::builder().vocab_and_merges(vocab, merges).ignore_merges(ignore_merges).build()?;
        let mut tokenizer = tokenizers::Tokenizer::new(bpe);
        tokenizer.with_pre_tokenizer(Some(pre_tokenizer(words)?));
        tokenizer.with_decoder(Some(ByteLevel::default()));
        tokenizer.add_tokens(added)?;
        if let Some((text, id)) = first {
            let template = TemplateProcessing::builder()
                .try_single(vec![text.clone(), "$A".to_owned()])?
                .special_tokens(vec![(text, id)])
                .build()?;
            tokenizer.with_post_processor(Some(template));
        }
        Ok(tokenizer)
    };
    Tokenizer::new(build, gguf.path(), invalid)
}

/// The texts of the tokens that have a task, under the names that chat templates know them by.
pub(super) fn special_tokens(metadata: &Metadata) -> Vec<(&'static str, String)> {
    let tokens = metadata.get(TOKENS).and_then(Value::as_array);
    let text = |key: &str| {
        let id = usize::try_from(metadata.get(key)?.as_u64()?).ok()?;
        Some(tokens?.strings()?.nth(id)?.to_owned())
    };
    [
        (BOS_ID, "bos_token"),
        ("tokenizer.ggml.eos_token_id", "eos_token"),
        ("tokenizer.ggml.unknown_token_id", "unk_token"),
        (PAD_ID, "pad_token"),
    ]
    .into_iter()
    .filter_map(|(key, name)| Some((name, text(key)?)))
    .collect()
}

/// The key of a chat template. In keys llama.cpp's converter has `_` for anything but letters and digits.
pub(super) fn template_key(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    match name {
        DEFAULT => CHAT_TEMPLATE.to_owned(),
        name => format!("{CHAT_TEMPLATE}.{}", name.chars().map(plain).collect::<String>()),
    }
}

/// The chat templates by their names, the default one first.
pub(super) fn chat_templates(metadata: &Metadata) -> Vec<(String, String)> {
    let others = metadata.get(CHAT_TEMPLATES).and_then(Value::as_array);
    let others = others.and_then(|names| names.strings());
    let names = [DEFAULT].into_iter().chain(others.into_iter().flatten());
    let template = |name: &str| {
        let template = metadata.get(&template_key(name))?.as_str()?;
        Some((name.to_owned(), template.to_owned()))
    };
    names.filter_map(template).collect()
}

fn pre_tokenizer(words: Words) -> Result<PreTokenizerWrapper, tokenizers::Error> {
    Ok(match words {
        Words::Gpt2 => ByteLevel::new(false, true, true).into(),
        Words::Gpt4 { .. } => {
            let pattern = SplitPattern::Regex(GPT4_WORDS.to_owned());
            let words = Split::new(pattern, SplitDelimiterBehavior::Removed, true)?;
            Sequence::new(vec![words.into(), ByteLevel::new(false, true, false).into()]).into()
        }
    })
}

/// Typed access to the tokenizer's keys, with errors that name the key.
struct Keys<'a> {
    gguf: &'a Gguf,
}

impl<'a> Keys<'a> {
    fn error(&self, key: &str, problem: String) -> Error {
        let file = self.gguf.path().to_owned();
        Error::InvalidFile { file, problem: format!("`{key}` {problem}") }
    }

    fn required(&self, key: &str) -> Result<&'a Value> {
        self.gguf.metadata().get(key).ok_or_else(|| {
            let problem = "is missing, so it holds no tokenizer: put the model's tokenizer.json \
                           beside the file";
            self.error(key, problem.into())
        })
    }

    fn text(&self, key: &str) -> Result<&'a str> {
        let value = self.required(key)?;
        value.as_str().ok_or_else(|| self.error(key, format!("is {}, no text", value.describe())))
    }

    fn flag(&self, key: &str) -> Result<bool> {
        match self.gguf.metadata().get(key) {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| {
                self.error(key, format!("is {}, not true or false", value.describe()))
            }),
        }
    }

    fn array(&self, key: &str) -> Result<&'a Array> {
        let value = self.required(key)?;
        value
            .as_array()
            .ok_or_else(|| self.error(key, format!("is {}, no array", value.describe())))
    }

    fn texts(&self, key: &str) -> Result<impl Iterator<Item = &'a str>> {
        let texts = self.array(key)?.strings();
        texts.ok_or_else(|| self.error(key, "is an array, but not of texts".into()))
    }

    fn words(&self) -> Result<Words> {
        let pre = self.text(PRE)?;
        match WORDS.iter().find(|(name, _)| *name == pre) {
            Some((_, words)) => Ok(*words),
            None => {
                let known = WORDS.map(|(name, _)| name).join(", ");
                let problem = format!(
                    "is \"{pre}\", but only {known} are known: put the model's tokenizer.json beside \
                     the file"
                );
                Err(self.error(PRE, problem))
            }
        }
    }

    /// All tokens with their ids, and those of them that are found before words are split.
    fn tokens(&self) -> Result<(Vocab, Vec<AddedToken>)> {
        let types = self.array(TOKEN_TYPES)?;
        let count = self.array(TOKENS)?.len();
        if types.len() != count {
            let problem = format!("has {} entries for {count} tokens", types.len());
            return Err(self.error(TOKEN_TYPES, problem));
        }
        let types = types
            .i32s()
            .ok_or_else(|| self.error(TOKEN_TYPES, "is an array, but not of numbers".into()))?;
        let (mut vocab, mut added) = (Vocab::default(), Vec::new());
        for ((id, token), kind) in (0u32..).zip(self.texts(TOKENS)?).zip(types) {
            match kind {
                NORMAL => {}
                UNUSED => continue,
                CONTROL | USER_DEFINED => {
                    let token = AddedToken::from(token, kind == CONTROL).normalized(false);
                    added.push(token);
                }
                _ => {
                    let problem = format!("is {kind} for token {id}, a kind byte-level BPE lacks");
                    return Err(self.error(TOKEN_TYPES, problem));
                }
            }
            if let Some(first) = vocab.insert(token.to_owned(), id) {
                let problem = format!("has {token:?} twice, as token {first} and token {id}");
                return Err(self.error(TOKENS, problem));
            }
        }
        Ok((vocab, added))
    }

    /// Pairs of tokens that make a third, in the order of their rank.
    fn merges(&self, vocab: &Vocab) -> Result<Vec<(String, String)>> {
        let mut merges = Vec::new();
        let mut whole = String::new();
        for merge in self.texts(MERGES)? {
            let Some((left, right)) = merge.split_once(' ') else {
                return Err(self.error(MERGES, format!("has {merge:?}, which is not a pair")));
            };
            whole.clear();
            whole.extend([left, right]);
            if ![left, right, &whole].into_iter().all(|token| vocab.contains_key(token)) {
                let problem = format!("has {merge:?}, whose parts and whole are not all tokens");
                return Err(self.error(MERGES, problem));
            }
            merges.push((left.to_owned(), right.to_owned()));
        }
        Ok(merges)
    }

    /// The token that begins each text.
    fn first_token(&self) -> Result<(String, u32)> {
        let id = self.required(BOS_ID)?.as_u64();
        let token = id.and_then(|id| self.texts(TOKENS).ok()?.nth(usize::try_from(id).ok()?));
        match (token, id) {
            (Some(token), Some(id)) => Ok((token.to_owned(), id as u32)),
            _ => Err(self.error(BOS_ID, "is the id of no token".into())),
        }
    }
}
