//! What this machine can do: the kernels its CPU takes, the devices there are, and which of the published
//! models its memory holds.

use std::path::Path;

use crate::backend::cpu::{default_threads, Variant};
use crate::config::ModelConfig;
use crate::device::Device;
use crate::limits::Limits;
use crate::machine::{available_memory, total_memory};
use crate::memory::MemoryPlan;
use crate::precision::Precision;
use crate::{Error, Result};

/// What an engine finds here.
pub struct Host {
    /// The kernels it takes; an error where the environment names others than there are.
    pub kernels: Result<Variant>,
    /// All that this CPU runs, best first.
    pub runnable: Vec<Variant>,
    /// Of the CPU's extensions those that kernels ask for.
    pub cpu_features: Vec<&'static str>,
    /// Threads that compute unless told otherwise.
    pub threads: usize,
    /// In bytes, as is what is available of it.
    pub total_memory: u64,
    pub available_memory: u64,
    /// Each with the reason why it cannot be used, if it cannot.
    pub devices: Vec<(Device, Option<String>)>,
    pub gpus: Vec<Gpu>,
    pub models: Vec<Needs>,
}

/// A GPU as one of the drivers of this machine offers it.
pub struct Gpu {
    /// What takes it.
    pub device: Device,
    pub name: String,
    pub driver: String,
    /// `vulkan`, `metal` or `dx12`.
    pub api: &'static str,
    /// Bytes, and how many of them are free, if the driver says.
    pub memory: Option<(u64, u64)>,
    /// What it has that kernels can make use of.
    pub features: Vec<&'static str>,
    /// Why the cooperative matrices that it has are not used, if they are not.
    pub no_cooperative_matrices: Option<String>,
    /// Why a model is not put there unless it is asked for, if it is not.
    pub reason: Option<String>,
}

/// What a published model takes of memory, with a cache for one full context.
pub struct Needs {
    pub name: &'static str,
    /// Bytes for each type of weights, those of most bits first.
    pub memory: Vec<(Precision, u64)>,
}

/// Looks at this machine.
pub fn host() -> Host {
    let reason = |error| match error {
        Error::DeviceUnavailable { reason, .. } => reason.to_string(),
        other => other.to_string(),
    };
    let usable = |device: Device| (device, device.check().err().map(reason));
    Host {
        kernels: Variant::choose(),
        runnable: Variant::ALL.into_iter().filter(|variant| variant.is_supported()).collect(),
        cpu_features: cpu_features(),
        threads: default_threads(),
        total_memory: total_memory(),
        available_memory: available_memory(),
        devices: [Device::Cpu, Device::Gpu(0), Device::Cuda(0), Device::Metal].map(usable).into(),
        gpus: gpus(0),
        models: PUBLISHED.iter().map(Published::needs).collect(),
    }
}

/// The GPUs of this machine, real ones first, and why a model that takes so many bytes goes to none of them by itself.
#[cfg(feature = "wgpu")]
pub fn gpus(need: u64) -> Vec<Gpu> {
    use crate::backend::wgpu::verdict;

    let of = |(device, adapter): (Device, crate::device::Adapter)| Gpu {
        device,
        memory: adapter.memory().map(|memory| (memory.total, memory.free)),
        reason: adapter.refusal(need).map(|reason| reason.to_string()),
        no_cooperative_matrices: verdict(&adapter).and_then(std::result::Result::err),
        name: adapter.name,
        driver: adapter.driver,
        api: adapter.api,
        features: adapter.features,
    };
    crate::device::gpus().into_iter().map(of).collect()
}

/// No driver is asked by this build.
#[cfg(not(feature = "wgpu"))]
pub fn gpus(_need: u64) -> Vec<Gpu> {
    Vec::new()
}

/// The shape of a model of Ai2's, as its `config.json` has it.
struct Published {
    name: &'static str,
    hidden: usize,
    mlp: usize,
    layers: usize,
    heads: usize,
    key_value_heads: usize,
}

/// Of `allenai/OLMo-2-0425-1B`, `-1124-7B`, `-1124-13B` and `-0325-32B`, and of those tuned from them.
const PUBLISHED: [Published; 4] = [
    Published {
        name: "OLMo 2 1B",
        hidden: 2048,
        mlp: 8192,
        layers: 16,
        heads: 16,
        key_value_heads: 16,
    },
    Published {
        name: "OLMo 2 7B",
        hidden: 4096,
        mlp: 11008,
        layers: 32,
        heads: 32,
        key_value_heads: 32,
    },
    Published {
        name: "OLMo 2 13B",
        hidden: 5120,
        mlp: 13824,
        layers: 40,
        heads: 40,
        key_value_heads: 40,
    },
    Published {
        name: "OLMo 2 32B",
        hidden: 5120,
        mlp: 27648,
        layers: 64,
        heads: 40,
        key_value_heads: 8,
    },
];

impl Published {
    fn config(&self) -> ModelConfig {
        let Published { hidden, mlp, layers, heads, key_value_heads, .. } = self;
        let json = format!(
            r#"{{"model_type": "olmo2", "hidden_act": "silu", "hidden_size": {hidden},
            "intermediate_size": {mlp}, "num_hidden_layers": {layers}, "num_attention_heads": {heads},
            "num_key_value_heads": {key_value_heads}, "vocab_size": 100352,
            "max_position_embeddings": 4096, "rope_theta": 500000, "rms_norm_eps": 1e-6}}"#
        );
        ModelConfig::from_json(&json, Path::new(self.name)).expect("a published config")
    }

    fn needs(&self) -> Needs {
        let config = self.config();
        let (context, limits) = (config.max_position_embeddings, Limits::default());
        let total = |precision: Precision| {
            let cache = precision.cache_dtype().into();
            (precision, MemoryPlan::new(&config, precision, cache, context, &limits).total())
        };
        Needs { name: self.name, memory: Precision::ALL.map(total).into() }
    }
}

/// Names of the extensions that this CPU has, of a list.
#[cfg(target_arch = "x86_64")]
fn cpu_features() -> Vec<&'static str> {
    macro_rules! detected {
        ($($name:tt)*) => {
            [$(($name, std::arch::is_x86_feature_detected!($name))),*]
        };
    }
    let all = detected!("sse4.2" "avx" "avx2" "fma" "f16c" "avx512f" "avx512bw" "avx512dq" "avx512vl"
        "avx512vnni" "avx512bf16");
    // The standard library does not detect it yet, nor does it know whether the system permits it.
    let amx = [("amx-bf16", Variant::Avx512Amx.is_supported())];
    all.into_iter().chain(amx).filter(|(_, there)| *there).map(|(name, _)| name).collect()
}

/// Names of the extensions that this CPU has, of a list.
#[cfg(target_arch = "aarch64")]
fn cpu_features() -> Vec<&'static str> {
    macro_rules! detected {
        ($($name:tt)*) => {
            [$(($name, std::arch::is_aarch64_feature_detected!($name))),*]
        };
    }
    let all = detected!("neon" "fp16" "dotprod" "i8mm" "bf16" "sve");
    all.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
}

/// There are kernels for no extension of other CPUs.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn cpu_features() -> Vec<&'static str> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_models_have_the_parameters_that_their_cards_count() {
        let counts = PUBLISHED.iter().map(|model| model.config().num_params());
        let billions = [1_484_916_736, 7_298_617_344, 13_716_198_400, 32_234_279_936];
        assert_eq!(counts.collect::<Vec<_>>(), billions);
    }

    #[test]
    fn less_bits_take_less_memory_and_more_parameters_more() {
        let models = host().models;
        for Needs { name, memory } in &models {
            let of = |name: &str| {
                memory.iter().find(|(precision, _)| precision.name() == name).expect(name).1
            };
            assert!(of("f32") > of("bf16"), "{name}");
            assert!(of("bf16") > of("q8_0"), "{name}");
            assert!(of("q8_0") > of("q4_0"), "{name}");
        }
        for pair in models.windows(2) {
            assert!(pair[0].memory[0].1 < pair[1].memory[0].1);
        }
    }

    #[test]
    fn what_is_chosen_is_among_what_runs() {
        let host = host();
        assert!(host.kernels.is_err() || host.runnable.contains(&host.kernels.unwrap()));
        assert!(host.runnable.contains(&Variant::Scalar));
        assert!(host.available_memory <= host.total_memory);
        assert_eq!(host.devices[0], (Device::Cpu, None));
        assert_eq!(host.runnable.contains(&Variant::Avx2), host.cpu_features.contains(&"avx2"));
    }
}
