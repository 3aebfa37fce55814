//! What a model needs of memory, worked out before anything is loaded.

mod split;

pub use split::SplitPlan;

use std::ops::Range;

use crate::backend::cpu::{cache_token_bytes, packed_bytes};
use crate::cache::{CacheDType, BLOCK_TOKENS};
use crate::config::ModelConfig;
use crate::dtype::{DType, TensorType};
use crate::error::{human_bytes, Amount, Hint};
use crate::limits::Limits;
pub use crate::machine::{available_memory, check_available};
use crate::precision::Precision;
use crate::shapes::{weight_shapes, EMBEDDING, FINAL_NORM, OUTPUT};
use crate::{Error, Result};

/// Bytes a loaded model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryPlan {
    /// All weights in the types they run in.
    pub weights: u64,
    /// Keys and values of one token, in all layers.
    pub cache_per_token: u64,
    /// Tokens the cache has room for, of all sequences together.
    pub cache_tokens: usize,
    /// Activations of the largest batch, its logits, and the rotary angles.
    pub scratch: u64,
}

/// Unless told otherwise, the cache holds this many full contexts, as far as memory allows.
const DEFAULT_CONTEXTS: usize = 4;

impl MemoryPlan {
    /// The plan for a model that runs in `precision`, with a cache in `cache_dtype` that has room for
    /// `cache_tokens` tokens and batches within `limits`.
    pub fn new(
        config: &ModelConfig,
        precision: Precision,
        cache_dtype: CacheDType,
        cache_tokens: usize,
        limits: &Limits,
    ) -> MemoryPlan {
        let all = Part { layers: 0..config.layers.len(), embeds: true, has_head: true };
        MemoryPlan::of_part(&all, config, (precision, cache_dtype), cache_tokens, limits)
    }

    /// [`MemoryPlan::new`] of a part of the model.
    fn of_part(
        part: &Part,
        config: &ModelConfig,
        (precision, cache_dtype): (Precision, CacheDType),
        cache_tokens: usize,
        limits: &Limits,
    ) -> MemoryPlan {
        let (hidden, mlp) = (config.hidden_size, config.intermediate_size);
        // Alive at once in a layer: the stream and its branch, and the widest of its two halves.
        let widest = (2 * config.query_dim() + 2 * config.kv_dim()).max(2 * mlp);
        let rows = limits.batch_rows() as u64;
        let activations = rows * (3 * hidden + widest) as u64;
        // Inputs of a product lie there a second time, as its kernel reads them.
        let packed = rows * mlp.max(config.query_dim()) as u64;
        // As the backend has them and as they are handed on, and the sampler's copy of a row.
        let logits = (2 * limits.logits_rows() as u64 + 1) * config.vocab_size as u64;
        // Sines and cosines of every position, which a file may say there are many of.
        let angles = config.max_position_embeddings as u64 * config.head_dim as u64;
        let cache = cache_token_bytes(config.num_key_value_heads, config.head_dim, cache_dtype);
        MemoryPlan {
            weights: weights(config, precision, part),
            cache_per_token: (part.layers.len() * cache) as u64,
            cache_tokens: cache_tokens.next_multiple_of(BLOCK_TOKENS),
            scratch: (activations + packed + logits + angles) * DType::F32.size() as u64,
        }
    }

    /// The plan for the memory there is: as asked for, or else as many contexts as are useful and
    /// fit beside the weights. Fails, naming the numbers, if the least possible does not fit.
    pub fn fit(
        config: &ModelConfig,
        precision: Precision,
        cache_dtype: CacheDType,
        cache_tokens: Option<usize>,
        limits: &Limits,
        available: u64,
    ) -> Result<MemoryPlan> {
        let context = config.max_position_embeddings;
        let plan_for = |tokens| MemoryPlan::new(config, precision, cache_dtype, tokens, limits);
        let mut plan = plan_for(cache_tokens.unwrap_or(context));
        if cache_tokens.is_none() {
            let room = available.saturating_sub(plan.weights + plan.scratch) / 2;
            let contexts = room / (plan.cache_per_token * context as u64);
            let contexts = (contexts as usize).clamp(1, DEFAULT_CONTEXTS);
            plan = plan_for(contexts * context);
        }
        if plan.total() <= available {
            return Ok(plan);
        }
        let smaller = plan_for(BLOCK_TOKENS);
        let hint = if smaller.total() <= available {
            let fitting = (available - smaller.weights - smaller.scratch) / plan.cache_per_token;
            Hint::SmallerCache { fits: fitting }
        } else {
            let dtypes: &[&str] = match precision {
                Precision::Float(DType::F32) => &["bf16", "q4_k_m"],
                Precision::Float(_) => &["q4_k_m"],
                Precision::Mix(_) => &[],
            };
            Hint::SmallerWeights { dtypes }
        };
        Err(Error::NotEnoughMemory {
            what: format!(
                "weights ({}), cache of {} tokens ({}) and scratch ({})",
                human_bytes(plan.weights),
                plan.cache_tokens,
                human_bytes(plan.cache()),
                human_bytes(plan.scratch),
            ),
            need: Amount::Bytes(plan.total()),
            have: Some(Amount::Bytes(available)),
            hint,
        })
    }

    pub fn cache(&self) -> u64 {
        self.cache_per_token * self.cache_tokens as u64
    }

    pub fn total(&self) -> u64 {
        self.weights + self.cache() + self.scratch
    }
}

/// What of a model is in one memory.
struct Part {
    layers: Range<usize>,
    embeds: bool,
    /// Whether the final norm and the output projection are there.
    has_head: bool,
}

impl Part {
    fn has(&self, weight: &str, config: &ModelConfig) -> bool {
        let layer = weight.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.'));
        match (weight, layer) {
            (EMBEDDING, _) => self.embeds || (self.has_head && config.tie_word_embeddings),
            (FINAL_NORM | OUTPUT, _) => self.has_head,
            (_, Some((index, _))) => {
                index.parse().is_ok_and(|index: usize| self.layers.contains(&index))
            }
            _ => true,
        }
    }
}

fn weights(config: &ModelConfig, precision: Precision, part: &Part) -> u64 {
    let bytes = |(name, shape): (String, Vec<usize>)| {
        let stored = precision.of(&name, &shape, config);
        let (rows, columns) = shape.split_at(shape.len() - 1);
        let rows = rows.iter().product::<usize>();
        match stored {
            // Embeddings that are not the head, too, are only looked up, and stay as in a file.
            TensorType::Block(kind) if name != EMBEDDING || config.tie_word_embeddings => {
                packed_bytes(kind, rows, columns[0]) as u64
            }
            _ => {
                let row = stored.bytes(columns[0]).expect("a scheme gives types that fit");
                rows as u64 * row as u64
            }
        }
    };
    let shapes = weight_shapes(config).into_iter();
    shapes.filter(|(name, _)| part.has(name, config)).map(bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precision::Scheme;
    use crate::quant::BlockType;
    use std::path::Path;

    /// OLMo 2 1B, as published.
    pub(super) fn olmo2_1b() -> ModelConfig {
        let json = r#"{"model_type": "olmo2", "hidden_act": "silu", "hidden_size": 2048,
            "intermediate_size": 8192, "num_attention_heads": 16, "num_hidden_layers": 16,
            "vocab_size": 100352, "max_position_embeddings": 4096, "rope_theta": 500000,
            "rms_norm_eps": 1e-6, "torch_dtype": "float32"}"#;
        ModelConfig::from_json(json, Path::new("config.json")).expect("a valid config")
    }

    #[test]
    fn the_1b_model_is_planned_as_its_shapes_say() {
        let config = olmo2_1b();
        assert_eq!(config.num_params(), 1_484_916_736);
        let bf16 = Precision::Float(DType::BF16);
        let plan = MemoryPlan::new(&config, bf16, DType::BF16.into(), 4096, &Limits::default());
        assert_eq!(plan.weights, 2 * 1_484_916_736);
        assert_eq!(plan.cache_per_token, 2 * 16 * 2048 * 2);
        assert_eq!(plan.cache(), 512 << 20);
        let q8_0 = Precision::Mix(Scheme::Q8_0);
        let plan = MemoryPlan::new(&config, q8_0, CacheDType::Q8_0, 4096, &Limits::default());
        let norms = 16 * 4 * 2048 + 2048;
        assert_eq!(plan.weights, (1_484_916_736 - norms) / 32 * 34 + norms * 4);
        assert_eq!(plan.cache(), 272 << 20, "34 bytes for 32 numbers");
    }

    /// A block of `q4_k` takes 148 bytes as the kernels have it (2,368 for sixteen rows), 144 in a file.
    #[test]
    fn blocks_count_as_the_kernels_have_them() {
        let config = olmo2_1b();
        let scheme = Scheme::Q4KM;
        let plan = MemoryPlan::new(
            &config,
            Precision::Mix(scheme),
            CacheDType::Float(DType::F16),
            4096,
            &Limits::default(),
        );
        let bytes = weight_shapes(&config).into_iter().map(|(name, shape)| {
            let elements: usize = shape.iter().product();
            match scheme.tensor_type(&name, &shape, &config) {
                TensorType::Block(BlockType::Q4K) if name == EMBEDDING => elements / 256 * 144,
                TensorType::Block(BlockType::Q4K) => elements / 256 * 148,
                TensorType::Block(BlockType::Q6K) => elements / 256 * 210,
                TensorType::Float(DType::F32) => elements * 4,
                other => panic!("{name} in {}", other.name()),
            }
        });
        assert_eq!(plan.weights, bytes.sum::<usize>() as u64);
    }

    #[test]
    fn a_plan_uses_what_there_is_and_says_what_lacks() {
        let config = olmo2_1b();
        let gib = 1 << 30;
        let fit = |cache_tokens, available| {
            MemoryPlan::fit(
                &config,
                DType::BF16.into(),
                DType::BF16.into(),
                cache_tokens,
                &Limits::default(),
                available,
            )
        };
        assert_eq!(fit(None, 64 * gib).expect("fits").cache_tokens, 4 * 4096);
        assert_eq!(fit(None, 4 * gib).expect("fits").cache_tokens, 4096);
        assert_eq!(fit(Some(100), 4 * gib).expect("fits").cache_tokens, 128);
        let text = fit(None, 3 * gib).expect_err("too little").to_string();
        assert!(text.contains("3.0 GiB free; a cache of"), "{text}");
        let text = fit(None, gib).expect_err("too little").to_string();
        assert!(text.contains("1.0 GiB free; try dtype q4_k_m, or a smaller model"), "{text}");
    }

    /// A number in a file, and nothing of that size in the file itself.
    #[test]
    fn a_context_as_long_as_a_file_says_is_planned_for() {
        let config = ModelConfig { max_position_embeddings: 1 << 24, ..olmo2_1b() };
        let bf16 = Precision::Float(DType::BF16);
        let error = MemoryPlan::fit(
            &config,
            bf16,
            DType::BF16.into(),
            Some(1024),
            &Limits::default(),
            8 << 30,
        );
        let text = error.expect_err("8 GiB of angles").to_string();
        assert!(text.contains("scratch (8.1 GiB)"), "{text}");
    }
}
