//! What the engine finds on this machine.

use napi::bindgen_prelude::Env;
use napi_derive::napi;
use olmo_core::host as core;

use crate::error::{promise_blocking, Promise};

/// Looks at this machine: its CPU, its memory, its devices.
#[napi(catch_unwind, ts_return_type = "Promise<Host>")]
pub fn host(env: &Env) -> Promise<Host> {
    promise_blocking(env, || Ok(core::host().into()))
}

/// The GPUs that drivers of this machine offer, and why a model that takes so many bytes goes to none by itself.
#[napi(catch_unwind, ts_return_type = "Promise<Array<Gpu>>")]
pub fn gpus(env: &Env, need: f64) -> Promise<Vec<Gpu>> {
    promise_blocking(env, move || Ok(core::gpus(need as u64).into_iter().map(Gpu::from).collect()))
}

/// Loses every GPU that a model of this process runs on, as a driver does that resets it: for the tests of this package.
#[napi(catch_unwind)]
pub fn lose_gpus() {
    olmo_core::device::lose_gpus();
}

#[napi(object, object_from_js = false)]
pub struct Host {
    /// The kernels that are used; undefined if the environment names others than there are
    pub kernels: Option<String>,
    /// What is wrong with them
    pub kernels_error: Option<String>,
    pub runnable: Vec<String>,
    pub cpu_features: Vec<String>,
    pub threads: u32,
    pub total_memory: f64,
    pub available_memory: f64,
    pub devices: Vec<FoundDevice>,
    pub gpus: Vec<Gpu>,
    pub models: Vec<ModelNeeds>,
}

#[napi(object, object_from_js = false)]
pub struct FoundDevice {
    pub name: String,
    /// Why it cannot be used; undefined if it can
    pub reason: Option<String>,
}

#[napi(object, object_from_js = false)]
pub struct Gpu {
    pub device: String,
    pub name: String,
    pub driver: String,
    pub api: String,
    /// In bytes; undefined if its driver does not say
    pub memory: Option<GpuMemory>,
    pub features: Vec<String>,
    /// Why the cooperative matrices that it has are not used; undefined if they are, or it has none
    pub no_cooperative_matrices: Option<String>,
    /// Why a model goes there only if it is told to; undefined if it does by itself
    pub reason: Option<String>,
}

#[napi(object, object_from_js = false)]
pub struct GpuMemory {
    pub total: f64,
    pub available: f64,
}

#[napi(object, object_from_js = false)]
pub struct ModelNeeds {
    pub name: String,
    pub memory: Vec<NeededMemory>,
}

/// In bytes
#[napi(object, object_from_js = false)]
pub struct NeededMemory {
    pub dtype: String,
    pub bytes: f64,
}

impl From<core::Host> for Host {
    fn from(host: core::Host) -> Self {
        let devices = host
            .devices
            .into_iter()
            .map(|(device, reason)| FoundDevice { name: device.to_string(), reason });
        Host {
            kernels: host.kernels.as_ref().ok().map(|variant| variant.name().into()),
            kernels_error: host.kernels.err().map(|error| error.to_string()),
            runnable: host.runnable.iter().map(|variant| variant.name().into()).collect(),
            cpu_features: host.cpu_features.into_iter().map(Into::into).collect(),
            threads: host.threads as u32,
            total_memory: host.total_memory as f64,
            available_memory: host.available_memory as f64,
            devices: devices.collect(),
            gpus: host.gpus.into_iter().map(Gpu::from).collect(),
            models: host.models.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<core::Gpu> for Gpu {
    fn from(gpu: core::Gpu) -> Self {
        let memory = |(total, free)| GpuMemory { total: total as f64, available: free as f64 };
        Gpu {
            device: gpu.device.to_string(),
            name: gpu.name,
            driver: gpu.driver,
            api: gpu.api.into(),
            memory: gpu.memory.map(memory),
            features: gpu.features.into_iter().map(Into::into).collect(),
            no_cooperative_matrices: gpu.no_cooperative_matrices,
            reason: gpu.reason,
        }
    }
}

impl From<core::Needs> for ModelNeeds {
    fn from(needs: core::Needs) -> Self {
        let memory = needs
            .memory
            .into_iter()
            .map(|(dtype, bytes)| NeededMemory { dtype: dtype.name().into(), bytes: bytes as f64 });
        ModelNeeds { name: needs.name.into(), memory: memory.collect() }
    }
}
