//! Buffers of passes, used again: a pass after the first allocates nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wgpu::{Buffer, BufferDescriptor, BufferUsages, Device};

/// Free buffers by their size.
///
/// A buffer may be taken again while commands that use it wait to be sent: the device runs all in the order in which
/// they were recorded.
#[derive(Default)]
pub(super) struct Pool {
    free: Mutex<HashMap<u64, Vec<Numbered>>>,
    /// Buffers that there are.
    count: AtomicUsize,
}

/// The oldest free buffer is taken first. So a pass finds the buffers that the one before it found, each in its place,
/// and the bind groups that were made for that one do for this one too.
struct Numbered {
    number: usize,
    buffer: Buffer,
}

/// A buffer that goes back into its pool when it is dropped.
pub struct Pooled {
    numbered: Option<Numbered>,
    pool: Arc<Pool>,
}

impl Pool {
    /// A buffer of so many bytes or more.
    pub fn take(pool: &Arc<Pool>, device: &Device, bytes: u64) -> Pooled {
        let size = size_class(bytes);
        let mut free = pool.free.lock().unwrap_or_else(PoisonError::into_inner);
        let numbered = free.get_mut(&size).and_then(Vec::pop).unwrap_or_else(|| {
            let buffer = device.create_buffer(&BufferDescriptor {
                label: Some("scratch"),
                size,
                usage: BufferUsages::STORAGE | BufferUsages::COPY_DST | BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            });
            Numbered { number: pool.count.fetch_add(1, Ordering::Relaxed), buffer }
        });
        Pooled { numbered: Some(numbered), pool: pool.clone() }
    }

    /// How many buffers were ever made.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

/// An eighth of a power of two at most is left over, so that batches of similar sizes share buffers.
fn size_class(bytes: u64) -> u64 {
    let step = (bytes.max(256).next_power_of_two() / 8).max(256);
    bytes.max(1).next_multiple_of(step)
}

impl Pooled {
    pub(super) fn buffer(&self) -> &Buffer {
        &self.numbered.as_ref().expect("it leaves only when it is dropped").buffer
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        if let Some(numbered) = self.numbered.take() {
            let mut free = self.pool.free.lock().unwrap_or_else(PoisonError::into_inner);
            let free = free.entry(numbered.buffer.size()).or_default();
            // The oldest is the last.
            let at = free.partition_point(|other| other.number > numbered.number);
            free.insert(at, numbered);
        }
    }
}
