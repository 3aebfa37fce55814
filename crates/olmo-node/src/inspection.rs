//! What is known of a model: of a loaded one, and of a checkpoint before it is loaded.

use std::path::PathBuf;

use napi::bindgen_prelude::Env;
use napi_derive::napi;
use olmo_core::checkpoint as core;
use olmo_core::config::ModelConfig;
use olmo_core::precision::Precision;
use olmo_core::sampling::{to_json, GenerationDefaults, OptionEntry, OptionValue, Source};
use serde_json::{json, Value};

use crate::error::{promise_blocking, Promise};

/// The types weights can be in, those of most bits first.
#[napi(catch_unwind)]
pub fn dtypes() -> Vec<String> {
    Precision::ALL.map(|precision| precision.name().to_owned()).into()
}

/// Looks at the model at `path` without loading its weights.
#[napi(catch_unwind, ts_return_type = "Promise<Inspection>")]
pub fn inspect(env: &Env, path: String) -> Promise<Inspection> {
    promise_blocking(env, move || Ok(core::inspect(&PathBuf::from(path))?.into()))
}

#[napi(object, object_from_js = false)]
pub struct Inspection {
    pub config: Config,
    pub num_parameters: f64,
    pub dtype: String,
    pub license: Option<String>,
    pub memory: Vec<MemoryPlan>,
    pub available_memory: f64,
    /// As JSON: every option of a generation, with its value and where that is from
    pub generation: String,
    pub warnings: Vec<String>,
}

#[napi(object, object_from_js = false)]
pub struct ModelInfo {
    pub config: Config,
    pub num_parameters: f64,
    pub dtype: String,
    pub cache_dtype: String,
    pub device: String,
    pub adapter: Option<String>,
    pub gpu_layers: u32,
    pub threads: u32,
    pub memory: MemoryPlan,
    /// As JSON: every option of a generation, with its value and where that is from
    pub generation: String,
    pub warnings: Vec<String>,
}

#[napi(object, object_from_js = false)]
pub struct Config {
    pub vocab_size: u32,
    pub hidden_size: u32,
    pub intermediate_size: u32,
    pub num_hidden_layers: u32,
    pub num_attention_heads: u32,
    pub num_key_value_heads: u32,
    pub head_dim: u32,
    pub max_position_embeddings: u32,
    pub rope_theta: f64,
    pub rms_norm_eps: f64,
    pub tie_word_embeddings: bool,
    pub eos_token_ids: Vec<u32>,
}

/// In bytes
#[napi(object, object_from_js = false)]
pub struct MemoryPlan {
    pub dtype: String,
    pub weights: f64,
    pub cache_per_token: f64,
    pub cache_tokens: f64,
    pub scratch: f64,
}

impl From<core::Inspection> for Inspection {
    fn from(found: core::Inspection) -> Self {
        Inspection {
            config: Config::from(&found.config),
            num_parameters: found.num_params as f64,
            dtype: Precision::of_stored(found.stored_dtype).name().into(),
            license: found.license,
            memory: found.memory.into_iter().map(|(dtype, plan)| convert(dtype, plan)).collect(),
            available_memory: found.available_memory as f64,
            generation: generation(&found.defaults),
            warnings: found.warnings,
        }
    }
}

impl ModelInfo {
    pub fn of(info: &core::ModelInfo, defaults: &GenerationDefaults) -> Self {
        ModelInfo {
            config: Config::from(&info.config),
            num_parameters: info.num_params as f64,
            dtype: info.dtype.name().into(),
            cache_dtype: info.cache_dtype.name().into(),
            device: info.device.to_string(),
            adapter: info.adapter.clone(),
            gpu_layers: info.gpu_layers as u32,
            threads: info.threads as u32,
            memory: convert(info.dtype, info.memory),
            generation: generation(defaults),
            warnings: info.warnings.clone(),
        }
    }
}

impl From<&ModelConfig> for Config {
    fn from(config: &ModelConfig) -> Self {
        Config {
            vocab_size: config.vocab_size as u32,
            hidden_size: config.hidden_size as u32,
            intermediate_size: config.intermediate_size as u32,
            num_hidden_layers: config.layers.len() as u32,
            num_attention_heads: config.num_attention_heads as u32,
            num_key_value_heads: config.num_key_value_heads as u32,
            head_dim: config.head_dim as u32,
            max_position_embeddings: config.max_position_embeddings as u32,
            rope_theta: config.rope_theta,
            rms_norm_eps: config.rms_norm_eps,
            tie_word_embeddings: config.tie_word_embeddings,
            eos_token_ids: config.eos_token_ids.clone(),
        }
    }
}

fn generation(defaults: &GenerationDefaults) -> String {
    let option = |(entry, value, source): (&OptionEntry, OptionValue, Source)| json!({ "name": entry.name, "value": to_json(&value), "source": source.name() });
    defaults.in_force().into_iter().map(option).collect::<Value>().to_string()
}

fn convert(dtype: Precision, plan: olmo_core::memory::MemoryPlan) -> MemoryPlan {
    MemoryPlan {
        dtype: dtype.name().into(),
        weights: plan.weights as f64,
        cache_per_token: plan.cache_per_token as f64,
        cache_tokens: plan.cache_tokens as f64,
        scratch: plan.scratch as f64,
    }
}
