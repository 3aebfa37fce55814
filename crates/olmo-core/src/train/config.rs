//! What a run is told: model, data, recipe, and where results go.
//!
//! The file is YAML for people; who reads it hands over JSON. Every key is
//! known: a misspelt one is an error that names it.

mod check;
mod start;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

use super::optimizer::OptimizerConfig;
use super::schedule::Decay;
use crate::config::ModelConfig;
use crate::dtype::DType;
pub use crate::prepare::token_file::TokenType;
use crate::{Error, Result};

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Where the config came from, for messages.
    #[serde(skip)]
    pub file: PathBuf,
    pub model: ModelShape,
    /// A checkpoint's folder to start from, in place of `model`: its weights and its `config.json`, and its
    /// tokenizer unless the data or `tokenizer` brings one. Default none: new weights.
    #[serde(default)]
    pub start: Option<PathBuf>,
    /// The `config.json` of `start`.
    #[serde(skip)]
    pub start_config: Option<Value>,
    /// Folder for checkpoints and `metrics.jsonl`.
    pub output: PathBuf,
    /// Folder whose tokenizer files are copied into every checkpoint. Default none.
    #[serde(default)]
    pub tokenizer: Option<PathBuf>,
    /// Tokens of one instance. At most the model's `max_position_embeddings`.
    pub sequence_length: usize,
    /// Whether a row sees only its own document. Documents end with the model's `eos_token_id`.
    /// Default false, as in OLMo 2's runs.
    #[serde(default)]
    pub document_masking: bool,
    /// Instances of one optimizer step.
    pub batch_size: usize,
    /// Instances of one forward and backward pass. Takes memory, changes rounding only. Default 1.
    #[serde(default = "one")]
    pub micro_batch_size: usize,
    /// Decides the first weights and the order of the data. Default 6198.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// Factor of the mean squared log-sum-exp in the loss. Default 1e-5.
    #[serde(default = "default_z_loss")]
    pub z_loss: f64,
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    pub stage1: Stage1,
    /// Default none: the run ends after stage 1.
    #[serde(default)]
    pub stage2: Option<Stage2>,
    #[serde(default)]
    pub checkpoint: CheckpointConfig,
    /// Default none.
    #[serde(default)]
    pub validation: Option<ValidationConfig>,
    /// Threads on the CPU. Default: as many as there are processors.
    #[serde(default)]
    pub threads: Option<usize>,
    /// `cpu`, `cuda`, `cuda:N`, `metal` or `auto`. Default `cpu`.
    #[serde(default = "default_device")]
    pub device: String,
}

fn one() -> usize {
    1
}

fn default_seed() -> u64 {
    6198
}

fn default_z_loss() -> f64 {
    1e-5
}

fn default_device() -> String {
    "cpu".to_owned()
}

/// The model, with the keys and meanings of `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelShape {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    /// Default: `num_attention_heads`.
    #[serde(default)]
    pub num_key_value_heads: Option<usize>,
    pub max_position_embeddings: usize,
    /// Default 500000.
    #[serde(default = "default_rope_theta")]
    pub rope_theta: f64,
    /// Default 1e-6.
    #[serde(default = "default_rms_norm_eps")]
    pub rms_norm_eps: f64,
    /// Default false.
    #[serde(default)]
    pub tie_word_embeddings: bool,
    pub eos_token_id: u32,
    pub pad_token_id: u32,
}

fn default_rope_theta() -> f64 {
    500_000.0
}

fn default_rms_norm_eps() -> f64 {
    1e-6
}

impl ModelShape {
    /// The `config.json` of a checkpoint, spelt as in the published ones.
    pub fn to_json(&self, dtype: DType) -> Value {
        let torch_dtype = match dtype {
            DType::F32 => "float32",
            DType::F16 => "float16",
            DType::BF16 => "bfloat16",
        };
        json!({
            "architectures": ["Olmo2ForCausalLM"],
            "attention_bias": false,
            "attention_dropout": 0.0,
            "eos_token_id": self.eos_token_id,
            "hidden_act": "silu",
            "hidden_size": self.hidden_size,
            "initializer_range": 0.02,
            "intermediate_size": self.intermediate_size,
            "max_position_embeddings": self.max_position_embeddings,
            "model_type": "olmo2",
            "num_attention_heads": self.num_attention_heads,
            "num_hidden_layers": self.num_hidden_layers,
            "num_key_value_heads": self.num_key_value_heads.unwrap_or(self.num_attention_heads),
            "pad_token_id": self.pad_token_id,
            "rms_norm_eps": self.rms_norm_eps,
            "rope_scaling": null,
            "rope_theta": self.rope_theta,
            "tie_word_embeddings": self.tie_word_embeddings,
            "torch_dtype": torch_dtype,
            "use_cache": true,
            "vocab_size": self.vocab_size,
        })
    }
}

/// Pre-training on a broad mix, or fine-tuning: linear warm-up, then a cosine or a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage1 {
    pub data: Vec<SourceConfig>,
    /// Optimizer steps.
    pub steps: u64,
    /// How the rate falls after the warm-up. Default cosine.
    #[serde(default = "cosine")]
    pub decay: Decay,
    /// Peak, reached at the end of the warm-up.
    pub learning_rate: f64,
    /// Default 2000.
    #[serde(default = "default_warmup")]
    pub warmup_steps: u64,
    /// Share of the peak that the decay ends at. Default 0.1.
    #[serde(default = "default_floor")]
    pub floor: f64,
    /// Step at which the decay ends; OLMo 2 7B stopped before its end. Default: `steps`.
    #[serde(default)]
    pub decay_steps: Option<u64>,
}

fn default_warmup() -> u64 {
    2000
}

fn cosine() -> Decay {
    Decay::Cosine
}

fn default_floor() -> f64 {
    0.1
}

/// The anneal: from the end of stage 1 linearly to zero, on another mix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage2 {
    pub data: Vec<SourceConfig>,
    /// Optimizer steps of each ingredient.
    pub steps: u64,
    /// Where the line starts. Default: the rate at which stage 1 ended.
    #[serde(default)]
    pub learning_rate: Option<f64>,
    /// One anneal a seed, each with its own order of the data; the weights of several are averaged
    /// in the end ("soup"). Default: the run's seed.
    #[serde(default)]
    pub seeds: Vec<u64>,
}

/// One source of a mix: token files read as one, or a folder of prepared conversations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    pub name: String,
    #[serde(default)]
    pub paths: Vec<PathBuf>,
    /// A folder that a preparation for fine-tuning wrote, in place of `paths`: only tokens that its mask
    /// marks are learned.
    #[serde(default)]
    pub prepared: Option<PathBuf>,
    /// Whether several prepared documents share an instance, or each has one for itself. Default true.
    #[serde(default)]
    pub pack: Option<bool>,
    /// Default: what a manifest beside the files, or their header, says; else uint16 if every id of the
    /// vocabulary has room in it, and uint32 if not.
    #[serde(default)]
    pub dtype: Option<TokenType>,
    /// Times the source is read in one epoch; fractions take a part. Default 1.
    #[serde(default)]
    pub repeat: Option<f64>,
    /// Share of the stage's instances, relative to the other sources' weights. Either all sources
    /// of a mix have a weight or none; it takes the place of `repeat`.
    #[serde(default)]
    pub weight: Option<f64>,
}

impl SourceConfig {
    /// What it reads, or the first of it, for messages.
    pub(super) fn place(&self) -> PathBuf {
        self.prepared.clone().or_else(|| self.paths.first().cloned()).unwrap_or_default()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// Steps between checkpoints; each stage also ends with one. Default 1000.
    pub interval: u64,
    /// Further steps of stage 1 after which to write one. Default none.
    pub steps: Vec<u64>,
    /// `float32` or `bfloat16`: dtype of `model.safetensors`. Training itself is in float32 always.
    /// Default float32.
    pub dtype: String,
    /// Whether older checkpoints keep what resuming from them needs, twice the size of the weights
    /// in f32. Default false: only the newest, and the one stage 2 starts from.
    pub keep_states: bool,
}

impl Default for CheckpointConfig {
    fn default() -> CheckpointConfig {
        CheckpointConfig {
            interval: 1000,
            steps: Vec::new(),
            dtype: "float32".to_owned(),
            keep_states: false,
        }
    }
}

/// Loss on held-out text, by source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidationConfig {
    /// Steps between evaluations; each stage also ends with one.
    pub interval: u64,
    /// Tokens of each source to score. Default: all.
    #[serde(default)]
    pub tokens: Option<usize>,
    pub sources: Vec<HeldOutConfig>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldOutConfig {
    pub name: String,
    pub paths: Vec<PathBuf>,
    /// As of [`SourceConfig`].
    #[serde(default)]
    pub dtype: Option<TokenType>,
    /// Bytes of UTF-8 that the tokens stand for. Default: what a manifest beside the files says.
    #[serde(default)]
    pub bytes: Option<u64>,
}

impl TrainConfig {
    /// Reads the JSON of a config. `file` is where it came from: errors name it, and relative paths
    /// start from its folder.
    pub fn from_json(text: &str, file: &Path) -> Result<TrainConfig> {
        let error = |key: String, problem: String| Error::InvalidConfig {
            file: file.to_owned(),
            key,
            problem,
        };
        let mut json: Value = serde_json::from_str(text)
            .map_err(|e| Error::InvalidFile { file: file.to_owned(), problem: e.to_string() })?;
        let start_config = start::put_model(&mut json, file)?;
        // From a value, not from the text: lines of JSON that nobody wrote would say nothing.
        let mut config: TrainConfig = serde_path_to_error::deserialize(json).map_err(|e| {
            let key = e.path().to_string();
            error(key, format!("cannot be read: {}", e.into_inner()))
        })?;
        config.file = file.to_owned();
        config.start_config = start_config;
        config.resolve_paths(file.parent().unwrap_or(Path::new("")));
        match config.problem() {
            Some((key, problem)) => Err(error(key.to_owned(), problem)),
            None => {
                config.model_config(file)?;
                config.settle_tokenizer();
                Ok(config)
            }
        }
    }

    /// The checked model; `file` is for error messages.
    pub fn model_config(&self, file: &Path) -> Result<ModelConfig> {
        ModelConfig::from_json(&self.checkpoint_json(DType::F32).to_string(), file)
    }

    /// Dtype of the checkpoints' weights.
    pub fn checkpoint_dtype(&self) -> Result<DType> {
        self.checkpoint.dtype.parse()
    }

    fn resolve_paths(&mut self, folder: &Path) {
        let resolve = |path: &mut PathBuf| *path = folder.join(&path);
        resolve(&mut self.output);
        self.tokenizer.iter_mut().chain(&mut self.start).for_each(resolve);
        let stage2 = self.stage2.iter_mut().flat_map(|stage| &mut stage.data);
        for source in self.stage1.data.iter_mut().chain(stage2) {
            source.paths.iter_mut().chain(&mut source.prepared).for_each(resolve);
        }
        for source in self.validation.iter_mut().flat_map(|validation| &mut validation.sources) {
            source.paths.iter_mut().for_each(resolve);
        }
    }
}
