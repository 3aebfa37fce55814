//! The GPUs that a driver of this machine offers.

use pollster::block_on;
use wgpu::{Backends, CooperativeScalarType, DeviceType, Features};

use super::heaps::{self, Heaps};
use super::instance::instance;
use crate::error::{human_bytes, Message};
use crate::machine::{available_memory, total_memory};
use crate::panics;

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
    /// Whether it computes in the machine's own memory.
    pub shares_memory: bool,
    /// What it has that kernels can make use of, such as `f16`.
    pub features: Vec<&'static str>,
}

/// Features that kernels can make use of. Not all cooperative matrices are of a size and type that they can.
const FEATURES: [(Features, &str); 4] = [
    (Features::SHADER_F16, "f16"),
    (Features::SUBGROUP, "subgroups"),
    (Features::EXPERIMENTAL_COOPERATIVE_MATRIX, COOPERATIVE_MATRICES),
    (Features::TIMESTAMP_QUERY, "timestamps"),
];
const COOPERATIVE_MATRICES: &str = "cooperative-matrices";

/// All there are, real ones first, those with memory of their own before others. None if a driver panics.
pub(super) fn adapters() -> Vec<Adapter> {
    panics::catch(found).unwrap_or_default()
}

fn found() -> Vec<Adapter> {
    let Some(instance) = instance() else { return Vec::new() };
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

/// Whether a real GPU may be here, found out without loading a driver.
pub(super) fn may_exist() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    let renders = || {
        let mut nodes = std::fs::read_dir("/dev/dri").into_iter().flatten().flatten();
        nodes.any(|node| node.file_name().to_string_lossy().starts_with("renderD"))
    };
    // Of NVIDIA's own driver, of Windows's subsystem for Linux, and of two makers of telephones.
    let nodes = ["/dev/nvidiactl", "/dev/dxg", "/dev/kgsl-3d0", "/dev/mali0"];
    renders() || nodes.iter().any(|node| std::path::Path::new(node).exists())
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
        let has = inner.features();
        let features = FEATURES.iter().filter(|(feature, name)| {
            has.contains(*feature)
                && (*name != COOPERATIVE_MATRICES || cooperative_side(&inner).is_some())
        });
        Some(Adapter {
            name: info.name,
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            api,
            is_software: info.device_type == DeviceType::Cpu,
            shares_memory: matches!(info.device_type, DeviceType::Cpu | DeviceType::IntegratedGpu),
            features: features.map(|(_, name)| *name).collect(),
            inner,
        })
    }

    pub(crate) fn inner(&self) -> &wgpu::Adapter {
        &self.inner
    }

    /// Rows and columns of the cooperative matrices that kernels can use, if it has any.
    pub(crate) fn cooperative_side(&self) -> Option<u32> {
        self.features.contains(&COOPERATIVE_MATRICES).then(|| cooperative_side(&self.inner))?
    }

    /// The memory that it computes in; None if its driver does not say.
    pub fn memory(&self) -> Option<Heaps> {
        let told = heaps::of(&self.inner);
        match self.shares_memory {
            false => told,
            true => {
                let (total, free) = (total_memory(), available_memory());
                let Heaps { total: most, free: left } = told.unwrap_or(Heaps { total, free });
                Some(Heaps { total: total.min(most), free: free.min(left) })
            }
        }
    }

    /// Why a model that needs so many bytes is not put there unless it is asked for by name.
    pub fn refusal(&self, need: u64) -> Option<Message> {
        refusal(self.is_software, self.memory(), need)
    }
}

/// Of square matrices in f16 with sums in f32: the largest that kernels are written for.
fn cooperative_side(adapter: &wgpu::Adapter) -> Option<u32> {
    let kinds = adapter.cooperative_matrix_properties();
    let is_there = |&side: &u32| {
        kinds.iter().any(|kind| {
            [kind.m_size, kind.n_size, kind.k_size] == [side; 3]
                && kind.ab_type == CooperativeScalarType::F16
                && kind.cr_type == CooperativeScalarType::F32
        })
    };
    [16, 8].into_iter().find(is_there)
}

fn refusal(is_software: bool, memory: Option<Heaps>, need: u64) -> Option<Message> {
    if is_software {
        let words = "its driver computes on the CPU, so it is taken only with ";
        return Some(Message::from(words).setting("device", "software-gpu"));
    }
    let Some(memory) = memory else {
        let words = "its driver does not say how much memory it has, so it is taken only with ";
        return Some(Message::from(words).setting("device", "gpu"));
    };
    (need > memory.usable()).then(|| {
        let [need, free] = [need, memory.usable()].map(human_bytes);
        Message::from(format!("{need} are needed, and {free} of its memory can be had"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_software_driver_and_one_that_is_silent_are_never_chosen() {
        let plenty = Some(Heaps { total: 1 << 40, free: 1 << 40 });
        let text = |refusal: Option<Message>| refusal.map(|message| message.to_string());
        assert!(text(refusal(true, plenty, 0)).unwrap().contains("device software-gpu"));
        assert!(text(refusal(false, None, 0)).unwrap().contains("device gpu"));
    }

    #[test]
    fn a_gpu_is_chosen_if_its_free_memory_is_enough() {
        let memory = Some(Heaps { total: 100 << 30, free: 20 << 30 });
        assert_eq!(refusal(false, memory, 19 << 30), None);
        let told = refusal(false, memory, 20 << 30).expect("none is left for the driver");
        assert_eq!(told.to_string(), "20 GiB are needed, and 19 GiB of its memory can be had");
    }

    #[test]
    fn what_a_software_driver_says_of_itself_agrees_with_the_machine() {
        let Some(adapter) = adapters().into_iter().find(|adapter| adapter.is_software) else {
            println!("not run: what_a_software_driver_says_of_itself: there is none");
            return;
        };
        let memory = adapter.memory().expect("it shares the machine's");
        assert!(memory.total <= total_memory() && memory.free <= memory.total);
        assert!(memory.free > 0 && memory.usable() < memory.free);
        assert!(adapter.shares_memory && !adapter.name.is_empty());
    }
}
