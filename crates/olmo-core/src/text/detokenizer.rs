//! The text of a sequence, token by token.

use std::mem;
use std::sync::Arc;

use crate::tokenizer::Tokenizer;
use crate::Result;

/// Turns the tokens of one sequence into text as they come.
///
/// Each call returns the text that has become certain; all of it joined, with that of
/// [`finish`](Detokenizer::finish), is the decoding of the whole sequence. No character is split,
/// and nothing once returned is taken back.
///
/// An id that the tokenizer does not know, as the padding of an embedding table has some, has no
/// text, as in transformers.
pub struct Detokenizer {
    tokenizer: Arc<Tokenizer>,
    skip_special_tokens: bool,
    pending: Pending,
}

/// What has been read but not returned.
enum Pending {
    /// Under a ByteLevel decoder a token is its bytes, whatever its neighbours are, and the text is
    /// the lossy decoding of all bytes. These are the bytes of an incomplete character: 3 at most.
    Bytes(Vec<u8>),
    /// Under another decoder.
    Window(Window),
}

impl Detokenizer {
    pub fn new(tokenizer: Arc<Tokenizer>, skip_special_tokens: bool) -> Detokenizer {
        let pending = match tokenizer.is_byte_level() {
            true => Pending::Bytes(Vec::new()),
            false => Pending::Window(Window::default()),
        };
        Detokenizer { tokenizer, skip_special_tokens, pending }
    }

    /// Takes the next token and returns what text is certain now.
    ///
    /// Errors only if a decoder other than ByteLevel fails.
    pub fn push(&mut self, id: u32) -> Result<String> {
        let Some(token) = self.tokenizer.token_text(id) else { return Ok(String::new()) };
        if self.skip_special_tokens && self.tokenizer.is_special(id) {
            return Ok(String::new());
        }
        match &mut self.pending {
            Pending::Bytes(bytes) => {
                bytes.extend(self.tokenizer.token_bytes(&token));
                Ok(take_characters(bytes))
            }
            Pending::Window(window) => {
                window.ids.push(id);
                // A byte of a longer run can turn out to be half of an invalid character.
                match is_byte(&token) {
                    true => Ok(String::new()),
                    false => window.take_certain(&self.tokenizer),
                }
            }
        }
    }

    /// Returns the rest of the text; an incomplete character becomes U+FFFD.
    pub fn finish(&mut self) -> Result<String> {
        match &mut self.pending {
            Pending::Bytes(bytes) => Ok(String::from_utf8_lossy(&mem::take(bytes)).into_owned()),
            Pending::Window(window) => window.take_rest(&self.tokenizer),
        }
    }
}

/// Takes everything but an incomplete character at the end, with U+FFFD for what is invalid.
///
/// Called again and again as bytes are appended, this gives what `String::from_utf8_lossy` gives of
/// all of them: that function too replaces each longest start of a character by one U+FFFD and goes
/// on behind it, and whether a start is the longest is certain as soon as one more byte is there.
/// Only a start at the very end waits.
fn take_characters(bytes: &mut Vec<u8>) -> String {
    let complete = match bytes.utf8_chunks().last() {
        Some(chunk) if is_incomplete(chunk.invalid()) => bytes.len() - chunk.invalid().len(),
        _ => bytes.len(),
    };
    let rest = bytes.split_off(complete);
    String::from_utf8_lossy(&mem::replace(bytes, rest)).into_owned()
}

/// Whether more bytes could make a character of these.
fn is_incomplete(bytes: &[u8]) -> bool {
    matches!(std::str::from_utf8(bytes), Err(error) if error.error_len().is_none())
}

/// Whether a token stands for one byte, as `<0xE6>` does under a ByteFallback decoder.
fn is_byte(token: &str) -> bool {
    token.len() == 6 && token.starts_with("<0x") && token.ends_with('>')
}

/// The last tokens, decoded together to find the text of the newest.
///
/// A token's text can depend on its neighbours: the first token of a text loses its space, a run
/// of bytes is one or more characters, or none if any of them is invalid. So the newest tokens are
/// decoded behind some whose text is known, and what is longer is theirs. Text that ends in U+FFFD
/// could still become a character, and that of a run of bytes could still become invalid; both
/// wait for another token. This is exact for decoders that look no further than that and never
/// change text by appending a token, as those of Llama, T5 and BERT are.
#[derive(Default)]
struct Window {
    /// Tokens that have been returned, with a text of their own, then those that have not.
    ids: Vec<u32>,
    /// Number of the former.
    returned: usize,
}

impl Window {
    fn take_certain(&mut self, tokenizer: &Tokenizer) -> Result<String> {
        match self.new_text(tokenizer)? {
            Some(text) if !text.ends_with('\u{FFFD}') => {
                // Tokens without a text would not keep the next from being taken for the first.
                if !tokenizer.decode(&self.ids[self.returned..], false)?.is_empty() {
                    self.ids.drain(..self.returned);
                }
                self.returned = self.ids.len();
                Ok(text)
            }
            _ => Ok(String::new()),
        }
    }

    fn take_rest(&mut self, tokenizer: &Tokenizer) -> Result<String> {
        let text = self.new_text(tokenizer)?.unwrap_or_default();
        *self = Window::default();
        Ok(text)
    }

    /// What the tokens not returned add to the text of those returned. None if they change it.
    fn new_text(&self, tokenizer: &Tokenizer) -> Result<Option<String>> {
        let old = tokenizer.decode(&self.ids[..self.returned], false)?;
        let all = tokenizer.decode(&self.ids, false)?;
        Ok(all.strip_prefix(&old).map(str::to_owned))
    }
}
