//! Where a model runs.

use std::fmt;
use std::str::FromStr;

use crate::error::Message;
use crate::{Error, Result};

/// A device, as asked for by name: `cpu`, `cuda`, `cuda:N`, `metal` or `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// The best this build and machine have: CUDA, else Metal, else the CPU.
    #[default]
    Auto,
    Cpu,
    Cuda(usize),
    Metal,
}

impl FromStr for Device {
    type Err = Error;

    fn from_str(name: &str) -> Result<Device> {
        let unknown = || {
            Error::option(
                "device",
                format!("`{name}`"),
                "it must be auto, cpu, cuda, cuda:N or metal",
            )
        };
        match name {
            "auto" => Ok(Device::Auto),
            "cpu" => Ok(Device::Cpu),
            "cuda" => Ok(Device::Cuda(0)),
            "metal" => Ok(Device::Metal),
            _ => {
                let ordinal = name.strip_prefix("cuda:").ok_or_else(unknown)?;
                Ok(Device::Cuda(ordinal.parse().map_err(|_| unknown())?))
            }
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
        }
    }
}

impl Device {
    /// Turns [`Device::Auto`] into a device there is.
    pub fn resolve(self) -> Device {
        match self {
            Device::Auto => {
                let gpus = [Device::Cuda(0), Device::Metal];
                gpus.into_iter().find(|gpu| gpu.is_there()).unwrap_or(Device::Cpu)
            }
            device => device,
        }
    }

    fn is_there(self) -> bool {
        self.check().is_ok()
    }

    /// Fails with the reason if a model cannot run there.
    pub fn check(self) -> Result<()> {
        match self.resolve() {
            Device::Cpu => Ok(()),
            #[cfg(feature = "candle")]
            gpu => gpu.candle().map(drop),
            #[cfg(not(feature = "candle"))]
            gpu => Err(gpu.left_out()),
        }
    }

    /// candle's handle for the device, or the reason why there is none.
    #[cfg(feature = "candle")]
    pub fn candle(self) -> Result<candle_core::Device> {
        match self {
            Device::Auto => self.resolve().candle(),
            Device::Cpu => Ok(candle_core::Device::Cpu),
            Device::Cuda(_) if !cfg!(feature = "cuda") => Err(self.left_out()),
            Device::Cuda(ordinal) => candle_core::Device::new_cuda(ordinal).map_err(|error| {
                let reason = format!("the NVIDIA driver or the GPU is missing ({error})");
                self.unavailable(reason.into())
            }),
            Device::Metal if !cfg!(feature = "metal") => Err(self.left_out()),
            Device::Metal => candle_core::Device::new_metal(0).map_err(|error| {
                self.unavailable(format!("macOS reports no Metal GPU ({error})").into())
            }),
        }
    }

    /// The error of a device that this build cannot use.
    pub(crate) fn left_out(self) -> Error {
        let what = match self {
            Device::Metal => "this binary was built without Metal, which only macOS has; use ",
            _ => "this binary was built without CUDA; build it with `cargo build --features cuda`, or use ",
        };
        self.unavailable(Message::from(what).setting("device", "cpu"))
    }

    fn unavailable(self, reason: Message) -> Error {
        Error::DeviceUnavailable { device: self.to_string(), reason }
    }
}
