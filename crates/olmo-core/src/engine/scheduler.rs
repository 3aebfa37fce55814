//! Which tokens of which requests run in the next pass.
//!
//! ```text
//! forever:
//!     drop what was cancelled
//!     admit waiting sequences while the cache has all the blocks they can come to need
//!     batch = one row of every decoding sequence (and its guesses) + a chunk of the prompts still being read
//!     logits = model(batch); every sequence turns its rows of them into tokens and events
//! ```
//!
//! A sequence takes all its blocks when it is admitted, so none ever has to be thrown out again.

use std::collections::VecDeque;

use super::mailbox::Mailbox;
use super::sequence::{Desk, Sequence};
use super::study::Study;
use super::{MAX_RUNNING, OUTPUT_CHUNK, PREFILL_CHUNK};
use crate::cache::BlockPool;
use crate::model::{Model, NoProbe};
use crate::ops::Batch;
use crate::sampling::Scores;
use crate::{Error, Result};

pub(super) struct Scheduler {
    model: Box<dyn Model>,
    desk: Desk,
    pool: BlockPool,
    waiting: VecDeque<Sequence>,
    running: Vec<Sequence>,
    studies: VecDeque<Study>,
    logits: Vec<f32>,
}

/// The part of a batch that belongs to one running sequence.
struct Share {
    sequence: usize,
    rows: usize,
    outputs: usize,
}

impl Scheduler {
    pub fn new(
        model: Box<dyn Model>,
        vocab_size: usize,
        dtype: &'static str,
        blocks: usize,
    ) -> Scheduler {
        Scheduler {
            model,
            desk: Desk { vocab_size, dtype, scores: Scores::default(), buffer: Vec::new() },
            pool: BlockPool::new(blocks),
            waiting: VecDeque::new(),
            running: Vec::new(),
            studies: VecDeque::new(),
            logits: Vec::new(),
        }
    }

    pub fn add(&mut self, sequence: Sequence) {
        self.waiting.push_back(sequence);
    }

    pub fn add_study(&mut self, study: Study) {
        self.studies.push_back(study);
    }

    /// Runs one pass. False if there is nothing to run until a new request comes, or a reader takes
    /// its events.
    pub fn step(&mut self) -> bool {
        self.drop_cancelled();
        // A study waits for room only until running sequences end: no new ones are let in before it.
        let may_admit = match self.studies.front_mut() {
            Some(study) => study.reserve(&mut self.pool),
            None => true,
        };
        if may_admit {
            self.admit();
        }
        let (batch, shares) = self.plan();
        if !shares.is_empty() {
            let result = self.model.forward(&batch, &mut NoProbe, &mut self.logits);
            self.hand_out(&shares, result);
        }
        let studied = self.study();
        studied || !shares.is_empty()
    }

    /// Ends every request with an error.
    pub fn fail_all(&mut self, error: &Error) {
        for sequence in self.waiting.drain(..).chain(self.running.drain(..)) {
            sequence.mailbox.fail(error.clone());
        }
        for study in self.studies.drain(..) {
            study.fail(error.clone());
        }
    }

    fn drop_cancelled(&mut self) {
        let cancelled = |mailbox: &Mailbox| {
            let cancelled = mailbox.is_cancelled();
            if cancelled {
                mailbox.fail(Error::Cancelled);
            }
            cancelled
        };
        self.waiting.retain(|sequence| !cancelled(&sequence.mailbox));
        self.running.retain(|sequence| {
            let cancelled = cancelled(&sequence.mailbox);
            if cancelled {
                self.pool.release(sequence.blocks());
            }
            !cancelled
        });
        self.studies.retain(|study| {
            // Asked once: it may be cancelled at any moment.
            let cancelled = study.is_cancelled();
            if cancelled {
                self.pool.release(study.blocks());
            }
            !cancelled
        });
    }

    /// In the order they came; the first that has to wait makes the others wait, so that a long
    /// prompt cannot be overtaken for ever.
    fn admit(&mut self) {
        while self.running.len() < MAX_RUNNING {
            let Some(mut sequence) = self.waiting.pop_front() else { return };
            if self.is_worth_waiting(&sequence) || !sequence.reserve(&mut self.pool) {
                self.waiting.push_front(sequence);
                return;
            }
            self.running.push(sequence);
        }
    }

    /// Whether a running sequence is about to compute blocks that this one could share: it comes
    /// cheaper later. This is how the answers to one prompt read it only once.
    fn is_worth_waiting(&self, sequence: &Sequence) -> bool {
        let now = self.pool.count_shared(sequence.shareable());
        let soon = self.running.iter().map(|other| other.will_share(sequence.shareable())).max();
        soon.is_some_and(|soon| soon > now)
    }

    fn plan(&mut self) -> (Batch, Vec<Share>) {
        let mut batch = Batch::default();
        let mut shares = Vec::new();
        let mut prompt_rows = PREFILL_CHUNK;
        let mut prompt_outputs = OUTPUT_CHUNK;
        let ready = |sequence: &&Sequence| sequence.is_decoding() && !sequence.mailbox.is_full();
        let decoding = self.running.iter().filter(ready).count();
        let mut guesses = OUTPUT_CHUNK.saturating_sub(decoding);
        for (index, sequence) in self.running.iter_mut().enumerate() {
            if sequence.mailbox.is_full() {
                continue;
            }
            let rows = if sequence.is_decoding() {
                let rows = sequence.decode_step(guesses, decoding).len();
                guesses -= rows - 1;
                rows
            } else {
                let wants_outputs = sequence.wants_prompt_outputs();
                let most =
                    if wants_outputs { prompt_rows.min(prompt_outputs) } else { prompt_rows };
                let rows = sequence.next_tokens(most).len();
                prompt_rows -= rows;
                prompt_outputs -= if wants_outputs { rows } else { 0 };
                rows
            };
            if rows == 0 {
                continue;
            }
            let outputs = sequence.outputs(rows);
            shares.push(Share { sequence: index, rows, outputs: outputs.len() });
            batch.push(sequence.next_tokens(rows), sequence.computed(), sequence.blocks(), outputs);
        }
        (batch, shares)
    }

    /// Gives every sequence of a pass its logits, and lets go of those that are complete.
    fn hand_out(&mut self, shares: &[Share], result: Result<()>) {
        let mut logits = self.logits.as_slice();
        let company = self.running.iter().filter(|sequence| sequence.is_decoding()).count();
        let mut ended = Vec::new();
        for share in shares {
            let sequence = &mut self.running[share.sequence];
            let outcome = match &result {
                Err(error) => Err(error.clone()),
                Ok(()) => {
                    let (own, rest) = logits.split_at(share.outputs * self.desk.vocab_size);
                    logits = rest;
                    sequence.advance(share.rows, own, company, &mut self.pool, &mut self.desk)
                }
            };
            match outcome {
                Ok(None) => continue,
                Ok(Some(reason)) => sequence.mailbox.finish(sequence.done(reason)),
                Err(error) => sequence.mailbox.fail(error),
            }
            ended.push(share.sequence);
        }
        for index in ended.into_iter().rev() {
            let sequence = self.running.remove(index);
            self.pool.release(sequence.blocks());
        }
    }

    /// One chunk of the oldest study, if it has its blocks.
    fn study(&mut self) -> bool {
        let Some(study) = self.studies.front_mut() else { return false };
        if study.blocks().is_empty() {
            return false;
        }
        if study.step(self.model.as_mut()) {
            let study = self.studies.pop_front().expect("the study that just ran");
            self.pool.release(study.blocks());
        }
        true
    }
}

#[cfg(test)]
mod tests;
