//! From a checkpoint to a running model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::place::{candidates, first_that_works, Place};
use super::ModelSource;
#[cfg(feature = "candle")]
use crate::backend::candle::CandleOps;
use crate::backend::cpu::CpuOps;
#[cfg(feature = "wgpu")]
use crate::backend::{split::SplitOps, wgpu::WgpuOps};
use crate::cache::{CacheDType, BLOCK_TOKENS};
use crate::config::ModelConfig;
use crate::device::{Device, Engine};
use crate::dtype::{DType, TensorType};
use crate::error::Message;
use crate::limits::Limits;
use crate::memory::{available_memory, MemoryPlan};
use crate::model::{Model, Runtime};
use crate::ops::Study;
use crate::precision::Precision;
use crate::sampling::GenerationDefaults;
use crate::tokenizer::Tokenizer;
use crate::weights::{Access, Checkpoint};
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
    /// Layers that run on a GPU, from the last on, where `device` names one of those that drivers offer; the others run
    /// on the CPU. Default: as many as fit.
    pub gpu_layers: Option<usize>,
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
    /// The name of the GPU, where a driver gives it.
    pub adapter: Option<String>,
    /// Layers that run on a GPU; 0 on the CPU.
    pub gpu_layers: usize,
    /// Threads of the CPU engine; 0 where it runs no layer.
    pub threads: usize,
    pub memory: MemoryPlan,
    /// What is odd about the files and does not matter, and why a better device is not used: a line each.
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

    options.check()?;
    let stored = checkpoint.dtype();
    let warnings = [&config.warnings, checkpoint.warnings(), &defaults.warnings].concat();
    let attempt = |device| {
        let place = Place::plan(device, &config, stored, options)?;
        let mut info = ModelInfo {
            path: options.path.clone(),
            num_params: config.num_params(),
            dtype: place.dtype,
            cache_dtype: place.cache_dtype,
            device,
            adapter: None,
            gpu_layers: place.gpu_layers,
            threads: 0,
            memory: place.memory,
            warnings: warnings.iter().chain(&place.note).cloned().collect(),
            limits: options.limits,
            config: config.clone(),
        };
        let model = load_weights(place, &mut info, options, &checkpoint, progress)?;
        Ok((model, info))
    };
    let ((model, mut info), passed_over) = first_that_works(&candidates(options), attempt)?;
    info.warnings.extend(passed_over);
    Ok(Loaded { model, info, tokenizer: Arc::new(tokenizer), defaults })
}

impl LoadOptions {
    /// Fails on what no model and no machine can do.
    fn check(&self) -> Result<()> {
        self.limits.validate()?;
        if self.cache_tokens == Some(0) {
            return Err(Error::option("cache_tokens", 0, "it must be 1 at least"));
        }
        match self.gpu_layers {
            Some(0) => {
                let expected = Message::from("it must be 1 at least; for none, use ");
                Err(Error::option("gpu_layers", 0, expected.setting("device", "cpu")))
            }
            Some(count) if self.device != Device::Auto && self.device.engine() != Engine::Wgpu => {
                let expected = format!("device {} runs all layers or none; use ", self.device);
                let expected = Message::from(expected).setting("device", "gpu");
                Err(Error::option("gpu_layers", count, expected))
            }
            _ => Ok(()),
        }
    }
}

impl ModelInfo {
    /// Whose form the cache has.
    pub(crate) fn backend(&self) -> String {
        match self.device.engine() {
            Engine::Cpu => "cpu".into(),
            Engine::Candle => "candle".into(),
            Engine::Wgpu if self.gpu_layers == self.config.layers.len() => "wgpu".into(),
            Engine::Wgpu => format!("cpu, {} layers wgpu", self.gpu_layers),
        }
    }
}

/// The model in its place; `info` hears what it runs on.
fn load_weights(
    place: Place,
    info: &mut ModelInfo,
    options: &LoadOptions,
    checkpoint: &Checkpoint,
    progress: &mut dyn FnMut(LoadProgress) -> Result<()>,
) -> Result<Box<dyn Model>> {
    let Place { device, dtype, memory, .. } = place;
    let (layers, total) = (info.config.layers.len() as u64, memory.weights);
    let mut report =
        |loaded: usize| progress(LoadProgress { loaded: total * loaded as u64 / layers, total });
    report(0)?;
    // A file in blocks keeps its own mix, which may be another than the one of that name.
    let keeps = options.dtype.is_none() && matches!(dtype, Precision::Mix(_));
    let weights = Weights {
        config: info.config.clone(),
        checkpoint,
        precision: (!keeps).then_some(dtype),
        blocks: memory.cache_tokens / BLOCK_TOKENS,
    };
    match device.engine() {
        Engine::Cpu => {
            let ops = weights.cpu(info, options)?;
            weights.load(ops, &mut report)
        }
        #[cfg(feature = "candle")]
        Engine::Candle => {
            let Precision::Float(dtype) = dtype else {
                let expected =
                    Message::from(format!("device {device} runs f32, f16 and bf16; use "))
                        .setting("device", "cpu");
                return Err(Error::option("dtype", dtype.name(), expected));
            };
            let ops = CandleOps::new(device.candle()?, dtype).with_cache(place.cache_dtype)?;
            weights.load(ops, &mut report)
        }
        #[cfg(feature = "wgpu")]
        Engine::Wgpu => {
            let adapter = place.adapter.map_or_else(|| device.adapter(), Ok)?;
            let (config, cache_dtype) = (&weights.config, place.cache_dtype);
            let gpu = WgpuOps::new(&adapter, weights.precision, config, cache_dtype)?;
            info.adapter = Some(adapter.name);
            match config.layers.len() - place.gpu_layers {
                0 => weights.load(gpu, &mut report),
                first => {
                    let ops = SplitOps::new(weights.cpu(info, options)?, gpu, first);
                    weights.load(ops, &mut report)
                }
            }
        }
        #[cfg(not(all(feature = "candle", feature = "wgpu")))]
        _ => Err(device.left_out()),
    }
}

/// What goes to a backend.
struct Weights<'a> {
    config: ModelConfig,
    checkpoint: &'a Checkpoint,
    /// What they run in; if none is given, in the types they are stored in.
    precision: Option<Precision>,
    /// Of the cache.
    blocks: usize,
}

impl Weights<'_> {
    /// The CPU engine, of which `info` hears how many threads it has.
    fn cpu(&self, info: &mut ModelInfo, options: &LoadOptions) -> Result<CpuOps> {
        let ops = CpuOps::new(DType::F32, options.threads)?;
        info.threads = ops.threads();
        Ok(ops.in_precision(self.precision, &self.config).with_cache(info.cache_dtype))
    }

    fn load<O>(&self, ops: O, report: &mut dyn FnMut(usize) -> Result<()>) -> Result<Box<dyn Model>>
    where
        O: Study + Send + 'static,
        O::Tensor: Send,
        O::Matrix: Send,
        O::Vector: Send,
        O::Cache: Send,
    {
        let Weights { config, checkpoint, blocks, .. } = self;
        Ok(Box::new(Runtime::load(ops, config, checkpoint, *blocks, report)?))
    }
}
