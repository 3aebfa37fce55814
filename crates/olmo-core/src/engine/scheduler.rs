//! Which tokens of which requests run in the next pass.
//!
//! ```text
//! forever:
//!     drop what was cancelled
//!     admit sequences, a call in turn after another, while there are places and blocks for their prompts
//!     batch = one row of every decoding sequence (and its guesses) + a chunk of the prompts still being read
//!     logits = model(batch); every sequence turns its rows of them into tokens and events
//! ```
//!
//! A sequence takes blocks of the cache as it grows. When they run out, the sequences whose readers
//! pause are *preempted*, and then the youngest: their blocks are released, and what they held is
//! computed again when there is room. The oldest is never preempted while it can run, so a request that
//! fits into the cache ends.
//!
//! The oldest prompt is read first, but for half of the rows, which the one with the fewest tokens left may have. How
//! many rows of prompts go beside answers is a matter of time: see [`pace`].
//!
//! Sources: a batch that changes from pass to pass is Orca's iteration-level scheduling (Yu et al.,
//! "Orca: A Distributed Serving System for Transformer-Based Generative Models", 2022); blocks on
//! demand with preemption by recomputation is PagedAttention and vLLM (Kwon et al. 2023, section 4.5);
//! prompts in chunks beside decode steps is Sarathi-Serve (Agrawal et al. 2024).

mod admission;
mod kept;
mod pace;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use pace::Pace;

use super::call::Call;
use super::forward::ForwardRequest;
use super::mailbox::Mailbox;
use super::outputs::Outputs;
use super::request::FinishReason;
use super::sequence::{Scratch, Sequence};
use super::share::{Budget, Share};
use crate::cache::BlockPool;
use crate::limits::Limits;
use crate::model::Model;
use crate::ops::Batch;
use crate::sampling::{Scores, TopWanted};
use crate::{Error, Result};

/// What the time is.
pub(super) type Clock = Box<dyn Fn() -> Instant + Send>;

pub(super) struct Scheduler {
    model: Box<dyn Model>,
    limits: Limits,
    scratch: Scratch,
    pool: BlockPool,
    /// Calls with answers that have not begun; the first is the next whose turn it is.
    calls: VecDeque<QueuedCall>,
    /// Sequences with blocks of the cache, the oldest first.
    running: Vec<Sequence>,
    /// Sequences without, that had begun; the oldest first.
    preempted: VecDeque<Sequence>,
    forwards: VecDeque<ForwardRequest>,
    turns: u64,
    pace: Pace,
    now: Clock,
    /// Kept from pass to pass, for their memory.
    scheduled: Vec<ScheduledRows>,
    outputs: Outputs,
}

/// A call, and which of its answers is the next to begin.
struct QueuedCall {
    call: Arc<Call>,
    next: usize,
}

/// The rows of a batch that belong to one running sequence.
struct ScheduledRows {
    sequence: usize,
    share: Share,
    /// What is enough of their logits, if not all are needed.
    wanted: Option<TopWanted>,
}

impl Scheduler {
    pub fn new(
        model: Box<dyn Model>,
        vocab_size: usize,
        dtype: &'static str,
        blocks: usize,
        limits: Limits,
        now: Clock,
    ) -> Scheduler {
        Scheduler {
            model,
            limits,
            scratch: Scratch { vocab_size, dtype, scores: Scores::default(), buffer: Vec::new() },
            pool: BlockPool::new(blocks),
            calls: VecDeque::new(),
            running: Vec::new(),
            preempted: VecDeque::new(),
            forwards: VecDeque::new(),
            turns: 0,
            pace: Pace::new(),
            now,
            scheduled: Vec::new(),
            outputs: Outputs::new(vocab_size),
        }
    }

    pub fn add(&mut self, call: Call) {
        if call.answers() > 0 {
            self.calls.push_back(QueuedCall { call: Arc::new(call), next: 0 });
        }
    }

    pub fn add_forward(&mut self, request: ForwardRequest) {
        self.forwards.push_back(request);
    }

    /// Runs one pass. False if there is nothing to run until a new request comes, or a reader takes
    /// its events.
    pub fn step(&mut self) -> bool {
        self.drop_cancelled();
        self.end_stopped();
        self.take_late(false);
        self.admit();
        self.copy_blocks();
        self.make_room();
        let began = (self.now)();
        let bound = self.pace.prompt_rows(self.decoding());
        let (batch, most) = self.plan_within(bound);
        let (answers, prompt_rows) = self.count_scheduled();
        let generated = !self.scheduled.is_empty();
        if generated {
            let wanted = |rows: &ScheduledRows| (rows.share.outputs(), rows.wanted);
            let wanted = self.scheduled.iter().map(wanted);
            let result = self.outputs.compute(self.model.as_mut(), &batch, wanted);
            self.hand_out(result);
        }
        let shown = self.forward(most.map_or(self.limits.prefill_chunk, |most| most - prompt_rows));
        let seconds = (self.now)().duration_since(began).as_secs_f64();
        self.pace.note(answers, prompt_rows + shown, seconds);
        // With nothing else to do, the first of those that are late is waited for.
        generated || shown > 0 || self.take_late(true)
    }

    /// Ends every request with an error.
    pub fn fail_all(&mut self, error: &Error) {
        for queued in self.calls.drain(..) {
            queued.call.mailbox.fail(error.clone());
        }
        for sequence in self.preempted.drain(..).chain(self.running.drain(..)) {
            sequence.call().mailbox.fail(error.clone());
        }
        for request in self.forwards.drain(..) {
            request.fail(error.clone());
        }
    }

    /// Makes the copies that those who were admitted begin with. If one fails, so does every request.
    fn copy_blocks(&mut self) {
        let copies = self.pool.take_copies();
        let mut copies = copies.into_iter();
        let failed = copies.find_map(|copy| self.model.copy_block(copy.from, copy.into).err());
        let Some(error) = failed else { return };
        self.running.iter_mut().for_each(|sequence| sequence.release(&mut self.pool));
        self.forwards.iter_mut().for_each(|request| request.release(&mut self.pool));
        self.fail_all(&error);
    }

    fn drop_cancelled(&mut self) {
        // Asked once: it may be cancelled at any moment.
        let cancelled = |mailbox: &Mailbox| {
            let cancelled = mailbox.is_cancelled();
            if cancelled {
                mailbox.fail(Error::Cancelled);
            }
            cancelled
        };
        self.calls.retain(|queued| !cancelled(&queued.call.mailbox));
        self.preempted.retain(|sequence| !cancelled(&sequence.call().mailbox));
        self.running.retain_mut(|sequence| {
            let cancelled = cancelled(&sequence.call().mailbox);
            if cancelled {
                sequence.release(&mut self.pool);
            }
            !cancelled
        });
        self.forwards.retain_mut(|request| {
            let cancelled = request.is_cancelled();
            if cancelled {
                request.release(&mut self.pool);
            }
            !cancelled
        });
    }

    /// Ends the answers of calls that were stopped, with what there is of them.
    fn end_stopped(&mut self) {
        self.calls.retain(|QueuedCall { call, next }| {
            let stopped = call.mailbox.is_stopped();
            if stopped {
                (*next..call.answers()).for_each(|index| call.abort(index));
            }
            !stopped
        });
        let pool = &mut self.pool;
        let mut goes_on = |sequence: &mut Sequence| {
            let stopped = sequence.call().mailbox.is_stopped();
            if stopped {
                sequence.release(pool);
                sequence.finish(FinishReason::Abort);
            }
            !stopped
        };
        self.running.retain_mut(&mut goes_on);
        self.preempted.retain_mut(goes_on);
    }

    /// Forms the next batch with at most so many rows of prompts, if there is a bound. A forward request
    /// gets half of them. Also gives the bound that came to be in force.
    fn plan_within(&mut self, bound: Option<usize>) -> (Batch, Option<usize>) {
        let chunk = self.limits.prefill_chunk;
        if let Some(most) = bound.map(|most| most.min(chunk)) {
            let is_shared = self.forwards.front().is_some_and(ForwardRequest::is_admitted);
            let batch = self.plan(if is_shared { most / 2 } else { most });
            if !self.scheduled.is_empty() {
                return (batch, Some(most));
            }
            // Those whose tokens are waited for have no room in the cache.
        }
        (self.plan(chunk), None)
    }

    /// Forms the next batch, of the oldest sequences that can run. Their shares are in
    /// `self.scheduled`.
    fn plan(&mut self, prompt_rows: usize) -> Batch {
        let decoding = self.decoding();
        let quick = self.quickest_prompt(prompt_rows);
        let mut budget = Budget {
            prompt_rows: prompt_rows - quick.map_or(0, |(_, rows)| rows),
            prompt_outputs: self.limits.logits_chunk,
            guesses: self.limits.logits_chunk.saturating_sub(decoding),
            concurrent: decoding,
        };
        let mut batch = Batch::default();
        for (index, sequence) in self.running.iter_mut().enumerate() {
            if self.scheduled.len() == self.limits.max_num_seqs {
                break;
            }
            if !sequence.is_runnable() {
                continue;
            }
            if let Some((_, rows)) = quick.filter(|(quick, _)| *quick == index) {
                budget.prompt_rows += rows;
            }
            let Some(share) = sequence.plan(&mut budget, &mut self.pool) else { continue };
            sequence.push(&share, &mut batch);
            let wanted = sequence.wanted();
            self.scheduled.push(ScheduledRows { sequence: index, share, wanted });
        }
        batch
    }

    /// Answers with a token in the planned pass, and its rows of prompts.
    fn count_scheduled(&self) -> (usize, usize) {
        let shares = || self.scheduled.iter().map(|scheduled| &scheduled.share);
        let answers = shares().filter(|share| share.decodes()).count();
        (answers, shares().filter(|share| !share.decodes()).map(Share::rows).sum())
    }

    /// Sequences that the next pass may have a decode step of.
    fn decoding(&self) -> usize {
        self.runnable().filter(|sequence| sequence.is_decoding()).count()
    }

    /// The sequences that the next pass may have rows of.
    fn runnable(&self) -> impl Iterator<Item = &Sequence> {
        self.running.iter().filter(|sequence| sequence.is_runnable()).take(self.limits.max_num_seqs)
    }

    /// The prompt of which the fewest tokens are left to read, and the rows of prompts that are kept for it: half of
    /// them at most, so that the oldest is read on. Without that, a short one would wait for all of the long ones
    /// before it. One that is scored might not use the rows, as it is bounded by its logits too.
    fn quickest_prompt(&self, prompt_rows: usize) -> Option<(usize, usize)> {
        let is_ready = |(_, sequence): &(usize, &Sequence)| sequence.is_runnable();
        let runnable = self.running.iter().enumerate().filter(is_ready);
        let reading = runnable
            .take(self.limits.max_num_seqs)
            .filter(|(_, sequence)| !sequence.is_decoding() && !sequence.wants_prompt_outputs())
            .map(|(index, sequence)| (sequence.left_to_read(), index));
        let (left, index) = reading.min()?;
        Some((index, left.min(prompt_rows / 2)))
    }

    /// Gives every sequence of a pass its logits, and lets go of those that are complete.
    fn hand_out(&mut self, result: Result<()>) {
        let mut taken = 0;
        // Positions shift as sequences leave: a scheduled index is before those that follow it.
        let mut left = 0;
        for ScheduledRows { sequence: index, share, wanted } in self.scheduled.drain(..) {
            let sequence = &mut self.running[index - left];
            let outcome = match &result {
                Err(error) => Err(error.clone()),
                Ok(()) => {
                    let own = taken..taken + share.outputs();
                    taken = own.end;
                    let rows = self.outputs.rows(self.model.as_mut(), own, wanted.is_some());
                    rows.and_then(|mut rows| {
                        sequence.take(share, &mut rows, &mut self.pool, &mut self.scratch)
                    })
                }
            };
            if sequence.ends(outcome) {
                self.running.remove(index - left).release(&mut self.pool);
                left += 1;
            }
        }
    }

    /// Hands out what waited for the tokens that may come next, where they are known by now; or else, if nothing
    /// else is to be done, waits for the first. False if nobody is late.
    fn take_late(&mut self, waits: bool) -> bool {
        let mut waits = waits;
        let mut at = 0;
        let mut was_late = false;
        while at < self.running.len() {
            let sequence = &mut self.running[at];
            let is_due = sequence.is_late() && (waits || sequence.has_what_may_follow());
            at += 1;
            if !is_due {
                continue;
            }
            (waits, was_late) = (false, true);
            let outcome = sequence.take_late(&mut self.pool, &mut self.scratch);
            if sequence.ends(outcome) {
                at -= 1;
                self.running.remove(at).release(&mut self.pool);
            }
        }
        was_late
    }

    /// One chunk of the oldest forward request, if it is admitted. Gives the number of its rows.
    fn forward(&mut self, most: usize) -> usize {
        let Some(request) = self.forwards.front_mut() else { return 0 };
        if most == 0 || !request.is_admitted() {
            return 0;
        }
        let left = request.left();
        let limits = Limits { prefill_chunk: most, ..self.limits };
        if request.step(self.model.as_mut(), &limits) {
            request.release(&mut self.pool);
            self.forwards.pop_front();
            return left;
        }
        left - request.left()
    }
}

#[cfg(test)]
mod judge_tests;
#[cfg(test)]
mod late_tests;
#[cfg(test)]
mod pace_tests;
#[cfg(test)]
mod preemption_tests;
#[cfg(test)]
mod test_support;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod top_tests;
