//! What one forward pass works on: rows of tokens from one or several sequences.

use std::ops::Range;

/// A ragged batch. Row `r` is the token `tokens[r]` at `positions[r]` of its sequence. A decode step
/// is a span of one row, a chunk of a prompt a span of many; both kinds run in the same pass.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Token ids `[rows]`.
    pub tokens: Vec<u32>,
    /// Positions in the sequence `[rows]`.
    pub positions: Vec<u32>,
    /// Which rows belong to which sequence. Spans follow each other and cover all rows.
    pub spans: Vec<Span>,
    /// Rows whose logits are wanted, ascending.
    pub outputs: Vec<usize>,
}

/// Consecutive rows of one sequence, at consecutive positions.
#[derive(Debug, Clone)]
pub struct Span {
    pub rows: Range<usize>,
    /// Position of the first row: that many tokens of the sequence are in the cache already.
    pub start: usize,
    /// The sequence's cache blocks, in order; block `i` holds positions
    /// `i · BLOCK_TOKENS ..` and there are enough of them for the last row.
    pub blocks: Vec<u32>,
}

impl Batch {
    pub fn rows(&self) -> usize {
        self.tokens.len()
    }

    /// Appends the next tokens of a sequence that has `start` tokens in the cache; `outputs` are
    /// those of them whose logits are wanted.
    pub fn push(&mut self, tokens: &[u32], start: usize, blocks: &[u32], outputs: Range<usize>) {
        let first = self.rows();
        self.tokens.extend_from_slice(tokens);
        self.positions.extend((start..start + tokens.len()).map(|position| position as u32));
        self.outputs.extend(outputs.map(|offset| first + offset));
        self.spans.push(Span { rows: first..self.rows(), start, blocks: blocks.to_vec() });
    }
}
