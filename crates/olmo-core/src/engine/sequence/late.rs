//! Logits that wait: whose mask of tokens is not computed yet has its turn later, so that nobody else waits for it.

use super::Sequence;
use crate::cache::BlockPool;
use crate::engine::outputs::Rows;
use crate::engine::request::FinishReason;
use crate::engine::sequence::Scratch;
use crate::engine::share::Share;
use crate::Result;

/// A share with its logits.
pub(super) struct Late {
    share: Share,
    logits: Vec<f32>, // [outputs, vocab]
}

impl Sequence {
    /// Whether it is in no pass until its tokens that may come next are known.
    pub fn is_late(&self) -> bool {
        self.late.is_some()
    }

    /// Whether a pass may have rows of it: its reader reads, and no mask is waited for.
    pub fn is_runnable(&self) -> bool {
        !self.is_paused() && !self.is_late()
    }

    /// Whether [`Sequence::take_late`] would not wait.
    pub fn has_what_may_follow(&mut self) -> bool {
        self.writer.as_mut().is_none_or(|writer| writer.sampler.is_ready())
    }

    /// Takes in what a pass computed: a share's rows, with those of their logits that are wanted. Returns
    /// why the answer is complete, if it is. Where what may follow is not known yet, that waits for
    /// [`Sequence::take_late`], so that nobody else does.
    pub fn take(
        &mut self,
        share: Share,
        rows: &mut Rows<'_>,
        pool: &mut BlockPool,
        scratch: &mut Scratch,
    ) -> Result<Option<FinishReason>> {
        if rows.len() > 0 && !self.has_what_may_follow() {
            let mut logits = Vec::with_capacity(rows.len() * scratch.vocab_size);
            for row in 0..rows.len() {
                logits.extend_from_slice(rows.logits(row)?);
            }
            self.late = Some(Late { share, logits });
            return Ok(None);
        }
        self.take_now(share, rows, pool, scratch)
    }

    /// Takes in what was put off; waits for what may follow.
    pub fn take_late(
        &mut self,
        pool: &mut BlockPool,
        scratch: &mut Scratch,
    ) -> Result<Option<FinishReason>> {
        let Some(Late { share, logits }) = self.late.take() else { return Ok(None) };
        if let Some(writer) = &mut self.writer {
            writer.sampler.wait();
        }
        let rows = &mut Rows::Whole { logits: &logits, vocab_size: scratch.vocab_size };
        self.take_now(share, rows, pool, scratch)
    }
}
