//! How much memory a GPU has, which wgpu does not say: asked of Vulkan itself.

/// Bytes of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heaps {
    pub total: u64,
    /// What this process can still take of it.
    pub free: u64,
}

impl Heaps {
    /// What a model can have of the free memory: the driver keeps some for itself, and what is allocated is rounded up.
    pub fn usable(self) -> u64 {
        self.free / 20 * 19
    }
}

/// The largest heap of the device's own memory.
#[cfg(not(target_vendor = "apple"))]
pub(super) fn of(adapter: &wgpu::Adapter) -> Option<Heaps> {
    use ash::vk;

    // SAFETY: the guard is only asked, and outlives all that is asked of it.
    let adapter = unsafe { adapter.as_hal::<wgpu::hal::api::Vulkan>() }?;
    let (instance, device) = (adapter.shared_instance(), adapter.raw_physical_device());
    let capabilities = adapter.physical_device_capabilities();
    let is_known = instance.instance_api_version() >= vk::API_VERSION_1_1
        && capabilities.properties().api_version >= vk::API_VERSION_1_1;
    let mut budget = vk::PhysicalDeviceMemoryBudgetPropertiesEXT::default();
    let says_budget = capabilities.supports_extension(ash::ext::memory_budget::NAME);
    if !is_known {
        return None;
    }
    let mut properties = vk::PhysicalDeviceMemoryProperties2::default();
    if says_budget {
        properties = properties.push_next(&mut budget);
    }
    // SAFETY: the device is of this instance, both have Vulkan 1.1, and the extension is one that the device has.
    unsafe {
        instance.raw_instance().get_physical_device_memory_properties2(device, &mut properties);
    }
    let found = properties.memory_properties;
    let own = |&index: &usize| {
        found.memory_heaps[index].flags.contains(vk::MemoryHeapFlags::DEVICE_LOCAL)
    };
    let heaps = (0..found.memory_heap_count as usize).filter(own);
    let largest = heaps.max_by_key(|&index| found.memory_heaps[index].size)?;
    let total = found.memory_heaps[largest].size;
    let free = match says_budget {
        true => budget.heap_budget[largest].saturating_sub(budget.heap_usage[largest]),
        false => total,
    };
    Some(Heaps { total, free: free.min(total) })
}

/// Metal runs on Apple's own chips, which compute in the machine's memory.
#[cfg(target_vendor = "apple")]
pub(super) fn of(_adapter: &wgpu::Adapter) -> Option<Heaps> {
    None
}
