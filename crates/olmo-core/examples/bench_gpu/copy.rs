//! How fast a GPU copies its own memory: what a step of decoding is held against.

use std::time::Instant;

use pollster::block_on;
use wgpu::{
    Backends, Buffer, BufferDescriptor, BufferUsages, CommandEncoderDescriptor, DeviceDescriptor,
    Instance, InstanceDescriptor, PollType,
};

const COPIES: usize = 10;

/// Bytes read and written in a second, of the best of a few runs over two buffers of so many bytes, or of as many as one
/// buffer may have.
pub fn bandwidth(name: &str, bytes: usize) -> f64 {
    let instance = Instance::new(InstanceDescriptor {
        backends: Backends::VULKAN | Backends::METAL | Backends::DX12,
        ..InstanceDescriptor::new_without_display_handle()
    });
    let found = block_on(instance.enumerate_adapters(Backends::all()));
    let adapter = found.into_iter().find(|adapter| adapter.get_info().name == name);
    let adapter = adapter.expect("the adapter that was found before");
    let limits = adapter.limits();
    let bytes = (bytes as u64).min(limits.max_buffer_size) / 4 * 4;
    let descriptor = DeviceDescriptor { required_limits: limits, ..DeviceDescriptor::default() };
    let (device, queue) = block_on(adapter.request_device(&descriptor)).expect("a device");
    let buffer = || -> Buffer {
        device.create_buffer(&BufferDescriptor {
            label: None,
            size: bytes,
            usage: BufferUsages::COPY_SRC | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    };
    let (from, into) = (buffer(), buffer());
    let copy = || {
        let mut encoder = device.create_command_encoder(&CommandEncoderDescriptor::default());
        for _ in 0..COPIES {
            encoder.copy_buffer_to_buffer(&from, 0, &into, 0, bytes);
        }
        let began = Instant::now();
        queue.submit([encoder.finish()]);
        device.poll(PollType::wait_indefinitely()).expect("the copies end");
        2.0 * (COPIES as u64 * bytes) as f64 / began.elapsed().as_secs_f64()
    };
    copy(); // the first also fills the buffers with zeros
    (0..5).map(|_| copy()).fold(0.0, f64::max)
}
