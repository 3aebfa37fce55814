//! How much the engine takes on at once.

use crate::{Error, Result};

/// Bounds of a pass and of what waits for one. None of them changes a text; they decide how long
/// others wait and how much memory a pass takes. The names are vLLM's where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sequences in one pass at most. Default 64.
    pub max_num_seqs: usize,
    /// Rows of prompts in one pass at most. Cancelling waits for one pass, so this bounds the wait. Beside answers
    /// there are as many as their readers can wait for. Default 256.
    pub prefill_chunk: usize,
    /// Rows of prompts in one pass whose logits are all wanted, and guesses in one pass. Default 64.
    pub logits_chunk: usize,
    /// Calls that the engine holds at once, waiting or running; one more is [`Error::QueueFull`].
    /// Default 16,384.
    pub max_queue: usize,
    /// Answers that one call may ask for, of all its prompts together. Default 16,384.
    pub max_answers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_num_seqs: 64,
            prefill_chunk: 256,
            logits_chunk: 64,
            max_queue: 1 << 14,
            max_answers: 1 << 14,
        }
    }
}

impl Limits {
    /// Each has to be 1 at least.
    pub fn validate(&self) -> Result<()> {
        let named = [
            ("max_num_seqs", self.max_num_seqs),
            ("prefill_chunk", self.prefill_chunk),
            ("logits_chunk", self.logits_chunk),
            ("max_queue", self.max_queue),
            ("max_answers", self.max_answers),
        ];
        match named.into_iter().find(|(_, value)| *value == 0) {
            Some((option, _)) => Err(Error::option(option, 0, "it must be 1 at least")),
            None => Ok(()),
        }
    }

    /// Rows of logits that one pass gives at most: by default some 50 MB for OLMo 2's vocabulary.
    /// Guesses are fewer than the sequences that could be running in their place.
    pub fn logits_rows(&self) -> usize {
        self.max_num_seqs.saturating_add(self.logits_chunk)
    }

    /// Rows of one pass at most: a chunk of prompts, and a row of every sequence or its guesses.
    pub fn batch_rows(&self) -> usize {
        self.prefill_chunk.saturating_add(self.max_num_seqs.max(self.logits_chunk))
    }
}
