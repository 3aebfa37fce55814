//! One answer on its way: its tokens, its blocks of the cache, and how logits become events.

use std::sync::Arc;
use std::time::Instant;

use super::lookup::Lookup;
use super::mailbox::Mailbox;
use super::request::{Event, FinishReason, Timings, Usage};
use crate::cache::{blocks_for, BlockName, BlockPool, BLOCK_TOKENS};
use crate::sampling::{
    are_sound, Context, GenerationOptions, LogSoftmax, Sampler, Scores, TokenLogprob,
};
use crate::text::{Detokenizer, Matched, StopMatcher};
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

/// Working memory for turning logits into tokens, shared by all sequences.
pub(super) struct Desk {
    pub vocab_size: usize,
    /// The dtype the model runs in, for messages.
    pub dtype: &'static str,
    pub scores: Scores,
    pub buffer: Vec<f32>,
}

pub(super) struct Sequence {
    pub mailbox: Arc<Mailbox>,
    pub index: usize,
    options: Arc<GenerationOptions>,
    /// Prompt, then answer.
    tokens: Vec<u32>,
    prompt_len: usize,
    /// The most tokens there can be, prompt and answer together.
    limit: usize,
    context: usize,
    /// First prompt position whose logits are wanted.
    first_output: usize,
    prompt_logprobs: Vec<TokenLogprob>,

    blocks: Vec<u32>,
    /// Tokens whose keys and values are in the cache.
    computed: usize,
    cached: usize,
    sealed: usize,
    last_name: BlockName,

    sampler: Sampler,
    lookup: Option<Lookup>,
    /// The tokens of the next decode step: the last of the text, then guesses at what follows it.
    step: Vec<u32>,
    tokenizer: Arc<Tokenizer>,
    detokenizer: Detokenizer,
    stop: StopMatcher,

    started: Option<Instant>,
    first_token: Option<Instant>,
}

impl Sequence {
    pub fn new(
        mailbox: Arc<Mailbox>,
        index: usize,
        prompt: Vec<u32>,
        options: Arc<GenerationOptions>,
        sampler: Sampler,
        context: usize,
        tokenizer: &Arc<Tokenizer>,
    ) -> Sequence {
        let prompt_len = prompt.len();
        // Logits at position p speak of token p + 1.
        let first_output = match options.prompt_logprobs {
            true => options.prompt_logprobs_from.saturating_sub(1),
            false => prompt_len - 1,
        };
        let mut prompt_logprobs = Vec::new();
        if options.prompt_logprobs && options.prompt_logprobs_from == 0 {
            prompt_logprobs.push(TokenLogprob { id: prompt[0], logprob: None, top: Vec::new() });
        }
        let end_of_prompt = end_of_prompt(&prompt, &options.stop_strings, tokenizer);
        Sequence {
            mailbox,
            index,
            tokens: prompt,
            prompt_len,
            limit: prompt_len.saturating_add(options.max_new_tokens).min(context),
            context,
            first_output: first_output.min(prompt_len - 1),
            prompt_logprobs,
            blocks: Vec::new(),
            computed: 0,
            cached: 0,
            sealed: 0,
            last_name: BlockName::ROOT,
            sampler,
            lookup: match options.prompt_lookup_num_tokens {
                0 => None,
                most => Some(Lookup::new(most, options.max_matching_ngram_size, prompt_len)),
            },
            step: Vec::new(),
            tokenizer: tokenizer.clone(),
            detokenizer: Detokenizer::new(tokenizer.clone(), options.skip_special_tokens),
            stop: StopMatcher::new(&options.stop_strings, &end_of_prompt),
            options,
            started: None,
            first_token: None,
        }
    }

    /// Blocks this sequence can come to need.
    pub fn blocks_needed(&self) -> usize {
        blocks_for(self.limit)
    }

    /// The part of the prompt that may come from the cache: no logits of it are wanted.
    pub fn shareable(&self) -> &[u32] {
        &self.tokens[..self.first_output]
    }

    /// Whole blocks of another prompt's beginning that this sequence, still reading its own, will
    /// have computed before long.
    pub fn will_share(&self, other: &[u32]) -> usize {
        // One whose reader has paused may never get there.
        if self.is_decoding() || self.mailbox.is_full() {
            return 0;
        }
        let prompt = &self.tokens[..self.prompt_len];
        let common = prompt.iter().zip(other).take_while(|(a, b)| a == b).count();
        common / BLOCK_TOKENS
    }

    /// Takes all blocks this sequence can come to need, shared ones first. False if there are not
    /// enough: then nothing is taken.
    pub fn reserve(&mut self, pool: &mut BlockPool) -> bool {
        let (mut blocks, name) = pool.share(self.shareable());
        let Some(rest) = pool.take(self.blocks_needed() - blocks.len()) else {
            pool.release(&blocks);
            return false;
        };
        self.sealed = blocks.len();
        self.cached = blocks.len() * BLOCK_TOKENS;
        self.computed = self.cached;
        self.last_name = name;
        blocks.extend(rest);
        self.blocks = blocks;
        self.started = Some(Instant::now());
        true
    }

    pub fn blocks(&self) -> &[u32] {
        &self.blocks
    }

    pub fn computed(&self) -> usize {
        self.computed
    }

    /// Whether the next step is a single generated token.
    pub fn is_decoding(&self) -> bool {
        self.computed + 1 == self.tokens.len() && self.computed >= self.prompt_len
    }

    /// Whether rows of the prompt, beside the last, have to give logits.
    pub fn wants_prompt_outputs(&self) -> bool {
        self.first_output + 1 < self.prompt_len
    }

    /// The tokens of the next decode step: one, and up to `most` guesses in a pass that `company`
    /// sequences share.
    pub fn decode_step(&mut self, most: usize, company: usize) -> &[u32] {
        self.step.clear();
        self.step.extend(self.tokens.last());
        if let Some(lookup) = &mut self.lookup {
            // The step brings one token more than it guesses, and there is room up to the limit.
            let room = (self.limit - self.tokens.len()).saturating_sub(1);
            self.step.extend(lookup.guess(&self.tokens, room.min(most), company));
        }
        &self.step
    }

    /// The next tokens to compute, at most `count`: those of [`Sequence::decode_step`], or of the
    /// prompt.
    pub fn next_tokens(&self, count: usize) -> &[u32] {
        if self.is_decoding() {
            return &self.step[..self.step.len().min(count)];
        }
        let end = self.tokens.len().min(self.computed + count);
        &self.tokens[self.computed..end]
    }

    /// Which of the next `count` rows must give logits, as offsets among them.
    pub fn outputs(&self, count: usize) -> std::ops::Range<usize> {
        let first = self.first_output.max(self.computed);
        let end = self.computed + count;
        first.min(end) - self.computed..count
    }

    /// Takes in what a pass computed: `count` tokens, with the logits of [`Sequence::outputs`] of
    /// them, `[outputs, vocab]`. `company` sequences shared it. Returns why the answer is complete, if
    /// it is.
    pub fn advance(
        &mut self,
        count: usize,
        logits: &[f32],
        company: usize,
        pool: &mut BlockPool,
        desk: &mut Desk,
    ) -> Result<Option<FinishReason>> {
        if self.is_decoding() {
            return self.advance_step(logits, company, pool, desk);
        }
        let first = self.computed + self.outputs(count).start;
        self.computed += count;
        self.seal_blocks(pool);
        for (offset, logits) in logits.chunks_exact(desk.vocab_size).enumerate() {
            let position = first + offset;
            check_sound(logits, position, desk)?;
            if position + 1 == self.tokens.len() {
                return self.next_token(logits, desk);
            }
            let id = self.tokens[position + 1];
            self.prompt_logprobs.push(self.describe(id, logits, desk));
        }
        Ok(None)
    }

    /// [`Sequence::advance`] by a decode step: the logits after its first token count, and those
    /// after each guess that was right. What the cache got of wrong guesses is written over.
    fn advance_step(
        &mut self,
        logits: &[f32],
        company: usize,
        pool: &mut BlockPool,
        desk: &mut Desk,
    ) -> Result<Option<FinishReason>> {
        let (mut finish, mut right) = (None, 0);
        for (row, logits) in logits.chunks_exact(desk.vocab_size).enumerate() {
            check_sound(logits, self.computed, desk)?;
            self.computed += 1;
            self.seal_blocks(pool);
            finish = self.next_token(logits, desk)?;
            if finish.is_some() || self.step.get(row + 1) != self.tokens.last() {
                break;
            }
            right += 1;
        }
        if let Some(lookup) = &mut self.lookup {
            lookup.learn(self.step.len() - 1, right, company);
        }
        Ok(finish)
    }

    fn seal_blocks(&mut self, pool: &mut BlockPool) {
        while (self.sealed + 1) * BLOCK_TOKENS <= self.computed {
            let tokens = &self.tokens[self.sealed * BLOCK_TOKENS..][..BLOCK_TOKENS];
            self.last_name = pool.seal(self.last_name, self.blocks[self.sealed], tokens);
            self.sealed += 1;
        }
    }

    fn describe(&self, id: u32, logits: &[f32], desk: &mut Desk) -> TokenLogprob {
        LogSoftmax::new(logits).token(id, self.options.top_logprobs, &mut desk.buffer)
    }

    /// What the logits after the last token lead to: the prompt's report, then one more token.
    fn next_token(&mut self, logits: &[f32], desk: &mut Desk) -> Result<Option<FinishReason>> {
        if self.tokens.len() == self.prompt_len {
            self.report_prompt();
            if self.options.max_new_tokens == 0 {
                return Ok(Some(FinishReason::Length));
            }
        }
        let context = Context { ids: &self.tokens, prompt_length: self.prompt_len };
        let id = self.sampler.next(&context, logits, &mut desk.scores)?;
        let token = match self.options.logprobs || self.options.top_logprobs > 0 {
            true => self.describe(id, logits, desk),
            false => TokenLogprob { id, logprob: None, top: Vec::new() },
        };
        self.tokens.push(id);
        self.first_token.get_or_insert_with(Instant::now);

        let Matched { emit: mut text, stopped } = self.match_stop(id)?;
        let finish = self.finish_reason(id, stopped);
        if finish.is_some() && !stopped {
            text += &self.stop.push(&self.detokenizer.finish()?).emit;
            text += &self.stop.finish();
        }
        self.mailbox.send(Event::Token { index: self.index, text, token });
        Ok(finish)
    }

    /// The text that is certain with this token, and whether it completes a stop string.
    fn match_stop(&mut self, id: u32) -> Result<Matched> {
        let text = self.detokenizer.push(id)?;
        if self.options.skip_special_tokens && self.tokenizer.is_special(id) {
            return Ok(self.stop.push_hidden(&self.tokenizer.token_text(id).unwrap_or_default()));
        }
        Ok(self.stop.push(&text))
    }

    fn report_prompt(&mut self) {
        if self.options.prompt_logprobs {
            let tokens = std::mem::take(&mut self.prompt_logprobs);
            self.mailbox.send(Event::Prompt { index: self.index, tokens });
        }
    }

    fn finish_reason(&self, id: u32, stopped: bool) -> Option<FinishReason> {
        if stopped {
            Some(FinishReason::Stop)
        } else if self.options.eos_token_ids.contains(&id) {
            Some(FinishReason::Eos)
        } else if self.tokens.len() - self.prompt_len >= self.options.max_new_tokens {
            Some(FinishReason::Length)
        } else if self.tokens.len() >= self.context {
            Some(FinishReason::Context)
        } else {
            None
        }
    }

    /// The last event of a complete answer.
    pub fn done(&self, finish_reason: FinishReason) -> Event {
        let now = Instant::now();
        let started = self.started.unwrap_or(now);
        let first_token = self.first_token.unwrap_or(now);
        Event::Done {
            index: self.index,
            finish_reason,
            usage: Usage {
                prompt_tokens: self.prompt_len,
                cached_tokens: self.cached,
                generated_tokens: self.tokens.len() - self.prompt_len,
            },
            timings: Timings {
                queued: started - self.mailbox.since,
                prefill: first_token - started,
                decode: now - first_token,
            },
        }
    }
}

fn check_sound(logits: &[f32], position: usize, desk: &Desk) -> Result<()> {
    match are_sound(logits) {
        true => Ok(()),
        false => Err(Error::NonFiniteLogits { position, dtype: desk.dtype }),
    }
}

/// As much of the prompt's text as a stop string could begin in: no token is shorter than a byte.
fn end_of_prompt(prompt: &[u32], stop_strings: &[String], tokenizer: &Tokenizer) -> String {
    let longest = stop_strings.iter().map(String::len).max().unwrap_or(0);
    let end = &prompt[prompt.len() - longest.min(prompt.len())..];
    // An id without a token has no text to match either.
    tokenizer.decode(end, false).unwrap_or_default()
}
