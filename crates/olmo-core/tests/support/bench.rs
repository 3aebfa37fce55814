//! A model run by hand, and the reference tensors it is held against.

use std::collections::HashMap;

use olmo_core::cache::blocks_for;
use olmo_core::checkpoint::ModelSource;
use olmo_core::config::ModelConfig;
use olmo_core::model::{Model, NoProbe, Probe, Runtime};
use olmo_core::ops::Batch;
use olmo_core::ops::Study;
use olmo_core::shapes::weight_shapes;
use safetensors::{Dtype, SafeTensors};

use super::golden;

/// A golden `.safetensors` file: every tensor as f32, with its shape.
pub struct Reference(HashMap<String, (Vec<usize>, Vec<f32>)>);

impl Reference {
    pub fn read(file: &str) -> Reference {
        let bytes = std::fs::read(golden(file)).expect("golden file");
        let tensors = SafeTensors::deserialize(&bytes).expect("golden safetensors");
        let read = |(name, view): (String, safetensors::tensor::TensorView)| {
            let data = view.data();
            let values = match view.dtype() {
                Dtype::F32 => data
                    .chunks_exact(4)
                    .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
                    .collect(),
                Dtype::I64 => data
                    .chunks_exact(8)
                    .map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f32)
                    .collect(),
                Dtype::U32 | Dtype::I32 => data
                    .chunks_exact(4)
                    .map(|b| u32::from_le_bytes(b.try_into().unwrap()) as f32)
                    .collect(),
                other => panic!("{name} is {other:?}"),
            };
            (name, (view.shape().to_vec(), values))
        };
        Reference(tensors.tensors().into_iter().map(read).collect())
    }

    pub fn get(&self, name: &str) -> &[f32] {
        &self.0.get(name).unwrap_or_else(|| panic!("no golden tensor {name}")).1
    }

    pub fn ids(&self, name: &str) -> Vec<u32> {
        self.get(name).iter().map(|&id| id as u32).collect()
    }

    /// The prompt lengths it has: `p{n}.ids`.
    pub fn lengths(&self) -> Vec<usize> {
        let length = |name: &String| name.strip_prefix('p')?.strip_suffix(".ids")?.parse().ok();
        let mut lengths: Vec<usize> = self.0.keys().filter_map(length).collect();
        lengths.sort();
        lengths
    }
}

/// A golden checkpoint on some backend, driven without the engine.
pub struct Bench {
    pub config: ModelConfig,
    model: Box<dyn Model>,
    blocks: Vec<u32>,
}

impl Bench {
    pub fn new<O>(name: &str, ops: O) -> Bench
    where
        O: Study + Send + 'static,
        O::Tensor: Send,
        O::Matrix: Send,
        O::Vector: Send,
        O::Cache: Send,
    {
        let source = ModelSource::open(&golden(name)).expect("a golden model");
        let config = source.config().expect("golden config");
        let mut checkpoint = source.checkpoint().expect("golden weights");
        checkpoint.check(&weight_shapes(&config)).expect("golden weights fit");
        let count = blocks_for(config.max_position_embeddings);
        // Blocks in reverse, so that a backend that ignores the block table is found out.
        let blocks = (0..count as u32).rev().collect();
        let model =
            Runtime::load(ops, &config, &checkpoint, count, &mut |_| Ok(())).expect("loads");
        Bench { config, model: Box::new(model), blocks }
    }

    /// Logits `[ids, vocab]` of a text whose first `start` tokens are in the cache.
    pub fn forward(&mut self, ids: &[u32], start: usize, probe: &mut dyn Probe) -> Vec<f32> {
        let mut batch = Batch::default();
        batch.push(ids, start, &self.blocks, 0..ids.len());
        let mut logits = Vec::new();
        self.model.forward(&batch, probe, &mut logits).expect("forward");
        logits
    }

    /// The same in chunks of some size.
    pub fn forward_chunked(&mut self, ids: &[u32], chunk: usize) -> Vec<f32> {
        let mut start = 0;
        let mut logits = Vec::new();
        for ids in ids.chunks(chunk) {
            logits.extend(self.forward(ids, start, &mut NoProbe));
            start += ids.len();
        }
        logits
    }

    /// Greedy continuation, one cached step at a time.
    pub fn greedy(&mut self, ids: &[u32], count: usize) -> Vec<u32> {
        let vocab = self.config.vocab_size;
        let mut logits = self.forward(ids, 0, &mut NoProbe);
        let mut answer = Vec::new();
        loop {
            let last = &logits[logits.len() - vocab..];
            answer.push(argmax(last));
            if answer.len() == count {
                return answer;
            }
            let next = answer[answer.len() - 1..].to_vec();
            logits = self.forward(&next, ids.len() + answer.len() - 1, &mut NoProbe);
        }
    }
}

fn argmax(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (id, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = id;
        }
    }
    best as u32
}
