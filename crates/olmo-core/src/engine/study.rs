//! One cold pass over a text, keeping every logit and what else was asked for.

use super::request::{ForwardOptions, ForwardOutput};
use super::{OUTPUT_CHUNK, PREFILL_CHUNK};
use crate::cache::{blocks_for, BlockPool};
use crate::config::ModelConfig;
use crate::error::Hint;
use crate::memory::check_available;
use crate::model::{Model, Probe};
use crate::ops::Batch;
use crate::{Error, Result};

pub(super) struct Study {
    ids: Vec<u32>,
    options: ForwardOptions,
    blocks: Vec<u32>,
    computed: usize,
    logits: Vec<f32>,
    output: ForwardOutput,
    reply: async_channel::Sender<Result<ForwardOutput>>,
}

impl Study {
    /// Makes room for the whole result, so that it cannot run out of memory half way.
    pub fn new(
        ids: Vec<u32>,
        options: ForwardOptions,
        config: &ModelConfig,
        reply: async_channel::Sender<Result<ForwardOutput>>,
    ) -> Result<Study> {
        let n = ids.len();
        let states = if options.hidden_states { config.layers.len() + 1 } else { 0 };
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
            hidden_states: vec![Vec::new(); states],
            attentions: options.attentions.iter().map(empty_attention).collect(),
        };
        Ok(Study {
            ids,
            options,
            blocks: Vec::new(),
            computed: 0,
            logits: Vec::new(),
            output,
            reply,
        })
    }

    /// Whether nobody waits for the result any more.
    pub fn is_cancelled(&self) -> bool {
        self.reply.receiver_count() == 0
    }

    pub fn blocks(&self) -> &[u32] {
        &self.blocks
    }

    /// Takes the blocks it needs, once. False if there are not enough now.
    pub fn reserve(&mut self, pool: &mut BlockPool) -> bool {
        if self.blocks.is_empty() {
            match pool.take(blocks_for(self.ids.len())) {
                Some(blocks) => self.blocks = blocks,
                None => return false,
            }
        }
        true
    }

    /// Computes the next chunk. True when the study is over and has replied.
    pub fn step(&mut self, model: &mut dyn Model) -> bool {
        // Rows without logits take little room, so more of them go at once.
        let silent = self.options.logits_from.saturating_sub(self.computed);
        let most = if silent > 0 { silent.min(PREFILL_CHUNK) } else { OUTPUT_CHUNK };
        let end = self.ids.len().min(self.computed + most);
        let tokens = &self.ids[self.computed..end];
        let outputs = if silent > 0 { 0..0 } else { 0..tokens.len() };
        let mut batch = Batch::default();
        batch.push(tokens, self.computed, &self.blocks, outputs);
        let mut collector = Collector {
            options: &self.options,
            output: &mut self.output,
            start: self.computed,
            end,
            positions: self.ids.len(),
        };
        if let Err(error) = model.forward(&batch, &mut collector, &mut self.logits) {
            self.reply(Err(error));
            return true;
        }
        self.output.logits.extend_from_slice(&self.logits);
        self.computed = end;
        if end < self.ids.len() {
            return false;
        }
        let output = std::mem::take(&mut self.output);
        self.reply(Ok(output));
        true
    }

    pub fn fail(&self, error: Error) {
        self.reply(Err(error));
    }

    fn reply(&self, result: Result<ForwardOutput>) {
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
    fn wants_hidden(&self) -> bool {
        self.options.hidden_states
    }

    fn hidden(&mut self, index: usize, values: &[f32]) {
        self.output.hidden_states[index].extend_from_slice(values);
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
