//! A kernel as the device runs it.

use wgpu::{
    BindGroupLayout, BindGroupLayoutDescriptor, BindGroupLayoutEntry, BindingType,
    BufferBindingType, ComputePipeline, ComputePipelineDescriptor, Device,
    PipelineCompilationOptions, PipelineLayoutDescriptor, ShaderModuleDescriptor,
    ShaderRuntimeChecks, ShaderSource, ShaderStages,
};

use super::kernels::{Kernel, Sums};

pub(super) struct Program {
    pub pipeline: ComputePipeline,
    /// Binding 0 is the parameters, whose place in their buffer is given with each dispatch.
    pub layout: BindGroupLayout,
    /// Of the bindings from 1 on: whether the kernel writes it.
    pub writes: Vec<bool>,
}

impl Program {
    pub fn compile(device: &Device, kernel: Kernel, sums: &Sums) -> Program {
        let name = format!("{kernel:?}");
        let source = kernel.source(sums);
        let writes = writes(&source);
        let layout = layout(device, &name, &writes);
        let descriptor = ShaderModuleDescriptor {
            label: Some(&name),
            source: ShaderSource::Wgsl(source.into()),
        };
        // Bounds stay checked, by the hardware where it can.
        let checks = ShaderRuntimeChecks {
            force_loop_bounding: false,
            int_div_checks: false,
            ..ShaderRuntimeChecks::checked()
        };
        // SAFETY: every loop of our kernels counts up or down to a bound, and no parameter that they divide by is
        // zero: the host has checked sizes before it records a kernel.
        let module = unsafe { device.create_shader_module_trusted(descriptor, checks) };
        let pipeline_layout = device.create_pipeline_layout(&PipelineLayoutDescriptor {
            label: Some(&name),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_compute_pipeline(&ComputePipelineDescriptor {
            label: Some(&name),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            // They read nothing in shared memory that they have not written.
            compilation_options: PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        Program { pipeline, layout, writes }
    }
}

/// Which of the bindings from 1 on a source writes.
fn writes(source: &str) -> Vec<bool> {
    let declared = source.lines().filter_map(|line| {
        let (binding, rest) = line.strip_prefix("@group(0) @binding(")?.split_once(") ")?;
        let access = rest.strip_prefix("var<storage, ")?;
        Some((binding.parse::<usize>().ok()?, access.starts_with("read_write")))
    });
    let mut declared: Vec<(usize, bool)> = declared.collect();
    declared.sort_unstable();
    declared.into_iter().map(|(_, is_written)| is_written).collect()
}

fn layout(device: &Device, name: &str, writes: &[bool]) -> BindGroupLayout {
    let entry = |binding, ty, has_dynamic_offset| BindGroupLayoutEntry {
        binding,
        visibility: ShaderStages::COMPUTE,
        ty: BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
        count: None,
    };
    let mut entries = vec![entry(0, BufferBindingType::Uniform, true)];
    entries.extend((1..).zip(writes).map(|(binding, is_written)| {
        entry(binding, BufferBindingType::Storage { read_only: !is_written }, false)
    }));
    device.create_bind_group_layout(&BindGroupLayoutDescriptor {
        label: Some(name),
        entries: &entries,
    })
}
