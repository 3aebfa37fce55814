//! Forbidding repeated n-grams.

use super::{Context, LogitsProcessor, Scores, Sees};

/// Forbids every token that would complete an n-gram that the context, including the prompt, already has.
///
/// Source: transformers `NoRepeatNGramLogitsProcessor`.
pub struct NoRepeatNgram {
    size: usize,
}

impl NoRepeatNgram {
    /// `size` is at least 1; with 1 no token occurs twice.
    pub fn new(size: usize) -> Self {
        NoRepeatNgram { size }
    }
}

impl LogitsProcessor for NoRepeatNgram {
    fn reference(&self) -> &'static str {
        "NoRepeatNGramLogitsProcessor"
    }

    fn forbids(&self) -> Option<&'static str> {
        Some("no_repeat_ngram_size")
    }

    fn sees(&self) -> Sees {
        Sees::Any
    }

    fn process(&mut self, context: &Context, scores: &mut Scores) {
        // The scan is repeated every step. It compares one token in most places, so that a map of
        // n-grams, with an allocation for each, would gain nothing at a few thousand tokens.
        let ids = context.ids;
        if ids.len() < self.size {
            return;
        }
        let begun = &ids[ids.len() + 1 - self.size..];
        for ngram in ids.windows(self.size) {
            if ngram.starts_with(begun) {
                scores.forbid(ngram[self.size - 1]);
            }
        }
    }
}
