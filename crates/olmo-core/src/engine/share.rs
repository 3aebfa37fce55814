//! What of a pass belongs to which sequence.

/// What is left of a pass for the sequences that are still to be planned.
pub(super) struct Budget {
    /// Rows of prompts.
    pub prompt_rows: usize,
    /// Rows of prompts whose logits are all wanted.
    pub prompt_outputs: usize,
    pub guesses: usize,
    /// Sequences that share the pass with a decode step each.
    pub concurrent: usize,
}

/// A sequence's rows of one pass, from [`Sequence::plan`]; [`Sequence::take`] consumes it with their
/// logits.
///
/// [`Sequence::plan`]: super::sequence::Sequence::plan
/// [`Sequence::take`]: super::sequence::Sequence::take
#[must_use]
pub(super) struct Share {
    rows: usize,
    outputs: usize,
    decodes: bool,
    concurrent: usize,
}

impl Share {
    /// `rows` rows, of which the last `outputs` give logits, in a pass that `concurrent` decode steps
    /// share.
    pub fn new(rows: usize, outputs: usize, decodes: bool, concurrent: usize) -> Share {
        Share { rows, outputs, decodes, concurrent }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Rows of logits that belong to it.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Whether it is a decode step: one token, and guesses at those after it.
    pub fn decodes(&self) -> bool {
        self.decodes
    }

    pub fn concurrent(&self) -> usize {
        self.concurrent
    }
}
