//! `tokenizer.json`: from text to token ids and back.

mod bounded;
pub(crate) mod file;
mod patterns;
mod pieces;

use std::path::{Path, PathBuf};

use tokenizers::{
    DecoderWrapper, Model as _, NormalizedString, Normalizer as _, OffsetType,
    PostProcessorWrapper, PreTokenizedString, PreTokenizer as _,
};

use crate::config::read_required;
use crate::{panics, Error, Result};

/// Files that make up a tokenizer.
pub const FILES: [&str; 6] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
];

/// The largest tokenizer.json that is read. dolma2's has 7 MB, and no model's has four times that.
pub(crate) const MOST_BYTES: u64 = 32 << 20;

/// Bytes that the tokenizers crate loses at least when it loses any; a token that swallows the
/// blanks beside it accounts for fewer.
const LOSS: usize = 250_000;

/// How dolma2 splits words: the way GPT-4 does.
pub(crate) const GPT4_WORDS: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
    r"|[^\r\n\p{L}\p{N}]?\p{L}+",
    r"|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*",
    r"|\s*[\r\n]+",
    r"|\s+(?!\S)",
    r"|\s+",
);

/// A checkpoint's tokenizer.
///
/// It is used from several threads at once: by callers that encode and by the engine that decodes.
pub struct Tokenizer {
    file: PathBuf,
    inner: tokenizers::Tokenizer,
    /// Largest id + 1.
    vocab_size: usize,
    is_byte_level: bool,
    /// Whether long texts are encoded in pieces.
    cuts: bool,
}

impl Tokenizer {
    /// Reads `tokenizer.json` in a checkpoint folder.
    pub fn from_dir(dir: &Path) -> Result<Tokenizer> {
        let (file, json) = read_required(dir, "tokenizer.json", MOST_BYTES)?;
        Tokenizer::from_json(&json, &file)
    }

    /// Reads the contents of a `tokenizer.json`; `file` is for error messages.
    ///
    /// Errors with [`Error::InvalidFile`] on parts that no OLMo tokenizer has, and on those that a text could
    /// make hang or fill the memory; see [`file`].
    pub fn from_json(json: &[u8], file: &Path) -> Result<Tokenizer> {
        let invalid = |problem: String| Error::InvalidFile { file: file.to_owned(), problem };
        file::check(json).map_err(invalid)?;
        let not_one = |error| invalid(format!("this is not a tokenizer: {error}"));
        Tokenizer::new(|| tokenizers::Tokenizer::from_bytes(json), file, not_one)
    }

    /// Takes over a tokenizer that `build` makes of the contents of `file`; `failed` is the error if
    /// it cannot.
    pub(crate) fn new(
        build: impl FnOnce() -> Result<tokenizers::Tokenizer, tokenizers::Error>,
        file: &Path,
        failed: impl FnOnce(tokenizers::Error) -> Error,
    ) -> Result<Tokenizer> {
        let invalid = |problem: String| Error::InvalidFile { file: file.to_owned(), problem };
        let built = panics::catch(build).map_err(|said| {
            invalid(format!("this is not a tokenizer: it makes the tokenizers crate panic: {said}"))
        })?;
        let mut inner = built.map_err(failed)?;
        // A file can ask for texts to be cut or filled up to a length, which is meant for training.
        // transformers too leaves that to the caller.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| invalid(error.to_string()))?;
        let vocab_size = match inner.get_vocab(true).into_values().max() {
            Some(id) => id as usize + 1,
            None => return Err(invalid("its vocabulary is empty".to_owned())),
        };
        let is_byte_level = matches!(inner.get_decoder(), Some(DecoderWrapper::ByteLevel(_)));
        let cuts = pieces::can_cut(&inner);
        Ok(Tokenizer { file: file.to_owned(), inner, vocab_size, is_byte_level, cuts })
    }

    /// Errors if an id can come out that a model with `vocab_size` embeddings does not have.
    pub fn check(&self, vocab_size: usize) -> Result<()> {
        if self.vocab_size <= vocab_size {
            return Ok(());
        }
        let problem = format!(
            "its ids go up to {}, but vocab_size in config.json is {vocab_size}; the two are not of \
             one checkpoint",
            self.vocab_size - 1
        );
        Err(Error::InvalidFile { file: self.file.clone(), problem })
    }

    /// The token ids of a text.
    ///
    /// Special tokens written in the text, `<|endoftext|>` for one, become their ids;
    /// `add_special_tokens` is about those that the file puts around each text, if any.
    ///
    /// Errors on a text with half a million blanks in a row, which the crate's regular expressions
    /// cannot take.
    pub fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>> {
        self.encode_at_most(text, add_special_tokens, usize::MAX)
    }

    /// The same of as much of a long text as gives more than `most` ids, for a caller to whom any more are
    /// too many. Where texts cannot be cut, of all of it.
    ///
    /// Memory is that of the ids and of a piece of the text; a tokenizer that cannot cut takes a hundred
    /// bytes for each of the text's.
    pub fn encode_at_most(
        &self,
        text: &str,
        add_special_tokens: bool,
        most: usize,
    ) -> Result<Vec<u32>> {
        if !self.cuts || text.len() <= pieces::PIECE {
            return self.encode_piece(text, add_special_tokens);
        }
        let (mut ids, mut rest) = (Vec::new(), text);
        while !rest.is_empty() && ids.len() <= most {
            let (piece, others) = rest.split_at(pieces::end(rest, pieces::PIECE));
            ids.extend(self.encode_piece(piece, add_special_tokens)?);
            rest = others;
        }
        Ok(ids)
    }

    fn encode_piece(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>> {
        let encoding = self.guard(|| self.inner.encode_fast(text, add_special_tokens))?;
        let ids = encoding.get_ids().to_vec();
        if text.len() > LOSS {
            self.check_nothing_is_lost(text, &ids)?;
        }
        Ok(ids)
    }

    /// Runs a call into the tokenizers crate. What it fails on, or panics, is what the file asks of it.
    fn guard<T>(&self, call: impl FnOnce() -> tokenizers::Result<T>) -> Result<T> {
        let problem = match panics::catch(call) {
            Ok(Ok(result)) => return Ok(result),
            Ok(Err(error)) => format!("this tokenizer cannot be used: {error}"),
            Err(said) => format!("this tokenizer makes the tokenizers crate panic: {said}"),
        };
        Err(Error::InvalidFile { file: self.file.clone(), problem })
    }

    /// The ids of a text in which no added token counts, so that `<|endoftext|>` is its letters.
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>> {
        let encoded = self.guard(|| {
            let mut normalized = NormalizedString::from(text);
            if let Some(normalizer) = self.inner.get_normalizer() {
                normalizer.normalize(&mut normalized)?;
            }
            let mut pieces = PreTokenizedString::from(normalized);
            if let Some(splitter) = self.inner.get_pre_tokenizer() {
                splitter.pre_tokenize(&mut pieces)?;
            }
            pieces.tokenize(|piece| self.inner.get_model().tokenize(piece.get()))?;
            pieces.into_encoding(None, 0, OffsetType::None)
        })?;
        Ok(encoded.get_ids().to_vec())
    }

    /// The tokens that are found in a text before anything else, and whether each is special.
    pub fn added_tokens(&self) -> Vec<(String, bool)> {
        let added = self.inner.get_added_vocabulary().get_added_tokens_decoder();
        let mut tokens: Vec<(u32, String, bool)> =
            added.iter().map(|(&id, token)| (id, token.content.clone(), token.special)).collect();
        tokens.sort();
        tokens.into_iter().map(|(_, text, special)| (text, special)).collect()
    }

    /// After a million steps back within one match `fancy-regex` gives up, and the crate takes that
    /// for the end of the text: what follows gets no tokens, in silence.
    fn check_nothing_is_lost(&self, text: &str, ids: &[u32]) -> Result<()> {
        if !self.is_byte_level || self.inner.get_normalizer().is_some() {
            return Ok(());
        }
        let tokens = ids.iter().filter_map(|&id| self.token_text(id));
        let bytes: usize = tokens.map(|token| self.token_bytes(&token).len()).sum();
        if bytes + LOSS > text.len() {
            return Ok(());
        }
        Err(Error::Internal(format!(
            "the tokenizer gives up on this text after {bytes} of {} bytes; shorten its longest run \
             of blanks",
            text.len()
        )))
    }

    /// The text of token ids. Bytes that are not UTF-8 become U+FFFD.
    ///
    /// Errors with [`Error::InvalidToken`] if an id has no token.
    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> Result<String> {
        if let Some(&id) = ids.iter().find(|&&id| self.token_text(id).is_none()) {
            return Err(Error::InvalidToken { id, vocab_size: self.vocab_size });
        }
        self.guard(|| self.inner.decode(ids, skip_special_tokens))
    }

    /// The text of one id, to be shown: empty for a row of the model's vocabulary that has no token.
    pub fn text_of(&self, id: u32) -> Result<String> {
        match self.token_text(id) {
            Some(_) => self.decode(&[id], false),
            None => Ok(String::new()),
        }
    }

    /// A token as the vocabulary writes it, which for ByteLevel is not its text: `Ġthe`.
    pub fn token_text(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The id of a token as the vocabulary writes it.
    pub fn token_id(&self, text: &str) -> Option<u32> {
        self.inner.token_to_id(text)
    }

    /// Whether `skip_special_tokens` leaves a token out.
    pub fn is_special(&self, id: u32) -> bool {
        let token = self.token_text(id);
        token.is_some_and(|token| self.inner.get_added_vocabulary().is_special_token(&token))
    }

    /// Largest id + 1: the embeddings a model needs at least. There can be fewer tokens than that.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The text of a `tokenizer.json` that is this tokenizer.
    pub fn to_json(&self) -> Result<String> {
        let text = self.inner.to_string(true);
        text.map_err(|error| Error::Internal(format!("a tokenizer as JSON: {error}")))
    }

    /// Whether each token's bytes are its part of the text, as with every OLMo 2 tokenizer.
    pub fn is_byte_level(&self) -> bool {
        self.is_byte_level
    }

    /// Ids of the vocabulary itself, without what was added to it: `vocab_size` of transformers.
    pub fn base_vocab_size(&self) -> usize {
        self.inner.get_vocab_size(false)
    }

    /// Whether the ids of a text are those of its parts, where the texts of added tokens are parts of their
    /// own: nothing rewrites a text, and no added token takes blanks with it or asks what stands beside it.
    pub fn is_split_at_added_tokens(&self) -> bool {
        let added = self.inner.get_added_tokens_decoder();
        // Those that are normalised are looked for after the others, in what is left.
        let normalized = added.values().next().is_some_and(|token| token.normalized);
        let plain = |token: &tokenizers::AddedToken| {
            !token.lstrip && !token.rstrip && !token.single_word && token.normalized == normalized
        };
        self.inner.get_normalizer().is_none() && added.values().all(plain)
    }

    /// Whether blanks at a token's ends do not count as its part of the text, in transformers' offsets.
    pub fn trims_offsets(&self) -> bool {
        match self.inner.get_post_processor() {
            Some(PostProcessorWrapper::ByteLevel(bytes)) => bytes.trim_offsets,
            _ => false,
        }
    }

    /// The bytes of a token under a ByteLevel decoder: one for each character if all of them stand
    /// for bytes, else, as some added tokens are, the token's own.
    ///
    /// Source: `ByteLevel::decode_chain` of the tokenizers crate.
    pub fn token_bytes(&self, token: &str) -> Vec<u8> {
        let bytes: Option<Vec<u8>> = token.chars().map(byte_of).collect();
        bytes.unwrap_or_else(|| token.as_bytes().to_vec())
    }
}

/// The byte that a character of a ByteLevel vocabulary stands for.
///
/// Bytes with a printable character in Latin-1 stand for themselves. The others, 0 to 32, 127 to
/// 160 and 173, are U+0100 and the characters after it, in this order.
///
/// Source: `bytes_to_unicode` of GPT-2's `encoder.py`.
fn byte_of(char: char) -> Option<u8> {
    match u32::from(char) {
        code @ (0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF) => Some(code as u8),
        code @ 0x100..=0x120 => Some((code - 0x100) as u8),
        code @ 0x121..=0x142 => Some((code - 0x121 + 0x7F) as u8),
        0x143 => Some(0xAD),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_said_and_not_printed() {
        assert_eq!(panics::catch(|| 7), Ok(7));
        let with_text = panics::catch(|| panic!("no {}", "good")).map(|()| 0);
        assert_eq!(with_text, Err("no good".to_owned()));
        assert_eq!(panics::catch(|| panic!("bad")).map(|()| 0), Err("bad".to_owned()));
        let other = panics::catch(|| std::panic::panic_any(3)).map(|()| 0);
        assert_eq!(other, Err("a panic without a message".to_owned()));
    }

    /// Its vocabulary lacks the token that it names for what is unknown.
    #[test]
    fn what_the_crate_fails_on_is_the_file() {
        let json = r#"{"added_tokens": [], "model": {"type": "WordLevel", "vocab": {"a": 0},
            "unk_token": "?"}}"#;
        let tokenizer = Tokenizer::from_json(json.as_bytes(), "tokenizer.json".as_ref()).unwrap();
        let error = tokenizer.encode("b", false).unwrap_err();
        assert_eq!(error.code(), "INVALID_FILE");
        assert!(error.to_string().starts_with("tokenizer.json: this tokenizer cannot be used: "));
    }

    #[test]
    fn every_byte_has_one_character() {
        let alphabet = tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet();
        let all = || ('\0'..='\u{FFFF}').filter(|&char| byte_of(char).is_some());
        assert!(all().eq(('\0'..='\u{FFFF}').filter(|char| alphabet.contains(char))));
        let mut bytes: Vec<u8> = all().filter_map(byte_of).collect();
        bytes.sort_unstable();
        assert!(bytes.into_iter().eq(0..=255));
    }

    #[test]
    fn threads_can_share_it() {
        fn shared<T: Send + Sync>() {}
        shared::<Tokenizer>();
    }
}
