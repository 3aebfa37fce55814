//! Texts to ids, with what of the text each is, and parts that come again taken from memory.
//!
//! A template writes the beginning of a conversation once for each of its answers. Added tokens cut a text
//! into parts whose ids do not depend on one another, so only new parts are encoded:
//!
//! ```text
//! text → parts between added tokens → ids of each, from memory or from the tokenizer
//! ```

use std::collections::HashMap;
use std::path::Path;

use aho_corasick::{AhoCorasick, MatchKind};
use olmo_core::tokenizer::Tokenizer;
use olmo_core::{Error, Result};

use crate::python;

/// A tokenizer, and what its ids stand for.
pub struct Encoder {
    tokenizer: Tokenizer,
    /// Finds added tokens, the ids of which stand in `added`.
    finder: AhoCorasick,
    added: Vec<u32>,
    /// The bytes of all tokens, one after the other, and where each begins.
    bytes: Vec<u8>,
    starts: Vec<u32>,
    trims: bool,
}

/// The parts of one conversation.
#[derive(Default)]
pub struct Memory(HashMap<String, Vec<u32>>);

impl Encoder {
    /// Errors with [`Error::InvalidFile`] if what of a text a token stands for cannot be told.
    pub fn new(tokenizer: Tokenizer, file: &Path) -> Result<Encoder> {
        let invalid = |problem: &str| Error::InvalidFile {
            file: file.to_owned(),
            problem: problem.to_owned(),
        };
        if !tokenizer.is_byte_level() || !tokenizer.is_split_at_added_tokens() {
            return Err(invalid(
                "which part of a text a token stands for can only be told of a byte-level tokenizer \
                 that does not normalise, as OLMo's",
            ));
        }
        let (mut bytes, mut starts) = (Vec::new(), vec![0]);
        let texts: Vec<String> =
            tokenizer.added_tokens().into_iter().map(|(text, _)| text).collect();
        for id in 0..tokenizer.vocab_size() as u32 {
            if let Some(token) = tokenizer.token_text(id) {
                match texts.contains(&token) {
                    true => bytes.extend_from_slice(token.as_bytes()),
                    false => bytes.extend(tokenizer.token_bytes(&token)),
                }
            }
            starts.push(u32::try_from(bytes.len()).map_err(|_| invalid("it is too large"))?);
        }
        let texts: Vec<String> = texts.into_iter().filter(|text| !text.is_empty()).collect();
        let added = texts.iter().filter_map(|text| tokenizer.token_id(text)).collect();
        let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&texts);
        let finder = finder.map_err(|error| invalid(&format!("its added tokens: {error}")))?;
        let trims = tokenizer.trims_offsets();
        Ok(Encoder { tokenizer, finder, added, bytes, starts, trims })
    }

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The ids of a text, special tokens in it being special.
    pub fn encode(&self, text: &str, memory: &mut Memory) -> Result<Vec<u32>> {
        let mut ids = Vec::with_capacity(text.len() / 3);
        self.each_part(text, memory, |part| ids.extend_from_slice(part))?;
        Ok(ids)
    }

    /// How many ids a text has.
    pub fn count(&self, text: &str, memory: &mut Memory) -> Result<usize> {
        let mut count = 0;
        self.each_part(text, memory, |part| count += part.len())?;
        Ok(count)
    }

    fn each_part(
        &self,
        text: &str,
        memory: &mut Memory,
        mut take: impl FnMut(&[u32]),
    ) -> Result<()> {
        let mut from = 0;
        for found in self.finder.find_iter(text) {
            self.part(&text[from..found.start()], memory, &mut take)?;
            take(&[self.added[found.pattern().as_usize()]]);
            from = found.end();
        }
        self.part(&text[from..], memory, &mut take)
    }

    fn part(&self, text: &str, memory: &mut Memory, take: &mut impl FnMut(&[u32])) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        if let Some(ids) = memory.0.get(text) {
            take(ids);
            return Ok(());
        }
        let ids = self.tokenizer.encode(text, false)?;
        take(&ids);
        memory.0.insert(text.to_owned(), ids);
        Ok(())
    }

    /// Whether a text has one of the tokens that steer a model, or another that was added.
    pub fn has_added_token(&self, text: &str) -> bool {
        self.finder.is_match(text)
    }

    /// The length of the added token that a text begins with, if it does.
    pub fn added_token_at(&self, text: &str) -> Option<usize> {
        let found = self.finder.find(text)?;
        (found.start() == 0).then_some(found.end())
    }

    /// The bytes of a token.
    pub fn bytes(&self, id: u32) -> &[u8] {
        let at = |index: usize| self.starts.get(index).copied().unwrap_or_default() as usize;
        let (start, end) = (at(id as usize), at(id as usize + 1));
        &self.bytes[start..end.max(start)]
    }

    /// Where in the text each token begins and ends, in bytes.
    ///
    /// One that has only a part of a character's bytes ends inside it. transformers counts it as all of the
    /// character, which overlaps the same spans as long as those do not begin or end inside one.
    pub fn spans<'a>(&'a self, ids: &'a [u32]) -> impl Iterator<Item = (usize, usize)> + 'a {
        let mut end = 0;
        ids.iter().map(move |&id| {
            let bytes = self.bytes(id);
            let start = end;
            end += bytes.len();
            match self.trims && !self.added.contains(&id) {
                true => trimmed(bytes, start),
                false => (start, end),
            }
        })
    }

    /// The text of ids; bytes that are no whole character are U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> = ids.iter().flat_map(|&id| self.bytes(id)).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Without the blanks at its ends.
fn trimmed(bytes: &[u8], start: usize) -> (usize, usize) {
    let end = start + bytes.len();
    let blank = |byte: &&u8| **byte == b' ';
    let before = bytes.iter().take_while(blank).count();
    if before == bytes.len() {
        return (end, end);
    }
    (start + before, end - bytes.iter().rev().take_while(blank).count())
}

/// Whether a decoded text is that of a content that was cut off: what is there begins it.
pub fn begins(content: &str, decoded: &str) -> bool {
    let decoded = python::lstrip(decoded);
    !decoded.is_empty() && content.starts_with(decoded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoder() -> Encoder {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/olmo2-5m");
        let tokenizer = Tokenizer::from_dir(&folder).unwrap();
        Encoder::new(tokenizer, &folder.join("tokenizer.json")).unwrap()
    }

    fn hard_text() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            4 => prop::sample::select(vec![
                " ", "\n", "\n\n", "\t", "word", "'s", "é", "の", "123", "<|endoftext|>", "<|im_start|>",
                "|||PHONE_NUMBER", "|||EMAIL_ADDRESS|||", "<|im_", "end|>", "😀", "\u{301}", "|||", "\u{a0}",
            ]).prop_map(str::to_owned),
            1 => any::<String>(),
        ];
        prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        #[test]
        fn parts_have_the_ids_of_the_whole(texts in prop::collection::vec(hard_text(), 1..4)) {
            thread_local! { static ENCODER: Encoder = encoder(); }
            ENCODER.with(|encoder| {
                let mut memory = Memory::default();
                let all = texts.concat();
                for text in texts.iter().chain([&all, &all]) {
                    let ids = encoder.encode(text, &mut memory).unwrap();
                    assert_eq!(ids, encoder.tokenizer.encode(text, false).unwrap());
                    assert_eq!(encoder.count(text, &mut memory).unwrap(), ids.len());
                    assert_eq!(encoder.spans(&ids).last().map_or(0, |(_, end)| end), text.len());
                    for cut in [ids.len(), ids.len() / 2, ids.len() / 3] {
                        let expected = encoder.tokenizer.decode(&ids[..cut], false).unwrap();
                        assert_eq!(encoder.decode(&ids[..cut]), expected);
                        assert_eq!(encoder.decode(&ids[cut..]), encoder.tokenizer.decode(&ids[cut..], false).unwrap());
                    }
                }
            });
        }
    }

    #[test]
    fn blanks_are_trimmed_as_byte_level_does() {
        assert_eq!(trimmed(b"  ab ", 10), (12, 14));
        assert_eq!(trimmed(b"  ", 10), (12, 12));
        assert_eq!(trimmed(b"\n", 10), (10, 11));
    }
}
