//! The GPUs that a driver of this machine offers.

use pollster::block_on;
use wgpu::{Backends, DeviceType, Instance, InstanceDescriptor};

/// A GPU as one of its drivers offers it.
#[derive(Debug, Clone)]
pub struct Adapter {
    inner: wgpu::Adapter,
    /// The name that the driver gives, such as `NVIDIA H200`.
    pub name: String,
    /// The driver and its version.
    pub driver: String,
    /// `vulkan`, `metal` or `dx12`.
    pub api: &'static str,
    /// Whether the driver computes on the CPU.
    pub is_software: bool,
}

/// All there are, real ones first, those with memory of their own before others.
pub fn adapters() -> Vec<Adapter> {
    let instance = Instance::new(InstanceDescriptor {
        backends: Backends::VULKAN | Backends::METAL | Backends::DX12,
        ..InstanceDescriptor::new_without_display_handle()
    });
    let mut found = block_on(instance.enumerate_adapters(Backends::all()));
    found.sort_by_key(|adapter| match adapter.get_info().device_type {
        DeviceType::DiscreteGpu => 0,
        DeviceType::VirtualGpu => 1,
        DeviceType::IntegratedGpu => 2,
        DeviceType::Other => 3,
        DeviceType::Cpu => 4,
    });
    found.into_iter().filter_map(Adapter::new).collect()
}

impl Adapter {
    /// None if it cannot compute.
    fn new(inner: wgpu::Adapter) -> Option<Adapter> {
        let info = inner.get_info();
        let api = match info.backend {
            wgpu::Backend::Vulkan => "vulkan",
            wgpu::Backend::Metal => "metal",
            wgpu::Backend::Dx12 => "dx12",
            _ => return None,
        };
        Some(Adapter {
            name: info.name,
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            api,
            is_software: info.device_type == DeviceType::Cpu,
            inner,
        })
    }

    pub(crate) fn inner(&self) -> &wgpu::Adapter {
        &self.inner
    }
}
