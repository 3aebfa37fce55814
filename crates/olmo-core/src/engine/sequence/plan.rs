//! Which rows of a sequence go into the next pass.

use super::Sequence;
use crate::cache::BlockPool;
use crate::engine::share::{Budget, Share};
use crate::ops::Batch;

impl Sequence {
    /// Tokens that are to be computed before the next is generated.
    pub fn left_to_read(&self) -> usize {
        self.tokens.len() - self.cache.computed()
    }

    /// What it computes in the next pass, within the budget and the room it has or finds. None if
    /// that is nothing.
    pub fn plan(&mut self, budget: &mut Budget, pool: &mut BlockPool) -> Option<Share> {
        let computed = self.cache.computed();
        let decodes = self.is_decoding();
        let rows = match decodes {
            true => self.plan_step(budget, pool),
            false => self.plan_prompt(budget),
        };
        let rows = rows.min(self.cache.capacity() - computed);
        if rows == 0 {
            return None;
        }
        let outputs = (computed + rows).saturating_sub(self.next_output);
        match decodes {
            true => budget.guesses -= rows - 1,
            false => {
                budget.prompt_rows -= rows;
                budget.prompt_outputs -= if self.wants_prompt_outputs() { outputs } else { 0 };
            }
        }
        Some(Share::new(rows, outputs, decodes, budget.concurrent))
    }

    /// One token, and guesses at those after it.
    fn plan_step(&mut self, budget: &Budget, pool: &mut BlockPool) -> usize {
        self.step.clear();
        self.step.extend(self.tokens.last());
        // The step brings one token more than it guesses, and there is room up to the limit.
        let room = (self.limit() - self.tokens.len()).saturating_sub(1);
        if let Some(lookup) = self.writer.as_mut().and_then(|writer| writer.lookup.as_mut()) {
            let most = room.min(budget.guesses);
            self.step.extend(lookup.guess(&self.tokens, most, budget.concurrent));
            // Guesses take free blocks, but never another's.
            self.cache.grow(pool, self.cache.computed() + self.step.len());
            self.step.truncate((self.cache.capacity() - self.cache.computed()).max(1));
        }
        self.step.len()
    }

    fn plan_prompt(&self, budget: &Budget) -> usize {
        let computed = self.cache.computed();
        let most = match self.wants_prompt_outputs() {
            true => self.next_output.saturating_sub(computed) + budget.prompt_outputs,
            false => usize::MAX,
        };
        most.min(budget.prompt_rows).min(self.left_to_read())
    }

    /// Whether rows of the prompt, beside the last, have to give logits.
    pub fn wants_prompt_outputs(&self) -> bool {
        self.next_output + 1 < self.prompt_len
    }

    /// Appends the rows of a share to a batch.
    pub fn push(&self, share: &Share, batch: &mut Batch) {
        let computed = self.cache.computed();
        let tokens = match share.decodes() {
            true => &self.step[..share.rows()],
            false => &self.tokens[computed..computed + share.rows()],
        };
        let outputs = share.rows() - share.outputs()..share.rows();
        batch.push(tokens, computed, self.cache.blocks(), outputs);
    }
}
