//! Random weights in temporary folders, for the tests and the benchmark of the CPU engine.

#![allow(dead_code, unused_imports)] // not every test uses all of it

#[path = "../support/compare.rs"]
mod compare;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use half::{bf16, f16};
use olmo_core::config::ModelConfig;
use olmo_core::dtype::{DType, TensorType};
use olmo_core::model::{Model, NoProbe};
use olmo_core::ops::{Batch, Ops};
use olmo_core::precision::Scheme;
use olmo_core::shapes::weight_shapes;
use olmo_core::weights::Checkpoint;
use safetensors::tensor::{Dtype, TensorView};

pub use compare::max_difference;

/// SplitMix64 (Steele et al., 2014).
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between -1 and 1.
    pub fn number(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub fn numbers(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.number()).collect()
    }

    pub fn tokens(&mut self, count: usize, vocab: usize) -> Vec<u32> {
        (0..count).map(|_| (self.bits() % vocab as u64) as u32).collect()
    }
}

/// A temporary folder that goes away with this.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("olmo2-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub struct Weight {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

pub fn weight(name: &str, shape: &[usize], values: Vec<f32>) -> Weight {
    Weight { name: name.into(), shape: shape.to_vec(), values }
}

/// Writes weights in a dtype and opens them again.
pub fn write_weights(folder: &Folder, weights: Vec<Weight>, dtype: DType) -> Checkpoint {
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = weights
        .into_iter()
        .map(|w| {
            let bytes = match dtype {
                DType::F32 => w.values.iter().flat_map(|x| x.to_le_bytes()).collect(),
                DType::F16 => {
                    w.values.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect()
                }
                DType::BF16 => {
                    w.values.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect()
                }
            };
            (w.name, w.shape, bytes)
        })
        .collect();
    let dtype = match dtype {
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
    };
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| (name, TensorView::new(dtype, shape.clone(), bytes).unwrap()));
    let file = folder.path().join("model.safetensors");
    safetensors::serialize_to_file(views, None, &file).unwrap();
    Checkpoint::open(folder.path()).unwrap()
}

pub struct Shape {
    pub hidden: usize,
    pub intermediate: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub vocab: usize,
    pub context: usize,
}

impl Shape {
    pub fn config(&self) -> ModelConfig {
        let Shape { hidden, intermediate, layers, heads, kv_heads, vocab, context } = self;
        let json = format!(
            r#"{{"model_type": "olmo2", "hidden_act": "silu", "hidden_size": {hidden},
            "intermediate_size": {intermediate}, "num_hidden_layers": {layers},
            "num_attention_heads": {heads}, "num_key_value_heads": {kv_heads},
            "vocab_size": {vocab}, "max_position_embeddings": {context}, "rope_theta": 500000,
            "rms_norm_eps": 1e-6, "tie_word_embeddings": false}}"#
        );
        ModelConfig::from_json(&json, Path::new("config.json")).unwrap()
    }
}

/// A model of random weights, scaled so that activations stay near one.
pub fn random_model(shape: &Shape, dtype: DType, seed: u64) -> (Folder, ModelConfig, Checkpoint) {
    let (folder, config) = (Folder::new(), shape.config());
    let checkpoint = write_weights(&folder, random_weights(&config, seed), dtype);
    (folder, config, checkpoint)
}

/// The weights of [`random_model`].
pub fn random_weights(config: &ModelConfig, seed: u64) -> Vec<Weight> {
    let mut random = Random(seed);
    weight_shapes(config)
        .into_iter()
        .map(|(name, shape)| {
            let count = shape.iter().product();
            let values = match shape[..] {
                [_] => random.numbers(count).iter().map(|x| 1.0 + 0.2 * x).collect(),
                _ => {
                    let scale = 1.7 / (shape[1] as f32).sqrt();
                    random.numbers(count).iter().map(|x| x * scale).collect()
                }
            };
            Weight { name, shape, values }
        })
        .collect()
}

/// The numbers that a weight quantised in a scheme stands for.
pub fn rounded(weight: Weight, scheme: Scheme, config: &ModelConfig) -> Weight {
    let TensorType::Block(kind) = scheme.tensor_type(&weight.name, &weight.shape, config) else {
        return weight;
    };
    let mut values = weight.values;
    let mut blocks = vec![0; kind.bytes(values.len()).unwrap()];
    kind.quantize(&values, None, &mut blocks).unwrap();
    kind.dequantize(&blocks, &mut values);
    Weight { values, ..weight }
}

/// The logits of a batch.
pub fn forward(model: &mut dyn Model, batch: &Batch) -> Vec<f32> {
    let mut logits = Vec::new();
    model.forward(batch, &mut NoProbe, &mut logits).unwrap();
    logits
}

/// Logits of all tokens of one sequence that comes in chunks of a size.
pub fn in_chunks(model: &mut dyn Model, tokens: &[u32], blocks: &[u32], chunk: usize) -> Vec<f32> {
    let mut logits = Vec::new();
    for (i, chunk_tokens) in tokens.chunks(chunk).enumerate() {
        let mut batch = Batch::default();
        batch.push(chunk_tokens, i * chunk, blocks, 0..chunk_tokens.len());
        logits.extend(forward(model, &batch));
    }
    logits
}

/// Embedding the rows of a table gives a tensor of any backend.
pub fn tensor<O: Ops>(ops: &mut O, checkpoint: &Checkpoint, name: &str, rows: usize) -> O::Tensor {
    let table = ops.matrix(checkpoint.get(name).unwrap()).unwrap();
    let ids: Vec<u32> = (0..rows as u32).collect();
    let mut batch = Batch::default();
    batch.push(&ids, 0, &[], 0..0);
    let pass = ops.begin(&batch, &[]).unwrap();
    ops.embed(&table, &pass).unwrap()
}
