//! The text of one answer: detokenized, and cut at stop strings.

use std::sync::Arc;

use super::{Detokenizer, Matched, StopMatcher};
use crate::tokenizer::Tokenizer;
use crate::Result;

/// Turns the tokens of one answer into the text that its reader gets.
pub struct TextOut {
    tokenizer: Arc<Tokenizer>,
    detokenizer: Detokenizer,
    stop: StopMatcher,
    skip_special_tokens: bool,
}

impl TextOut {
    /// `stop_strings` are not empty and may begin in `prompt`. Special tokens that are skipped can
    /// still be part of a stop string.
    pub fn new(
        tokenizer: Arc<Tokenizer>,
        skip_special_tokens: bool,
        stop_strings: Arc<[String]>,
        prompt: &[u32],
    ) -> TextOut {
        let prompt = end_of_prompt(prompt, &stop_strings, &tokenizer);
        TextOut {
            detokenizer: Detokenizer::new(tokenizer.clone(), skip_special_tokens),
            stop: StopMatcher::shared(stop_strings, &prompt),
            tokenizer,
            skip_special_tokens,
        }
    }

    /// The text that is certain with this token, and whether it completes a stop string.
    pub fn push(&mut self, id: u32) -> Result<Matched> {
        let text = self.detokenizer.push(id)?;
        if self.skip_special_tokens && self.tokenizer.is_special(id) {
            return Ok(self.stop.push_hidden(&self.tokenizer.token_text(id).unwrap_or_default()));
        }
        Ok(self.stop.push(&text))
    }

    /// The rest of the text, when no token comes any more and no stop string ended it.
    pub fn finish(&mut self) -> Result<String> {
        let mut text = self.stop.push(&self.detokenizer.finish()?).emit;
        text += &self.stop.finish();
        Ok(text)
    }
}

/// As much of the prompt's text as a stop string could begin in: no token is shorter than a byte.
fn end_of_prompt(prompt: &[u32], stop_strings: &[String], tokenizer: &Tokenizer) -> String {
    let longest = stop_strings.iter().map(String::len).max().unwrap_or(0);
    let end = &prompt[prompt.len() - longest.min(prompt.len())..];
    // An id without a token has no text to match either.
    tokenizer.decode(end, false).unwrap_or_default()
}
