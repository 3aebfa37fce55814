//! From a checkpoint to a running model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ModelSource;
use crate::backend::cpu::CpuOps;
#[cfg(feature = "wgpu")]
use crate::backend::wgpu::WgpuOps;
use crate::cache::{CacheDType, BLOCK_TOKENS};
use crate::config::ModelConfig;
use crate::device::{Device, Engine};
use crate::dtype::{DType, TensorType};
use crate::limits::Limits;
use crate::memory::{available_memory, MemoryPlan};
use crate::model::{Model, Runtime};
use crate::precision::Precision;
use crate::sampling::GenerationDefaults;
use crate::tokenizer::Tokenizer;
use crate::weights::{Access, Checkpoint};
#[cfg(feature = "candle")]
use crate::{backend::candle::CandleOps, error::Message};
use crate::{Error, Result};

/// What to load, and how.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// A checkpoint folder or a GGUF file; see [`ModelSource`].
    pub path: PathBuf,
    /// What to run in. Default: what the weights are stored in; of a file in blocks, each weight in its
    /// own.
    pub dtype: Option<Precision>,
    /// How keys and values are stored. Default: as the weights; in f16 beside quantised ones.
    pub cache_dtype: Option<CacheDType>,
    pub device: Device,
    /// Threads of the CPU engine. Default: one per core.
    pub threads: Option<usize>,
    /// Tokens the cache has room for, of all running texts together. Default: up to four contexts,
    /// as far as memory allows.
    pub cache_tokens: Option<usize>,
    /// How the weight files come into memory.
    pub access: Access,
    /// How much the engine takes on at once.
    pub limits: Limits,
}

/// How far a load is, in bytes of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadProgress {
    pub loaded: u64,
    pub total: u64,
}

/// What runs.
#[derive(Debug, Clone)]
pub struct ModelInfo {
    pub path: PathBuf,
    pub config: ModelConfig,
    pub num_params: u64,
    pub dtype: Precision,
    pub cache_dtype: CacheDType,
    pub device: Device,
    /// Threads of the CPU engine; 0 on another device.
    pub threads: usize,
    pub memory: MemoryPlan,
    /// What is odd about the files and does not matter: a line each.
    pub warnings: Vec<String>,
    pub limits: Limits,
}

/// What a checkpoint is and would need, found without loading its weights.
#[derive(Debug, Clone)]
pub struct Inspection {
    pub config: ModelConfig,
    pub num_params: u64,
    /// The type most weights are stored in.
    pub stored_dtype: TensorType,
    /// What a cache of one full context needs, for every dtype the model can run in.
    pub memory: Vec<(Precision, MemoryPlan)>,
    pub available_memory: u64,
    /// What a generation does if nobody says otherwise.
    pub defaults: GenerationDefaults,
    /// The licence it names; see [`ModelSource::license`].
    pub license: Option<String>,
    /// What is odd about the files and does not matter: a line each.
    pub warnings: Vec<String>,
}

pub(crate) struct Loaded {
    pub model: Box<dyn Model>,
    pub info: ModelInfo,
    pub tokenizer: Arc<Tokenizer>,
    pub defaults: GenerationDefaults,
}

/// Reads a checkpoint's headers: enough to say whether it is whole and what it would need.
pub fn inspect(path: &Path) -> Result<Inspection> {
    let source = ModelSource::open(path)?;
    let (config, checkpoint) = source.weights(Access::Map)?;
    let defaults = source.generation_defaults(&config)?;
    let context = config.max_position_embeddings;
    let limits = Limits::default();
    let plan = |dtype: Precision| {
        (dtype, MemoryPlan::new(&config, dtype, dtype.cache_dtype().into(), context, &limits))
    };
    Ok(Inspection {
        num_params: config.num_params(),
        stored_dtype: checkpoint.dtype(),
        memory: Precision::ALL.into_iter().map(plan).collect(),
        available_memory: available_memory(),
        license: source.license(),
        warnings: [&config.warnings, checkpoint.warnings(), &defaults.warnings].concat(),
        defaults,
        config,
    })
}

/// `progress` may stop the load by returning an error.
pub(crate) fn load(
    options: &LoadOptions,
    progress: &mut dyn FnMut(LoadProgress) -> Result<()>,
) -> Result<Loaded> {
    let source = ModelSource::open_with(&options.path, options.access)?;
    let config = source.config()?;
    let tokenizer = source.tokenizer()?;
    tokenizer.check(config.vocab_size)?;
    let defaults = source.generation_defaults(&config)?;
    let (config, checkpoint) = source.weights(options.access)?;

    let device = match (options.device, options.dtype) {
        (Device::Auto, Some(Precision::Mix(_))) => Device::Cpu,
        (device, _) => device.resolve(),
    };
    let stored = checkpoint.dtype();
    let dtype = options.dtype.unwrap_or(match device.engine() {
        Engine::Candle => stored.float().into(),
        Engine::Cpu | Engine::Wgpu => Precision::of_stored(stored),
    });
    let cache_dtype = options.cache_dtype.unwrap_or(dtype.cache_dtype().into());
    cache_dtype.check(config.head_dim)?;
    let memory = plan_memory(&config, dtype, cache_dtype, device, options)?;

    let mut info = ModelInfo {
        path: options.path.clone(),
        num_params: config.num_params(),
        dtype,
        cache_dtype,
        device,
        threads: 0,
        memory,
        warnings: [&config.warnings, checkpoint.warnings(), &defaults.warnings].concat(),
        limits: options.limits,
        config,
    };
    let model = load_weights(&mut info, options, &checkpoint, progress)?;
    Ok(Loaded { model, info, tokenizer: Arc::new(tokenizer), defaults })
}

/// The model on its device; `info` hears how many threads it runs on.
fn load_weights(
    info: &mut ModelInfo,
    options: &LoadOptions,
    checkpoint: &Checkpoint,
    progress: &mut dyn FnMut(LoadProgress) -> Result<()>,
) -> Result<Box<dyn Model>> {
    let ModelInfo { ref config, dtype, cache_dtype, device, memory, .. } = *info;
    let (layers, total) = (config.layers.len() as u64, memory.weights);
    let mut report =
        |loaded: usize| progress(LoadProgress { loaded: total * loaded as u64 / layers, total });
    report(0)?;
    let blocks = memory.cache_tokens / BLOCK_TOKENS;
    // A file in blocks keeps its own mix, which may be another than the one of that name.
    let keeps = options.dtype.is_none() && matches!(dtype, Precision::Mix(_));
    let precision = (!keeps).then_some(dtype);
    match device.engine() {
        Engine::Cpu => {}
        #[cfg(feature = "candle")]
        Engine::Candle => {
            let Precision::Float(dtype) = dtype else {
                let expected =
                    Message::from(format!("device {device} runs f32, f16 and bf16; use "))
                        .setting("device", "cpu");
                return Err(Error::option("dtype", dtype.name(), expected));
            };
            let ops = CandleOps::new(device.candle()?, dtype).with_cache(cache_dtype)?;
            return Ok(Box::new(Runtime::load(ops, config, checkpoint, blocks, &mut report)?));
        }
        #[cfg(not(feature = "candle"))]
        Engine::Candle => return Err(device.left_out()),
        #[cfg(feature = "wgpu")]
        Engine::Wgpu => {
            let ops = WgpuOps::new(&device.adapter()?, precision, config, cache_dtype)?;
            return Ok(Box::new(Runtime::load(ops, config, checkpoint, blocks, &mut report)?));
        }
        #[cfg(not(feature = "wgpu"))]
        Engine::Wgpu => return Err(device.left_out()),
    }
    let ops = CpuOps::new(DType::F32, options.threads)?
        .in_precision(precision, config)
        .with_cache(cache_dtype);
    let threads = ops.threads();
    let model = Runtime::load(ops, config, checkpoint, blocks, &mut report)?;
    info.threads = threads;
    Ok(Box::new(model))
}

/// On a GPU the numbers are the same, but neither candle nor wgpu can say how much memory is free.
fn plan_memory(
    config: &ModelConfig,
    dtype: Precision,
    cache_dtype: CacheDType,
    device: Device,
    options: &LoadOptions,
) -> Result<MemoryPlan> {
    let LoadOptions { cache_tokens, limits, .. } = *options;
    limits.validate()?;
    if cache_tokens == Some(0) {
        return Err(Error::option("cache_tokens", 0, "it must be 1 at least"));
    }
    match device {
        Device::Cpu => {
            MemoryPlan::fit(config, dtype, cache_dtype, cache_tokens, &limits, available_memory())
        }
        _ => {
            let tokens = cache_tokens.unwrap_or(config.max_position_embeddings);
            Ok(MemoryPlan::new(config, dtype, cache_dtype, tokens, &limits))
        }
    }
}
