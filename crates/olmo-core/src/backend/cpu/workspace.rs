//! Memory: aligned buffers, and a store of them that activations are taken from and go back to.

use std::alloc::{alloc_zeroed, dealloc, Layout};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use memmap2::MmapMut;

use crate::error::{Amount, Hint};
use crate::{Error, Result};

/// A cache line, and the widest register.
const ALIGN: usize = 64;

/// From this size on a buffer is a mapping of its own, in huge pages where the system has them:
/// kernels read many rows at once, and each would have its own small page. Neighbouring mappings become
/// one for the system, so huge pages go on from one to the next.
const LARGE: usize = 1 << 19;
const PAGE: usize = 1 << 12;

/// Buffers made so far in this process: tests look whether a pass needs new ones.
#[doc(hidden)]
pub static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

/// Zeroed memory. A large one costs nothing until it is written.
#[derive(Debug)]
pub struct Buffer {
    start: NonNull<u8>,
    bytes: usize,
    owner: Owner,
}

#[derive(Debug)]
enum Owner {
    Heap(Layout),
    /// Only kept: the memory goes with it.
    Mapping(#[allow(dead_code)] MmapMut),
}

// SAFETY: a buffer owns its memory, and shared access only reads it.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// `what` is for the error if there is no memory, `hint` what to do about it.
    pub fn zeroed(bytes: usize, what: &str, hint: Hint) -> Result<Buffer> {
        ALLOCATED.fetch_add(1, Ordering::Relaxed);
        let buffer = match bytes < LARGE {
            true => Buffer::on_heap(bytes),
            false => Buffer::mapped(bytes),
        };
        buffer.ok_or_else(|| Error::NotEnoughMemory {
            what: what.to_owned(),
            need: Amount::Bytes(bytes as u64),
            have: None,
            hint,
        })
    }

    fn on_heap(bytes: usize) -> Option<Buffer> {
        let layout = Layout::from_size_align(bytes.max(ALIGN), ALIGN).ok()?;
        // SAFETY: the size is not zero.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Buffer { start, bytes: layout.size(), owner: Owner::Heap(layout) })
    }

    fn mapped(bytes: usize) -> Option<Buffer> {
        let bytes = bytes.checked_next_multiple_of(PAGE)?;
        let mut mapping = MmapMut::map_anon(bytes).ok()?;
        #[cfg(target_os = "linux")]
        let _ = mapping.advise(memmap2::Advice::HugePage); // a kernel without them says no
        let start = NonNull::new(mapping.as_mut_ptr())?;
        Some(Buffer { start, bytes, owner: Owner::Mapping(mapping) })
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn as_ptr(&self) -> *const u8 {
        self.start.as_ptr()
    }

    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.start.as_ptr()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Owner::Heap(layout) = self.owner {
            // SAFETY: allocated with this layout.
            unsafe { dealloc(self.start.as_ptr(), layout) }
        }
    }
}

/// Buffers nobody uses at the moment. After a few forward passes of a kind there is one for every
/// need, and nothing is allocated any more.
#[derive(Debug, Default)]
pub struct Workspace {
    free: Mutex<Vec<Buffer>>,
}

impl Workspace {
    /// `[rows, width]` numbers of any value.
    pub fn tensor(self: &Arc<Self>, rows: usize, width: usize) -> Result<Tensor> {
        let bytes = rows.saturating_mul(width).saturating_mul(size_of::<f32>());
        let buffer = match self.take(bytes) {
            Some(buffer) => buffer,
            None => Buffer::zeroed(
                // A little more than asked for, so that growing batches do not each allocate.
                bytes.max(4096).saturating_add(bytes / 8),
                "the activations of a batch",
                Hint::FewerSequences,
            )?,
        };
        Ok(Tensor { rows, width, buffer: Some(buffer), home: self.clone() })
    }

    /// A tensor without rows.
    pub fn empty(self: &Arc<Self>) -> Tensor {
        Tensor { rows: 0, width: 0, buffer: None, home: self.clone() }
    }

    /// The smallest free buffer that is large enough. If there are only smaller ones, the largest of
    /// them is given up: the number of buffers is the number once in use together.
    fn take(&self, bytes: usize) -> Option<Buffer> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = (0..free.len()).filter(|&i| free[i].bytes() >= bytes);
        if let Some(best) = fits.min_by_key(|&i| free[i].bytes()) {
            return Some(free.swap_remove(best));
        }
        if let Some(largest) = (0..free.len()).max_by_key(|&i| free[i].bytes()) {
            free.swap_remove(largest);
        }
        None
    }
}

/// Activations `[rows, width]`, row after row. Gives its buffer back when dropped.
#[derive(Debug)]
pub struct Tensor {
    pub rows: usize,
    pub width: usize,
    buffer: Option<Buffer>,
    home: Arc<Workspace>,
}

impl Tensor {
    pub fn row(&self, row: usize) -> &[f32] {
        &self[row * self.width..(row + 1) * self.width]
    }
}

impl Deref for Tensor {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &self.buffer {
            // SAFETY: the buffer is aligned, has room for that many, and every byte of it was
            // written once, if only with zeros; any bits are an f32.
            Some(buffer) => unsafe {
                std::slice::from_raw_parts(buffer.as_ptr().cast(), self.rows * self.width)
            },
            None => &[],
        }
    }
}

impl DerefMut for Tensor {
    fn deref_mut(&mut self) -> &mut [f32] {
        let len = self.rows * self.width;
        match &mut self.buffer {
            // SAFETY: as above, and we have it to ourselves.
            Some(buffer) => unsafe {
                std::slice::from_raw_parts_mut(buffer.as_mut_ptr().cast(), len)
            },
            None => &mut [],
        }
    }
}

impl Drop for Tensor {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            self.home.free.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
        }
    }
}

/// A slice that tasks write at the same time, each its own part of it.
pub struct Parts<T> {
    start: *mut T,
    len: usize,
}

// SAFETY: a part is only had through an unsafe call, which promises that no two overlap.
unsafe impl<T: Send> Sync for Parts<T> {}

impl<T> Parts<T> {
    pub fn new(slice: &mut [T]) -> Parts<T> {
        Parts { start: slice.as_mut_ptr(), len: slice.len() }
    }

    /// # Safety
    /// The slice is still borrowed for this, and no two parts in use at a time overlap.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn part(&self, range: std::ops::Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len);
        std::slice::from_raw_parts_mut(self.start.add(range.start), range.len())
    }

    /// For writers whose parts are not one range each.
    pub fn as_mut_ptr(&self) -> *mut T {
        self.start
    }
}
