//! Where a model goes: the device, which of its layers, and what that takes of memory.

use super::LoadOptions;
use crate::cache::CacheDType;
use crate::config::ModelConfig;
use crate::device::{Device, Engine};
use crate::dtype::TensorType;
use crate::memory::{available_memory, MemoryPlan};
use crate::precision::Precision;
#[cfg(feature = "wgpu")]
use crate::{
    device::Adapter,
    error::{human_bytes, Amount, Hint},
    memory::SplitPlan,
};
use crate::{panics, Error, Result};

/// A place that has room for the model.
pub(super) struct Place {
    pub device: Device,
    #[cfg(feature = "wgpu")]
    pub adapter: Option<Adapter>,
    pub dtype: Precision,
    pub cache_dtype: CacheDType,
    pub memory: MemoryPlan,
    /// Layers that run on a GPU, from the last on; the others run on the CPU.
    pub gpu_layers: usize,
    /// What the user should know of it.
    pub note: Option<String>,
}

/// What to try in turn.
pub(super) fn candidates(options: &LoadOptions) -> Vec<Device> {
    let mut found = options.device.candidates();
    if options.device == Device::Auto && matches!(options.dtype, Some(Precision::Mix(_))) {
        found.retain(|device| device.engine() != Engine::Candle); // it knows no blocks
    }
    found
}

/// What works on the first device where it does, and a line for each device before it. The last must work.
pub(super) fn first_that_works<T>(
    candidates: &[Device],
    mut attempt: impl FnMut(Device) -> Result<T>,
) -> Result<(T, Vec<String>)> {
    let mut lines = Vec::new();
    for (index, &device) in candidates.iter().enumerate() {
        if index + 1 == candidates.len() {
            return Ok((attempt(device)?, lines));
        }
        // A driver may panic, too.
        let error = match panics::catch(|| attempt(device)) {
            Ok(Ok(works)) => return Ok((works, lines)),
            Ok(Err(error)) => error,
            Err(panic) => Error::Internal(panic),
        };
        let reason = match error {
            Error::DeviceUnavailable { reason, .. } => reason.to_string(),
            Error::DeviceFailed { reason, .. } => reason,
            Error::NotEnoughMemory { .. } | Error::Internal(_) => error.to_string(),
            other => return Err(other),
        };
        lines.push(format!("device {device} is not used: {reason}"));
    }
    Err(Error::Internal("a model was to go to no device".into()))
}

impl Place {
    /// Fails with the reason if the device has no room.
    pub fn plan(
        device: Device,
        config: &ModelConfig,
        stored: TensorType,
        options: &LoadOptions,
    ) -> Result<Place> {
        let dtype = options.dtype.unwrap_or(match device.engine() {
            Engine::Candle => stored.float().into(),
            Engine::Cpu | Engine::Wgpu => Precision::of_stored(stored),
        });
        let cache_dtype = options.cache_dtype.unwrap_or(dtype.cache_dtype().into());
        cache_dtype.check(config.head_dim)?;
        let request = Request { config, dtype, cache_dtype, options };
        let (memory, gpu_layers) = match device.engine() {
            Engine::Cpu => (request.fit(available_memory())?, 0),
            // candle cannot say how much memory is free.
            Engine::Candle => (request.unchecked(), config.layers.len()),
            #[cfg(feature = "wgpu")]
            Engine::Wgpu => return request.on_gpu(device),
            #[cfg(not(feature = "wgpu"))]
            Engine::Wgpu => return Err(device.left_out()),
        };
        Ok(Place {
            device,
            #[cfg(feature = "wgpu")]
            adapter: None,
            dtype,
            cache_dtype,
            memory,
            gpu_layers,
            note: None,
        })
    }
}

/// What room is asked for.
struct Request<'a> {
    config: &'a ModelConfig,
    dtype: Precision,
    cache_dtype: CacheDType,
    options: &'a LoadOptions,
}

impl Request<'_> {
    fn fit(&self, free: u64) -> Result<MemoryPlan> {
        let LoadOptions { cache_tokens, ref limits, .. } = *self.options;
        MemoryPlan::fit(self.config, self.dtype, self.cache_dtype, cache_tokens, limits, free)
    }

    /// With the cache that is asked for, or else of one context.
    fn unchecked(&self) -> MemoryPlan {
        let (tokens, limits) = (self.tokens(), &self.options.limits);
        MemoryPlan::new(self.config, self.dtype, self.cache_dtype, tokens, limits)
    }

    fn tokens(&self) -> usize {
        self.options.cache_tokens.unwrap_or(self.config.max_position_embeddings)
    }
}

#[cfg(feature = "wgpu")]
impl Request<'_> {
    /// The whole model, if it fits; else, where the GPU was asked for by name, as many layers as do.
    fn on_gpu(&self, device: Device) -> Result<Place> {
        let adapter = device.adapter()?;
        let by_name = self.options.device != Device::Auto;
        if let Some(reason) = adapter.refusal(0).filter(|_| !by_name) {
            return Err(Error::DeviceUnavailable { device: adapter.name, reason });
        }
        let layers = self.config.layers.len();
        let asked = self.options.gpu_layers.map_or(layers, |count| count.min(layers));
        let free = adapter.memory().map_or(u64::MAX, |memory| memory.usable());
        if asked == layers {
            let whole = match free {
                u64::MAX => Ok(self.unchecked()),
                free => self.fit(free),
            };
            match whole {
                Ok(memory) => return Ok(self.place(device, adapter, memory)),
                Err(error) if !by_name => return Err(error),
                Err(_) => {}
            }
        }
        let most = asked.min(layers.saturating_sub(1));
        let Some(split) = SplitPlan::fit(|count| self.split(count), most, free) else {
            return Err(self.too_large(&adapter, 1, free, Hint::SmallerWeights { dtypes: &[] }));
        };
        if self.options.gpu_layers.is_some() && split.gpu_layers < asked {
            let hint = Hint::FewerGpuLayers { fits: split.gpu_layers };
            return Err(self.too_large(&adapter, asked, free, hint));
        }
        self.check_host(&split, &adapter)?;
        let note = self.note(&split, &adapter);
        let place = self.place(device, adapter, split.together());
        Ok(Place { gpu_layers: split.gpu_layers, note: Some(note), ..place })
    }

    fn place(&self, device: Device, adapter: Adapter, memory: MemoryPlan) -> Place {
        Place {
            device,
            adapter: Some(adapter),
            dtype: self.dtype,
            cache_dtype: self.cache_dtype,
            memory,
            gpu_layers: self.config.layers.len(),
            note: None,
        }
    }

    fn split(&self, gpu_layers: usize) -> SplitPlan {
        let (types, limits) = ((self.dtype, self.cache_dtype), &self.options.limits);
        SplitPlan::new(gpu_layers, self.config, types, self.tokens(), limits)
    }

    fn too_large(&self, adapter: &Adapter, gpu_layers: usize, free: u64, hint: Hint) -> Error {
        Error::NotEnoughMemory {
            what: format!("{gpu_layers} layers and the output on {}", adapter.name),
            need: Amount::Bytes(self.split(gpu_layers).gpu.total()),
            have: Some(Amount::Bytes(free)),
            hint,
        }
    }

    /// The CPU's layers need room, too, and those of a GPU that has no memory of its own.
    fn check_host(&self, split: &SplitPlan, adapter: &Adapter) -> Result<()> {
        let shared = if adapter.shares_memory { split.gpu.total() } else { 0 };
        let (need, have) = (split.host.total() + shared, available_memory());
        match need <= have {
            true => Ok(()),
            false => Err(Error::NotEnoughMemory {
                what: "the layers that run on the CPU".into(),
                need: Amount::Bytes(need),
                have: Some(Amount::Bytes(have)),
                hint: Hint::SmallerWeights { dtypes: &[] },
            }),
        }
    }

    /// What it costs that not all layers are on the GPU.
    fn note(&self, split: &SplitPlan, adapter: &Adapter) -> String {
        let layers = self.config.layers.len();
        let (on_gpu, name) = (split.gpu_layers, &adapter.name);
        let reads = human_bytes(split.host_layers);
        format!(
            "{on_gpu} of {layers} layers run on {name} and {} on the CPU, which reads {reads} of weights \
             for each token while the GPU waits",
            layers - on_gpu
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Hint;

    fn unavailable(device: Device) -> Error {
        Error::DeviceUnavailable { device: device.to_string(), reason: "its driver sleeps".into() }
    }

    #[test]
    fn a_gpu_that_does_not_open_is_passed_over_and_told() {
        let candidates = [Device::Gpu(0), Device::Gpu(1), Device::Gpu(2), Device::Cpu];
        let attempt = |device| match device {
            Device::Gpu(0) => Err(unavailable(device)),
            Device::Gpu(1) => panic!("a driver's bug"),
            Device::Gpu(_) => {
                Err(Error::DeviceFailed { device: "X".into(), reason: "it was lost".into() })
            }
            device => Ok(device),
        };
        let (device, lines) = first_that_works(&candidates, attempt).expect("the CPU works");
        assert_eq!(device, Device::Cpu);
        assert_eq!(
            lines,
            [
                "device gpu:0 is not used: its driver sleeps",
                "device gpu:1 is not used: internal error: a driver's bug",
                "device gpu:2 is not used: it was lost",
            ]
        );
    }

    #[test]
    fn what_no_device_mends_ends_the_load() {
        let candidates = [Device::Gpu(0), Device::Cpu];
        let attempt = |device: Device| -> Result<()> {
            assert_eq!(device, Device::Gpu(0), "the CPU is not tried");
            Err(Error::Cancelled)
        };
        let error = first_that_works(&candidates, attempt).expect_err("it was cancelled");
        assert_eq!(error.code(), "CANCELLED");
    }

    #[test]
    fn the_last_device_s_error_is_the_load_s() {
        let attempt = |device| -> Result<()> {
            match device {
                Device::Cpu => Err(Error::NotEnoughMemory {
                    what: "weights".into(),
                    need: crate::error::Amount::Bytes(2),
                    have: None,
                    hint: Hint::FewerRows,
                }),
                device => Err(unavailable(device)),
            }
        };
        let error = first_that_works(&[Device::Gpu(0), Device::Cpu], attempt).expect_err("no room");
        assert_eq!(error.code(), "NOT_ENOUGH_MEMORY");
        let error = first_that_works(&[Device::Gpu(0)], attempt).expect_err("it was asked for");
        assert_eq!(error.code(), "DEVICE_UNAVAILABLE");
    }
}
