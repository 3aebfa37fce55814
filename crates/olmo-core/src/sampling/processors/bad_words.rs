//! Forbidden token sequences.

use super::{Context, LogitsProcessor, Scores, Sees};

/// Forbids the last token of a bad word wherever the context ends with the tokens before it.
///
/// A bad word that is just an end token is ignored: that is what `min_new_tokens` is for.
///
/// Source: transformers `NoBadWordsLogitsProcessor`.
pub struct BadWords {
    words: Vec<Vec<u32>>,
}

impl BadWords {
    pub fn new(words: &[Vec<u32>], eos: &[u32]) -> Self {
        let is_end = |word: &[u32]| matches!(word, [id] if eos.contains(id));
        BadWords { words: words.iter().filter(|word| !is_end(word)).cloned().collect() }
    }
}

impl LogitsProcessor for BadWords {
    fn reference(&self) -> &'static str {
        "NoBadWordsLogitsProcessor"
    }

    fn forbids(&self) -> Option<&'static str> {
        Some("bad_words_ids")
    }

    fn sees(&self) -> Sees {
        Sees::Any
    }

    fn process(&mut self, context: &Context, scores: &mut Scores) {
        for word in &self.words {
            if let Some((&last, begun)) = word.split_last() {
                if context.ids.ends_with(begun) {
                    scores.forbid(last);
                }
            }
        }
    }
}
