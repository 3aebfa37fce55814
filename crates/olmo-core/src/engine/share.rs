//! Which part of a pass belongs to which sequence.

/// The part of a pass that is left for sequences not yet planned.
pub(super) struct Budget {
    /// Rows for prompts.
    pub prompt_rows: usize,
    /// Rows for prompts whose logits are all needed.
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
    /// `rows` rows, the last `outputs` of which have logits, in a pass shared by `concurrent` decode steps.
    pub fn new(rows: usize, outputs: usize, decodes: bool, concurrent: usize) -> Share {
        Share { rows, outputs, decodes, concurrent }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of its rows of logits.
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
