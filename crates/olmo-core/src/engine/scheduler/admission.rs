//! Who gets blocks of the cache, and who has to give them back.

use std::sync::Arc;

use super::{QueuedCall, Scheduler};
use crate::cache::BLOCK_TOKENS;
use crate::engine::call::Call;
use crate::engine::sequence::Sequence;

impl Scheduler {
    /// Lets in what there is room for: a forward request, then sequences that were preempted, then
    /// new ones.
    ///
    /// A forward request waits for room only until what began before it ends: nothing new is let in
    /// before it.
    pub(super) fn admit(&mut self) {
        let forward_waits = !self.admit_forward();
        let all_in = self.readmit();
        if !forward_waits && (all_in || !self.is_any_stranded()) {
            self.admit_new(!all_in);
        }
    }

    /// Whether no forward request waits for its blocks.
    fn admit_forward(&mut self) -> bool {
        while let Some(request) = self.forwards.front_mut() {
            if request.admit(&mut self.pool) {
                break;
            }
            let Some(victim) = self.youngest_paused() else { return false };
            self.preempt(victim);
        }
        true
    }

    /// Takes up the preempted sequences whose readers read, oldest first. False if one has to wait.
    fn readmit(&mut self) -> bool {
        while let Some(index) = self.preempted.iter().position(|sequence| !sequence.is_paused()) {
            if !self.has_place() {
                return false;
            }
            if self.preempted[index].readmit(&mut self.pool) && self.is_roomy() {
                let sequence = self.preempted.remove(index).expect("the sequence found above");
                let place = self.running.partition_point(|other| other.turn < sequence.turn);
                self.running.insert(place, sequence);
            } else {
                self.preempted[index].release(&mut self.pool);
                let Some(victim) = self.youngest_paused() else { return false };
                self.preempt(victim);
            }
        }
        true
    }

    /// Begins new sequences: one of each call in turn, so that a call of many does not keep the
    /// others waiting; or only the first of each call. A call without any in work that does not fit
    /// makes those behind it wait, so that a long prompt cannot be overtaken for ever.
    fn admit_new(&mut self, only_first: bool) {
        let mut at = 0;
        while at < self.calls.len() {
            let QueuedCall { call, next } = &self.calls[at];
            let (call, index) = (call.clone(), *next);
            let first = !self.is_in_work(&call);
            let waits = call.mailbox.is_full() || (only_first && !first);
            if waits || self.is_worth_waiting(&call, index) {
                at += 1;
            } else if self.begin(&call, index, first) {
                let queued = self.calls.remove(at).expect("the call found above");
                if index + 1 < call.answers() {
                    self.calls.push_back(QueuedCall { next: index + 1, ..queued });
                }
            } else if first {
                return;
            } else {
                at += 1;
            }
        }
    }

    /// Begins an answer if it fits. Those whose readers pause make room for it; for the `first` of a
    /// call, so do calls with several in work.
    fn begin(&mut self, call: &Arc<Call>, index: usize, first: bool) -> bool {
        loop {
            let has_place = self.has_place();
            if has_place {
                if let Some(mut cache) = Sequence::claim_first(call, index, &mut self.pool) {
                    if self.is_roomy() {
                        self.turns += 1;
                        let sequence = Sequence::new(call.clone(), index, cache, self.turns);
                        self.running.push(sequence);
                        return true;
                    }
                    cache.release(&mut self.pool);
                }
            }
            let paused = if has_place { self.youngest_paused() } else { None };
            let crowding = || if first { self.youngest_of_several() } else { None };
            let Some(victim) = paused.or_else(crowding) else { return false };
            self.preempt(victim);
        }
    }

    /// Gives each sequence of the next pass, oldest first, the block that its next row needs. If
    /// there is none, paused sequences are preempted, then the youngest; a sequence without younger
    /// ones keeps what it has and waits.
    pub(super) fn make_room(&mut self) {
        let (mut at, mut runnable) = (0, 0);
        while at < self.running.len() && runnable < self.limits.max_num_seqs {
            let is_out = !self.running[at].is_runnable();
            if is_out || self.running[at].make_room(&mut self.pool) {
                runnable += usize::from(!is_out);
                at += 1;
                continue;
            }
            let youngest = Some(self.running.len() - 1).filter(|youngest| *youngest > at);
            let Some(victim) = self.youngest_paused().or(youngest) else { return };
            if victim == at {
                at += 1; // paused since it was asked
                continue;
            }
            self.preempt(victim);
            at -= usize::from(victim < at);
        }
    }

    /// Takes a sequence out of the cache. What it has in it stays until the room is needed.
    fn preempt(&mut self, index: usize) {
        let mut sequence = self.running.remove(index);
        sequence.release(&mut self.pool);
        let place = self.preempted.partition_point(|other| other.turn < sequence.turn);
        self.preempted.insert(place, sequence);
    }

    fn youngest_paused(&self) -> Option<usize> {
        self.running.iter().rposition(Sequence::is_paused)
    }

    /// The youngest sequence of a call that has another one running.
    fn youngest_of_several(&self) -> Option<usize> {
        (0..self.running.len()).rev().find(|&index| {
            let call = self.running[index].call();
            self.running[..index].iter().any(|other| other.is_of(call))
        })
    }

    /// Whether there is a block left for each running sequence that can come to need one, so that
    /// what is let in need not soon be preempted again.
    fn is_roomy(&self) -> bool {
        let growing = self.running.iter().filter(|sequence| sequence.can_grow()).count();
        self.pool.available() >= growing
    }

    /// Whether a preempted sequence whose reader reads is all that is in work of its call.
    fn is_any_stranded(&self) -> bool {
        let runs = |call| self.running.iter().any(|sequence| sequence.is_of(call));
        self.preempted.iter().any(|sequence| !sequence.is_paused() && !runs(sequence.call()))
    }

    /// Whether another sequence may run. Those that pause do not count.
    fn has_place(&self) -> bool {
        self.runnable().count() < self.limits.max_num_seqs
    }

    fn is_in_work(&self, call: &Arc<Call>) -> bool {
        self.running.iter().chain(&self.preempted).any(|sequence| sequence.is_of(call))
    }

    /// Whether a running sequence is about to compute so much that an answer could share that it comes
    /// cheaper later. This is how the answers to one prompt read it only once.
    fn is_worth_waiting(&self, call: &Call, index: usize) -> bool {
        let shareable = &call.prompt(index)[..call.first_output(index)];
        let copies = call.goal.copies_blocks();
        let will_share = |other: &Sequence| {
            let common = other.will_share(shareable);
            let is_copied = copies && other.call().goal.copies_blocks();
            if is_copied {
                common
            } else {
                common - common % BLOCK_TOKENS
            }
        };
        let soon = self.running.iter().map(will_share).max().unwrap_or(0);
        if soon == 0 {
            return false;
        }
        let (blocks, name) = self.pool.count_shared(shareable);
        let now = blocks * BLOCK_TOKENS;
        let next = if copies { self.pool.most_alike(name, &shareable[now..]) } else { None };
        let now = now + next.map_or(0, |(_, count)| count);
        let (gain, rest) = (soon.saturating_sub(now), shareable.len() - now);
        // A few tokens are not worth it, beside the place that the answer could have in this pass.
        gain >= BLOCK_TOKENS || gain > 0 && gain * 4 >= rest
    }
}
