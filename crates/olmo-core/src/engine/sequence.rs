//! One answer on its way: its tokens, its part of the cache, and how logits become events.
//!
//! The tokens are what a sequence is; what it has in the cache can be taken from it at any time
//! between two passes and computed again. Everything that was said to its reader stays said: sampler,
//! text and counts go on from where they were.

mod clock;
mod late;
mod plan;

use std::sync::Arc;

use clock::Clock;
use late::Late;

use super::call::{Call, Goal};
use super::lookup::Lookup;
use super::outputs::Rows;
use super::request::{Event, FinishReason, Usage};
use super::share::Share;
use crate::cache::{BlockPool, KvClaim};
use crate::sampling::{
    are_sound, Context, GenerationOptions, LogSoftmax, Sampler, Scores, TokenLogprob, TopWanted,
};
use crate::text::TextOut;
use crate::{Error, Result};

/// Working memory for turning logits into tokens, shared by all sequences.
pub(super) struct Scratch {
    pub vocab_size: usize,
    /// The dtype the model runs in, for messages.
    pub dtype: &'static str,
    pub scores: Scores,
    pub buffer: Vec<f32>,
}

pub(super) struct Sequence {
    call: Arc<Call>,
    /// Which of the call's answers this is.
    index: usize,
    /// Its turn among all sequences: lower is older.
    pub turn: u64,
    /// Prompt, then answer.
    tokens: Vec<u32>,
    prompt_len: usize,
    /// The first position whose logits are still wanted.
    next_output: usize,
    prompt_logprobs: Vec<TokenLogprob>,
    cache: KvClaim,
    /// Tokens that were in the cache when it was first admitted.
    cached: usize,
    /// None if the prompt is only read.
    writer: Option<Writer>,
    /// The tokens of the next decode step: the last of the text, then guesses at what follows it.
    step: Vec<u32>,
    /// What a pass computed that waits for the tokens that may come next.
    late: Option<Late>,
    clock: Clock,
}

/// What it takes to add to a text.
struct Writer {
    sampler: Sampler,
    lookup: Option<Lookup>,
    text: TextOut,
}

impl Sequence {
    /// Answer `index` of a call, with the blocks [`Sequence::claim_first`] took for it.
    pub fn new(call: Arc<Call>, index: usize, cache: KvClaim, turn: u64) -> Sequence {
        let tokens = call.prompt(index).to_vec();
        let prompt_len = tokens.len();
        let mut prompt_logprobs = Vec::new();
        if call.goal.prompt_logprobs_from(index) == Some(0) {
            prompt_logprobs.push(TokenLogprob { id: tokens[0], logprob: None, top: Vec::new() });
        }
        let writer = match &call.goal {
            Goal::Generate(options) if options.max_new_tokens > 0 => {
                Some(Writer::new(&call, options, index))
            }
            _ => None,
        };
        Sequence {
            next_output: call.first_output(index),
            call,
            index,
            turn,
            tokens,
            prompt_len,
            prompt_logprobs,
            cached: cache.computed(),
            cache,
            writer,
            step: Vec::new(),
            late: None,
            clock: Clock::start(),
        }
    }

    /// The blocks that answer `index` of a call begins with: those of its prompt and one token. None
    /// if there are not enough.
    pub fn claim_first(call: &Call, index: usize, pool: &mut BlockPool) -> Option<KvClaim> {
        let prompt = call.prompt(index);
        call.claim(pool, &prompt[..call.first_output(index)], prompt.len())
    }

    /// Takes the blocks again for what it has by now. False if there are not enough.
    pub fn readmit(&mut self, pool: &mut BlockPool) -> bool {
        // No logits of these tokens are wanted any more, so they may come from the cache.
        match self.call.claim(pool, &self.tokens[..self.next_output], self.tokens.len()) {
            Some(cache) => self.cache = cache,
            None => return false,
        }
        true
    }

    /// Gives all blocks back: what was computed is to be computed again, as far as it cannot be
    /// shared.
    pub fn release(&mut self, pool: &mut BlockPool) {
        self.late = None;
        self.cache.release(pool);
    }

    pub fn call(&self) -> &Arc<Call> {
        &self.call
    }

    /// Whether its reader has to read before it goes on.
    pub fn is_paused(&self) -> bool {
        self.call.mailbox.is_full()
    }

    pub fn is_of(&self, call: &Arc<Call>) -> bool {
        Arc::ptr_eq(&self.call, call)
    }

    /// Tokens of another prompt's beginning that this sequence, still reading, will have computed before
    /// long.
    pub fn will_share(&self, other: &[u32]) -> usize {
        // One whose reader has paused may never get there.
        if self.is_decoding() || self.is_paused() {
            return 0;
        }
        self.tokens.iter().zip(other).take_while(|(a, b)| a == b).count()
    }

    /// Whether the next step is a single generated token.
    pub fn is_decoding(&self) -> bool {
        self.cache.computed() + 1 == self.tokens.len() && self.cache.computed() >= self.prompt_len
    }

    /// The most tokens there can be, prompt and answer together.
    fn limit(&self) -> usize {
        let most = self.prompt_len.saturating_add(self.call.goal.max_new_tokens());
        most.min(self.call.context)
    }

    /// Whether it can come to need more blocks than it has.
    pub fn can_grow(&self) -> bool {
        self.cache.capacity() < self.limit()
    }

    /// Takes the block that the next row needs, if any. False if there is none.
    pub fn make_room(&mut self, pool: &mut BlockPool) -> bool {
        self.cache.grow(pool, self.cache.computed() + 1)
    }

    /// What is enough of the logits of its next rows, if not all are needed.
    pub fn wanted(&self) -> Option<TopWanted> {
        let (Some(writer), Goal::Generate(options)) = (&self.writer, &self.call.goal) else {
            return None;
        };
        let is_next = self.next_output + 1 == self.tokens.len();
        if !is_next || tells_logprobs(options) {
            return None;
        }
        writer.sampler.wanted()
    }

    /// Takes in what a pass computed: a share's rows, with those of their logits that are wanted. Returns
    /// why the answer is complete, if it is.
    fn take_now(
        &mut self,
        share: Share,
        rows: &mut Rows<'_>,
        pool: &mut BlockPool,
        scratch: &mut Scratch,
    ) -> Result<Option<FinishReason>> {
        if share.decodes() {
            return self.take_step(&share, rows, pool, scratch);
        }
        self.cache.advance(pool, share.rows(), &self.tokens);
        for row in 0..rows.len() {
            let position = self.next_output;
            if self.call.goal.is_judge() && !are_sound(rows.logits(row)?) {
                self.prompt_logprobs.clear();
                self.report_prompt();
                return Ok(Some(FinishReason::Abort));
            }
            check_whole(rows, row, position, scratch)?;
            if position + 1 == self.tokens.len() {
                return self.next_token(rows, row, scratch);
            }
            let id = self.tokens[position + 1];
            let described = self.describe(id, rows.logits(row)?, scratch);
            self.prompt_logprobs.push(described);
            self.next_output += 1;
        }
        Ok(None)
    }

    /// [`Sequence::take`] of a decode step: the logits after its first token count, and those after
    /// each guess that was right. What the cache got of wrong guesses is written over.
    fn take_step(
        &mut self,
        share: &Share,
        rows: &mut Rows<'_>,
        pool: &mut BlockPool,
        scratch: &mut Scratch,
    ) -> Result<Option<FinishReason>> {
        let (mut finish, mut right) = (None, 0);
        for row in 0..rows.len() {
            check_whole(rows, row, self.next_output, scratch)?;
            self.cache.advance(pool, 1, &self.tokens);
            finish = self.next_token(rows, row, scratch)?;
            if finish.is_some() || self.step[..share.rows()].get(row + 1) != self.tokens.last() {
                break;
            }
            right += 1;
        }
        if let Some(lookup) = self.writer.as_mut().and_then(|writer| writer.lookup.as_mut()) {
            lookup.learn(share.rows() - 1, right, share.concurrent());
        }
        Ok(finish)
    }

    fn describe(&self, id: u32, logits: &[f32], scratch: &mut Scratch) -> TokenLogprob {
        LogSoftmax::new(logits).token(id, self.call.goal.top_logprobs(), &mut scratch.buffer)
    }

    /// What the logits after the last token lead to: the prompt's report, then one more token.
    fn next_token(
        &mut self,
        rows: &mut Rows<'_>,
        row: usize,
        scratch: &mut Scratch,
    ) -> Result<Option<FinishReason>> {
        if self.tokens.len() == self.prompt_len {
            if let next @ [_, ..] = self.call.goal.next(self.index) {
                let softmax = LogSoftmax::new(rows.logits(row)?);
                let judged = next.iter().map(|&id| softmax.token(id, 0, &mut scratch.buffer));
                self.prompt_logprobs.extend(judged);
            }
            self.report_prompt();
        }
        let (Some(writer), Goal::Generate(options)) = (&mut self.writer, &self.call.goal) else {
            return Ok(Some(FinishReason::Length));
        };
        let context = Context { ids: &self.tokens, prompt_length: self.prompt_len };
        let id = writer.choose(&context, rows, row, scratch)?;
        let is_complete = writer.sampler.accept(id)?;
        let token = match tells_logprobs(options) {
            true => self.describe(id, rows.logits(row)?, scratch),
            false => TokenLogprob { id, logprob: None, top: Vec::new() },
        };
        self.next_output = self.tokens.len();
        self.tokens.push(id);
        self.clock.note_token();
        let (text, finish) = self.write(id, is_complete)?;
        self.call.mailbox.send(Event::Token { index: self.index, text, token });
        Ok(finish)
    }

    /// The text that is certain with the newest token, and why the answer ends with it, if it does;
    /// `is_complete` if no other may follow.
    fn write(&mut self, id: u32, is_complete: bool) -> Result<(String, Option<FinishReason>)> {
        let (Some(writer), Goal::Generate(options)) = (&mut self.writer, &self.call.goal) else {
            return Ok((String::new(), None));
        };
        let matched = writer.text.push(id)?;
        let finish = if matched.stopped {
            Some(FinishReason::Stop)
        } else if is_complete || options.eos_token_ids.contains(&id) {
            Some(FinishReason::Eos)
        } else if self.tokens.len() - self.prompt_len >= options.max_new_tokens {
            Some(FinishReason::Length)
        } else if self.tokens.len() >= self.call.context {
            Some(FinishReason::Context)
        } else {
            None
        };
        let mut text = matched.emit;
        if finish.is_some() && !matched.stopped {
            text += &writer.text.finish()?;
        }
        Ok((text, finish))
    }

    fn report_prompt(&mut self) {
        if self.call.goal.prompt_logprobs_from(self.index).is_some() {
            let tokens = std::mem::take(&mut self.prompt_logprobs);
            self.call.mailbox.send(Event::Prompt { index: self.index, tokens });
        }
    }

    /// Tells the reader of an answer's end, by what came of its logits. False if it goes on.
    pub fn ends(&self, outcome: Result<Option<FinishReason>>) -> bool {
        match outcome {
            Ok(None) => return false,
            Ok(Some(reason)) => self.finish(reason),
            Err(error) => self.call.mailbox.fail(error),
        }
        true
    }

    /// Sends the last event of a complete answer.
    pub fn finish(&self, finish_reason: FinishReason) {
        self.call.mailbox.finish(Event::Done {
            index: self.index,
            finish_reason,
            usage: Usage {
                prompt_tokens: self.prompt_len,
                cached_tokens: self.cached,
                generated_tokens: self.tokens.len() - self.prompt_len,
            },
            timings: self.clock.timings(self.call.mailbox.since),
        });
    }
}

impl Writer {
    fn new(call: &Call, options: &GenerationOptions, index: usize) -> Writer {
        let lookup = match options.prompt_lookup_num_tokens {
            0 => None,
            most => {
                let agreement = options.max_matching_ngram_size;
                Some(Lookup::new(most, agreement, call.prompt(index).len()))
            }
        };
        Writer { sampler: call.sampler(options, index), lookup, text: call.text(options, index) }
    }

    /// The token that a row leads to: by its largest logits, if they are enough.
    fn choose(
        &mut self,
        context: &Context,
        rows: &mut Rows<'_>,
        row: usize,
        scratch: &mut Scratch,
    ) -> Result<u32> {
        if let Some(top) = rows.top(row) {
            let chosen = self.sampler.next_from_top(context, top, &mut scratch.scores);
            if let Some(id) = chosen {
                return Ok(id);
            }
            check_sound(rows.logits(row)?, context.ids.len() - 1, scratch)?;
        }
        self.sampler.next(context, rows.logits(row)?, &mut scratch.scores)
    }
}

/// Whether events have the log-probabilities of generated tokens.
fn tells_logprobs(options: &GenerationOptions) -> bool {
    options.logprobs || options.top_logprobs > 0
}

/// [`check_sound`] of a row that came whole.
fn check_whole(rows: &mut Rows<'_>, row: usize, position: usize, scratch: &Scratch) -> Result<()> {
    match rows.top(row) {
        Some(_) => Ok(()),
        None => check_sound(rows.logits(row)?, position, scratch),
    }
}

fn check_sound(logits: &[f32], position: usize, scratch: &Scratch) -> Result<()> {
    match are_sound(logits) {
        true => Ok(()),
        false => Err(Error::NonFiniteLogits { position, dtype: scratch.dtype }),
    }
}
