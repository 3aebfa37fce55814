//! Where a model runs.

#[cfg(feature = "wgpu")]
mod adapter;
#[cfg(feature = "wgpu")]
mod heaps;
#[cfg(feature = "wgpu")]
mod instance;
mod loss;

use std::fmt;
use std::str::FromStr;

#[cfg(feature = "wgpu")]
pub use adapter::Adapter;
#[cfg(feature = "wgpu")]
pub use heaps::Heaps;
pub use loss::lose_gpus;
#[cfg(feature = "wgpu")]
pub(crate) use loss::losses;

use crate::error::Message;
use crate::{Error, Result};

/// A device, as asked for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// The best this build and machine have: CUDA, else Metal, else a GPU with enough memory, else the CPU.
    #[default]
    Auto,
    Cpu,
    Cuda(usize),
    Metal,
    /// A GPU of any maker, by its place among those of this machine.
    Gpu(usize),
    /// The first GPU that Vulkan finds.
    Vulkan,
    /// The first GPU that DirectX 12 finds.
    Dx12,
    /// A driver that computes on the CPU, for tests.
    SoftwareGpu,
}

/// The names there are, as a message has them.
const NAMES: &str = "auto, cpu, cuda, cuda:N, metal, gpu, gpu:N, vulkan, dx12 or software-gpu";

impl FromStr for Device {
    type Err = Error;

    fn from_str(name: &str) -> Result<Device> {
        let unknown =
            || Error::option("device", format!("`{name}`"), format!("it must be {NAMES}"));
        let ordinal = |ordinal: &str| ordinal.parse().map_err(|_| unknown());
        match (name, name.split_once(':')) {
            ("auto", _) => Ok(Device::Auto),
            ("cpu", _) => Ok(Device::Cpu),
            ("cuda", _) => Ok(Device::Cuda(0)),
            ("metal", _) => Ok(Device::Metal),
            ("gpu", _) => Ok(Device::Gpu(0)),
            ("vulkan", _) => Ok(Device::Vulkan),
            ("dx12", _) => Ok(Device::Dx12),
            ("software-gpu", _) => Ok(Device::SoftwareGpu),
            (_, Some(("cuda", number))) => Ok(Device::Cuda(ordinal(number)?)),
            (_, Some(("gpu", number))) => Ok(Device::Gpu(ordinal(number)?)),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Auto => write!(f, "auto"),
            Device::Cpu => write!(f, "cpu"),
            Device::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
            Device::Metal => write!(f, "metal"),
            Device::Gpu(ordinal) => write!(f, "gpu:{ordinal}"),
            Device::Vulkan => write!(f, "vulkan"),
            Device::Dx12 => write!(f, "dx12"),
            Device::SoftwareGpu => write!(f, "software-gpu"),
        }
    }
}

/// Which backend runs a model on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Cpu,
    Candle,
    Wgpu,
}

impl Device {
    /// Turns [`Device::Auto`] into a device there is that can train.
    pub fn resolve(self) -> Device {
        match self {
            Device::Auto => Device::of_candle().unwrap_or(Device::Cpu),
            device => device,
        }
    }

    /// What to try in turn: the device itself, or for [`Device::Auto`] all that are not software, ending with the CPU.
    pub(crate) fn candidates(self) -> Vec<Device> {
        match self {
            Device::Auto => {
                let own = (0..real_gpus()).map(Device::Gpu);
                Device::of_candle().into_iter().chain(own).chain([Device::Cpu]).collect()
            }
            device => vec![device],
        }
    }

    /// The GPU that candle runs.
    fn of_candle() -> Option<Device> {
        let usable = |gpu: &Device| gpu.engine() == Engine::Candle && gpu.check().is_ok();
        [Device::Cuda(0), Device::Metal].into_iter().find(usable)
    }

    /// candle runs CUDA, and Metal where it was built in; own kernels run all other GPUs.
    pub(crate) fn engine(self) -> Engine {
        match self {
            Device::Auto => self.resolve().engine(),
            Device::Cpu => Engine::Cpu,
            Device::Cuda(_) => Engine::Candle,
            Device::Metal if cfg!(feature = "metal") => Engine::Candle,
            Device::Metal
            | Device::Gpu(_)
            | Device::Vulkan
            | Device::Dx12
            | Device::SoftwareGpu => Engine::Wgpu,
        }
    }

    /// Whether there is a backward pass for the device, in some build.
    pub(crate) fn can_train(self) -> bool {
        !matches!(self, Device::Gpu(_) | Device::Vulkan | Device::Dx12 | Device::SoftwareGpu)
    }

    /// Fails with the reason if a model cannot run there.
    pub fn check(self) -> Result<()> {
        match self.engine() {
            Engine::Cpu => Ok(()),
            #[cfg(feature = "candle")]
            Engine::Candle => self.candle().map(drop),
            #[cfg(not(feature = "candle"))]
            Engine::Candle => Err(self.left_out()),
            #[cfg(feature = "wgpu")]
            Engine::Wgpu => self.adapter().map(drop),
            #[cfg(not(feature = "wgpu"))]
            Engine::Wgpu => Err(self.left_out()),
        }
    }

    /// The GPU behind the name, or the reason why there is none.
    #[cfg(feature = "wgpu")]
    pub fn adapter(self) -> Result<Adapter> {
        let api = match self {
            Device::Metal => Some("metal"),
            Device::Vulkan => Some("vulkan"),
            Device::Dx12 => Some("dx12"),
            _ => None,
        };
        let place = if let Device::Gpu(place) = self { place } else { 0 };
        let is_software = self == Device::SoftwareGpu;
        let fits = |(device, adapter): &(Device, Adapter)| match (self, api) {
            (Device::Gpu(_), _) => matches!(device, Device::Gpu(_)),
            (_, api) => {
                adapter.is_software == is_software && api.is_none_or(|api| adapter.api == api)
            }
        };
        let mut found = gpus();
        found.retain(fits);
        if place < found.len() {
            return Ok(found.swap_remove(place).1);
        }
        let reason = match (found.len(), is_software) {
            (0, true) => {
                "no driver here computes on the CPU; Debian's is mesa-vulkan-drivers".into()
            }
            (0, false) => {
                Message::from("no driver here offers such a GPU; use ").setting("device", "cpu")
            }
            (1, _) => Message::from("this machine has one GPU; use ").setting("device", "gpu:0"),
            (count, _) => format!("this machine has {count} GPUs, the first is gpu:0").into(),
        };
        Err(self.unavailable(reason))
    }

    /// candle's handle for the device, or the reason why there is none.
    #[cfg(feature = "candle")]
    pub fn candle(self) -> Result<candle_core::Device> {
        match self {
            Device::Auto => self.resolve().candle(),
            Device::Cuda(_) if !cfg!(feature = "cuda") => Err(self.left_out()),
            Device::Cuda(ordinal) => candle_core::Device::new_cuda(ordinal).map_err(|error| {
                let reason = format!("the NVIDIA driver or the GPU is missing ({error})");
                self.unavailable(reason.into())
            }),
            Device::Metal if !cfg!(feature = "metal") => Err(self.left_out()),
            Device::Metal => candle_core::Device::new_metal(0).map_err(|error| {
                self.unavailable(format!("macOS reports no Metal GPU ({error})").into())
            }),
            Device::Cpu => Ok(candle_core::Device::Cpu),
            Device::Gpu(_) | Device::Vulkan | Device::Dx12 | Device::SoftwareGpu => {
                Err(self
                    .unavailable(Message::from("it cannot train; use ").setting("device", "cpu")))
            }
        }
    }

    /// The error of a device that this build cannot use.
    pub(crate) fn left_out(self) -> Error {
        let what = match self {
            Device::Metal => "this binary was built without Metal, which only macOS has; use ",
            _ if self.engine() == Engine::Wgpu => "this binary was built without GPUs; build it with `cargo build --features wgpu`, or use ",
            _ => "this binary was built without CUDA; build it with `cargo build --features cuda`, or use ",
        };
        self.unavailable(Message::from(what).setting("device", "cpu"))
    }

    fn unavailable(self, reason: Message) -> Error {
        Error::DeviceUnavailable { device: self.to_string(), reason }
    }
}

/// GPUs that [`Device::Gpu`] counts. No driver is loaded to find that there are none.
fn real_gpus() -> usize {
    #[cfg(feature = "wgpu")]
    if adapter::may_exist() {
        return gpus().iter().filter(|(device, _)| matches!(device, Device::Gpu(_))).count();
    }
    0
}

/// All GPUs that drivers of this machine offer, with the device that each is: real ones first, those with memory of
/// their own before others.
#[cfg(feature = "wgpu")]
pub fn gpus() -> Vec<(Device, Adapter)> {
    let found = adapter::adapters();
    let known = |adapter: &Adapter| (adapter.name.clone(), adapter.api, adapter.is_software);
    let known: Vec<_> = found.iter().map(known).collect();
    devices_of(&known).into_iter().zip(found).collect()
}

/// The devices of adapters, of which name, interface and whether they are software are given. Windows offers the same
/// GPU over Vulkan and DirectX; it counts once.
#[cfg(feature = "wgpu")]
fn devices_of(adapters: &[(String, &str, bool)]) -> Vec<Device> {
    let mut count = 0;
    let device = |(name, api, is_software): &(String, &str, bool)| {
        let is_same = |(other, of, _): &(String, &str, bool)| *of == "vulkan" && other == name;
        match (*is_software, *api) {
            (true, _) => Device::SoftwareGpu,
            (false, "dx12") if adapters.iter().any(is_same) => Device::Dx12,
            _ => {
                count += 1;
                Device::Gpu(count - 1)
            }
        }
    };
    adapters.iter().map(device).collect()
}

#[cfg(all(test, feature = "wgpu"))]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_that_two_interfaces_offer_counts_once() {
        let of = |name: &str, api, is_software| (name.to_owned(), api, is_software);
        let adapters = [
            of("A", "vulkan", false),
            of("A", "dx12", false),
            of("A", "vulkan", false),
            of("B", "dx12", false),
            of("C", "vulkan", true),
        ];
        assert_eq!(
            devices_of(&adapters),
            [Device::Gpu(0), Device::Dx12, Device::Gpu(1), Device::Gpu(2), Device::SoftwareGpu]
        );
    }

    #[test]
    fn auto_ends_with_the_cpu_and_tries_no_software() {
        let candidates = Device::Auto.candidates();
        assert_eq!(candidates.last(), Some(&Device::Cpu));
        assert!(!candidates.contains(&Device::SoftwareGpu));
        assert_eq!(Device::SoftwareGpu.candidates(), [Device::SoftwareGpu]);
    }
}
