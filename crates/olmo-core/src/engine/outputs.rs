//! What a pass gives: whole rows of logits or, where that is enough and the backend can tell them apart, the largest of
//! each, while all of them stay where the model runs.

use std::ops::Range;

use crate::model::{Model, NoProbe};
use crate::ops::Batch;
use crate::sampling::{TopLogits, TopRequest, TopWanted};
use crate::Result;

/// What the rows of a sequence's share are wanted for: so many rows, and what is enough of each.
pub(super) type Wanted = (usize, Option<TopWanted>);

pub(super) struct Outputs {
    vocab_size: usize,
    /// The largest logits of each row, if not all came back.
    top: Vec<TopLogits>,
    /// All of them, or those that were asked for since.
    logits: Vec<f32>,
    request: TopRequest,
}

impl Outputs {
    pub fn new(vocab_size: usize) -> Outputs {
        let (top, logits, request) = (Vec::new(), Vec::new(), TopRequest::default());
        Outputs { vocab_size, top, logits, request }
    }

    /// Runs a batch whose outputs are those of the shares, in their order.
    pub fn compute(
        &mut self,
        model: &mut dyn Model,
        batch: &Batch,
        shares: impl Iterator<Item = Wanted>,
    ) -> Result<()> {
        self.top.clear();
        let request = &mut self.request;
        request.temperatures.clear();
        request.count = 0;
        for (rows, wanted) in shares {
            let temperature = wanted.map_or(1.0, |wanted| wanted.temperature);
            request.temperatures.extend(std::iter::repeat_n(temperature, rows));
            request.count = request.count.max(wanted.map_or(0, |wanted| wanted.count));
        }
        if request.count == 0 || request.temperatures.is_empty() || !model.finds_top() {
            return model.forward(batch, &mut NoProbe, &mut self.logits);
        }
        self.top = model.forward_top(batch, request)?;
        Ok(())
    }

    /// Some rows of the pass, whole unless less is enough.
    pub fn rows<'a>(
        &'a mut self,
        model: &'a mut dyn Model,
        rows: Range<usize>,
        is_top_enough: bool,
    ) -> Result<Rows<'a>> {
        let vocab_size = self.vocab_size;
        if self.top.is_empty() {
            let numbers = rows.start * vocab_size..rows.end * vocab_size;
            return Ok(Rows::Whole { logits: &self.logits[numbers], vocab_size });
        }
        if !is_top_enough && !rows.is_empty() {
            model.read_logits(rows, &mut self.logits)?;
            return Ok(Rows::Whole { logits: &self.logits, vocab_size });
        }
        let Outputs { top, logits, .. } = self;
        Ok(Rows::Top { top: &top[rows.clone()], first: rows.start, model, logits, read: None })
    }
}

/// The rows of a share.
pub(super) enum Rows<'a> {
    Whole {
        logits: &'a [f32],
        vocab_size: usize,
    },
    Top {
        top: &'a [TopLogits],
        /// The first of them among those of the pass.
        first: usize,
        model: &'a mut dyn Model,
        logits: &'a mut Vec<f32>,
        /// The row whose logits these are.
        read: Option<usize>,
    },
}

impl Rows<'_> {
    pub fn len(&self) -> usize {
        match self {
            Rows::Whole { logits, vocab_size } => logits.len() / vocab_size,
            Rows::Top { top, .. } => top.len(),
        }
    }

    /// The largest logits of a row, unless all came back.
    pub fn top(&self, row: usize) -> Option<&TopLogits> {
        match self {
            Rows::Whole { .. } => None,
            Rows::Top { top, .. } => top.get(row),
        }
    }

    /// All logits of a row.
    pub fn logits(&mut self, row: usize) -> Result<&[f32]> {
        match self {
            Rows::Whole { logits, vocab_size } => {
                Ok(&logits[row * *vocab_size..(row + 1) * *vocab_size])
            }
            Rows::Top { first, model, logits, read, .. } => {
                if *read != Some(row) {
                    *read = None;
                    model.read_logits(*first + row..*first + row + 1, logits)?;
                    *read = Some(row);
                }
                Ok(logits)
            }
        }
    }
}
