//! A model in two memories: its first layers in the machine's, its last ones and the head in a GPU's.

use super::{weights, MemoryPlan, Part};
use crate::cache::CacheDType;
use crate::config::ModelConfig;
use crate::limits::Limits;
use crate::precision::Precision;

/// The plans of both parts, with room for the same tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitPlan {
    pub host: MemoryPlan,
    pub gpu: MemoryPlan,
    /// How many of the last layers are on the GPU.
    pub gpu_layers: usize,
    /// Weights of the other layers: what the CPU reads for a token.
    pub host_layers: u64,
}

impl SplitPlan {
    pub fn new(
        gpu_layers: usize,
        config: &ModelConfig,
        types: (Precision, CacheDType),
        cache_tokens: usize,
        limits: &Limits,
    ) -> SplitPlan {
        let layers = config.layers.len();
        let first = layers - gpu_layers.min(layers);
        let plan = |part| MemoryPlan::of_part(&part, config, types, cache_tokens, limits);
        let host_layers = Part { layers: 0..first, embeds: false, has_head: false };
        SplitPlan {
            host: plan(Part { layers: 0..first, embeds: true, has_head: false }),
            gpu: plan(Part { layers: first..layers, embeds: false, has_head: true }),
            gpu_layers: layers - first,
            host_layers: weights(config, types.0, &host_layers),
        }
    }

    /// The one with the most layers on a GPU that has so many bytes free, if it has room for one.
    pub fn fit(plan_of: impl Fn(usize) -> SplitPlan, most: usize, free: u64) -> Option<SplitPlan> {
        (1..=most).rev().map(plan_of).find(|plan| plan.gpu.total() <= free)
    }

    /// What the model takes of both memories.
    pub fn together(&self) -> MemoryPlan {
        let SplitPlan { host, gpu, .. } = self;
        MemoryPlan {
            weights: host.weights + gpu.weights,
            cache_per_token: host.cache_per_token + gpu.cache_per_token,
            cache_tokens: gpu.cache_tokens,
            scratch: host.scratch + gpu.scratch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::olmo2_1b;
    use super::*;
    use crate::dtype::DType;

    fn split(gpu_layers: usize) -> SplitPlan {
        let types = (DType::BF16.into(), DType::BF16.into());
        SplitPlan::new(gpu_layers, &olmo2_1b(), types, 4096, &Limits::default())
    }

    #[test]
    fn both_parts_together_are_the_model() {
        let bf16 = DType::BF16;
        let whole =
            MemoryPlan::new(&olmo2_1b(), bf16.into(), bf16.into(), 4096, &Limits::default());
        for gpu_layers in [0, 1, 7, 16] {
            let together = split(gpu_layers).together();
            assert_eq!(together.weights, whole.weights, "{gpu_layers}");
            assert_eq!(together.cache(), whole.cache(), "{gpu_layers}");
        }
        assert_eq!(split(16).host.weights, 2 * 100_352 * 2048, "the embeddings");
        assert_eq!(split(7).host.weights - split(16).host.weights, split(7).host_layers);
        assert_eq!(split(99), split(16));
    }

    #[test]
    fn as_many_layers_as_fit_are_on_the_gpu() {
        let fit = |free| SplitPlan::fit(split, 16, free).map(|plan| plan.gpu_layers);
        assert_eq!(fit(1 << 40), Some(16));
        assert_eq!(fit(split(5).gpu.total()), Some(5));
        assert_eq!(fit(split(5).gpu.total() - 1), Some(4));
        assert_eq!(fit(split(1).gpu.total() - 1), None);
        assert_eq!(SplitPlan::fit(split, 3, 1 << 40).map(|plan| plan.gpu_layers), Some(3));
    }
}
