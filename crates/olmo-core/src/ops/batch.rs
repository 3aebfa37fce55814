//! What one forward pass works on: rows of tokens from one or several sequences.

use std::ops::Range;

use crate::cache::{blocks_for, BLOCK_TOKENS};

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
    /// Where the sequence's keys and values are: a table for each kind of attention of the model, in
    /// the order of [`ModelConfig::attention_kinds`](crate::config::ModelConfig::attention_kinds).
    pub tables: Vec<BlockTable>,
}

/// The cache blocks of one sequence in the layers of one kind of attention.
#[derive(Debug, Clone, Default)]
pub struct BlockTable {
    /// How many blocks from the beginning of the sequence are left out: those that no row of the
    /// sequence sees any more.
    pub first: usize,
    /// The others, in order: block `i` holds positions `(first + i) · BLOCK_TOKENS ..`.
    pub blocks: Vec<u32>,
}

impl Batch {
    pub fn rows(&self) -> usize {
        self.tokens.len()
    }

    /// Appends the next tokens of a sequence that has `start` tokens in the cache, in a model with one
    /// kind of attention; `outputs` are those of them whose logits are wanted.
    pub fn push(&mut self, tokens: &[u32], start: usize, blocks: &[u32], outputs: Range<usize>) {
        let table = BlockTable { first: 0, blocks: blocks.to_vec() };
        self.push_with_tables(tokens, start, vec![table], outputs);
    }

    /// The same with a block table for each kind of attention.
    pub fn push_with_tables(
        &mut self,
        tokens: &[u32],
        start: usize,
        tables: Vec<BlockTable>,
        outputs: Range<usize>,
    ) {
        let first = self.rows();
        self.tokens.extend_from_slice(tokens);
        self.positions.extend((start..start + tokens.len()).map(|position| position as u32));
        self.outputs.extend(outputs.map(|offset| first + offset));
        self.spans.push(Span { rows: first..self.rows(), start, tables });
    }
}

impl Span {
    /// Position after the last row.
    pub fn end(&self) -> usize {
        self.start + self.rows.len()
    }
}

impl BlockTable {
    /// The block that holds a position, which must be one the table covers.
    pub fn block(&self, position: usize) -> u32 {
        self.blocks[position / BLOCK_TOKENS - self.first]
    }

    /// Whether all these positions have a block.
    pub fn covers(&self, positions: Range<usize>) -> bool {
        self.first <= positions.start / BLOCK_TOKENS
            && blocks_for(positions.end) <= self.first + self.blocks.len()
    }
}
