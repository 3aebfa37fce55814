//! The way to all drivers.

use std::sync::OnceLock;

use wgpu::Instance;

/// None if there is no driver at all. Made once, since it loads them; they stay loaded, because some crash on being
/// unloaded.
pub(super) fn instance() -> Option<&'static Instance> {
    static INSTANCE: OnceLock<Option<Instance>> = OnceLock::new();
    INSTANCE.get_or_init(open).as_ref()
}

/// Without the interfaces to windows: where they are asked for, a layer of Mesa's looks for a screen, and complains on
/// standard error that there is none.
#[cfg(target_os = "linux")]
fn open() -> Option<Instance> {
    use ash::khr::{wayland_surface, xcb_surface, xlib_surface};
    use wgpu::hal::{api, vulkan, InstanceDescriptor};

    let descriptor = InstanceDescriptor {
        name: "olmo2",
        flags: wgpu::InstanceFlags::empty(),
        memory_budget_thresholds: wgpu::MemoryBudgetThresholds::default(),
        backend_options: wgpu::BackendOptions::default(),
        telemetry: None,
        display: None,
    };
    let windows = [wayland_surface::NAME, xcb_surface::NAME, xlib_surface::NAME];
    let without_windows = move |given: vulkan::CreateInstanceCallbackArgs<'_, '_, '_>| {
        given.extensions.retain(|name| !windows.contains(name));
    };
    // SAFETY: what is left out is what systems without a screen do not offer either; wgpu uses it for surfaces alone, of
    // which none is made, and looks into this list before.
    let instance = unsafe {
        vulkan::Instance::init_with_callback(&descriptor, Some(Box::new(without_windows)))
    };
    // SAFETY: it was made above, and goes over to wgpu.
    instance.ok().map(|instance| unsafe { Instance::from_hal::<api::Vulkan>(instance) })
}

#[cfg(not(target_os = "linux"))]
fn open() -> Option<Instance> {
    use wgpu::{Backends, InstanceDescriptor};

    Some(Instance::new(InstanceDescriptor {
        backends: Backends::VULKAN | Backends::METAL | Backends::DX12,
        ..InstanceDescriptor::new_without_display_handle()
    }))
}
