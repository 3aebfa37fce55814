//! One cold pass over a text, keeping what was asked for.

use super::call::Place;
use super::request::{ForwardOptions, ForwardOutput};
use crate::cache::{BlockPool, KvClaim};
use crate::config::ModelConfig;
use crate::error::Hint;
use crate::limits::Limits;
use crate::memory::check_available;
use crate::model::{Model, Probe};
use crate::ops::Batch;
use crate::{Error, Result};

/// A forward request on its way.
pub(super) struct ForwardRequest {
    ids: Vec<u32>,
    options: ForwardOptions,
    cache: Option<KvClaim>,
    computed: usize,
    logits: Vec<f32>,
    output: ForwardOutput,
    place: Place,
    reply: async_channel::Sender<Result<ForwardOutput>>,
}

impl ForwardRequest {
    /// Makes room for the whole result, so that it cannot run out of memory half way.
    pub fn new(
        ids: Vec<u32>,
        options: ForwardOptions,
        config: &ModelConfig,
        place: Place,
        reply: async_channel::Sender<Result<ForwardOutput>>,
    ) -> Result<ForwardRequest> {
        let n = ids.len();
        let states = options.hidden_states.len();
        let per_attention = config.num_attention_heads * n * n;
        let logits = n.saturating_sub(options.logits_from) * config.vocab_size;
        let elements =
            logits + states * n * config.hidden_size + options.attentions.len() * per_attention;
        check_available(
            elements as u64,
            &format!("what is asked of {n} tokens"),
            Hint::ShorterText,
        )?;

        let empty_attention = |&layer: &usize| (layer, vec![0.0; per_attention]);
        let output = ForwardOutput {
            logits: Vec::with_capacity(logits),
            hidden_states: (0..states)
                .map(|_| Vec::with_capacity(n * config.hidden_size))
                .collect(),
            attentions: options.attentions.iter().map(empty_attention).collect(),
        };
        Ok(ForwardRequest {
            ids,
            options,
            cache: None,
            computed: 0,
            logits: Vec::new(),
            output,
            place,
            reply,
        })
    }

    /// Whether nobody waits for the result any more.
    pub fn is_cancelled(&self) -> bool {
        self.reply.receiver_count() == 0
    }

    /// Whether it has its blocks of the cache, and can run.
    pub fn is_admitted(&self) -> bool {
        self.cache.is_some()
    }

    /// Tokens that are still to be read.
    pub fn left(&self) -> usize {
        self.ids.len() - self.computed
    }

    /// Takes the blocks of the whole text, once: what a pass shows cannot be shown again, so none is
    /// ever taken away. False if there are not enough now.
    pub fn admit(&mut self, pool: &mut BlockPool) -> bool {
        if self.cache.is_none() {
            self.cache = KvClaim::new(pool, &[], self.ids.len());
        }
        self.is_admitted()
    }

    pub fn release(&mut self, pool: &mut BlockPool) {
        if let Some(mut cache) = self.cache.take() {
            cache.release(pool);
        }
    }

    /// Computes the next chunk, if it was admitted. True when the request is complete and has its
    /// reply.
    pub fn step(&mut self, model: &mut dyn Model, limits: &Limits) -> bool {
        let Some(cache) = &self.cache else { return false };
        // Rows without logits take little room, so more of them go at once.
        let start = self.computed;
        let first = self.options.logits_from.max(start);
        let most = first.saturating_add(limits.logits_chunk).min(start + limits.prefill_chunk);
        let end = self.ids.len().min(most);
        let tokens = &self.ids[start..end];
        let outputs = first.min(end) - start..tokens.len();
        let mut batch = Batch::default();
        batch.push(tokens, start, cache.blocks(), outputs);
        let mut collector = Collector {
            options: &self.options,
            output: &mut self.output,
            start,
            end,
            positions: self.ids.len(),
        };
        if let Err(error) = model.forward(&batch, &mut collector, &mut self.logits) {
            self.fail(error);
            return true;
        }
        self.output.logits.extend_from_slice(&self.logits);
        self.computed = end;
        if end < self.ids.len() {
            return false;
        }
        let output = std::mem::take(&mut self.output);
        self.answer(Ok(output));
        true
    }

    pub fn fail(&self, error: Error) {
        self.answer(Err(error));
    }

    fn answer(&self, result: Result<ForwardOutput>) {
        self.place.leave();
        // The asker may have gone; then nobody misses the reply.
        let _ = self.reply.try_send(result);
    }
}

/// Lays the chunks' numbers together into those of the whole text.
struct Collector<'a> {
    options: &'a ForwardOptions,
    output: &'a mut ForwardOutput,
    start: usize,
    end: usize,
    positions: usize,
}

impl Probe for Collector<'_> {
    fn wants_hidden(&self, index: usize) -> bool {
        self.options.hidden_states.contains(&index)
    }

    fn hidden(&mut self, index: usize, values: &[f32]) {
        for (wanted, states) in
            self.options.hidden_states.iter().zip(&mut self.output.hidden_states)
        {
            if *wanted == index {
                states.extend_from_slice(values);
            }
        }
    }

    fn wants_attention(&self, layer: usize) -> bool {
        self.options.attentions.contains(&layer)
    }

    fn attention(&mut self, layer: usize, probabilities: &[f32]) {
        let (rows, n) = (self.end - self.start, self.positions);
        for (_, whole) in self.output.attentions.iter_mut().filter(|(l, _)| *l == layer) {
            for (i, row) in probabilities.chunks_exact(self.end).enumerate() {
                let (head, position) = (i / rows, self.start + i % rows);
                whole[(head * n + position) * n..][..self.end].copy_from_slice(row);
            }
        }
    }
}
