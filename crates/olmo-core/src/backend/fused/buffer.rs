//! Memory of activations and their gradients, kept from one step to the next.
//!
//! Every step needs the same sizes again. Handing them back to the system and asking anew would
//! cost a page fault for each 4 KiB touched.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};

/// Free buffers by capacity.
#[derive(Clone, Default)]
pub(super) struct Pool(Arc<Mutex<HashMap<usize, Vec<Vec<f32>>>>>);

/// A capacity for `len` numbers, at most an eighth too large: texts have many lengths, and a buffer of each
/// would stay for ever.
fn capacity(len: usize) -> usize {
    len.next_multiple_of((len.next_power_of_two() / 16).max(1))
}

impl Pool {
    /// A buffer of `len` numbers, whatever they were last used for.
    pub(super) fn take(&self, len: usize) -> Buffer {
        let capacity = capacity(len);
        let free = self.free().get_mut(&capacity).and_then(Vec::pop);
        let mut data = free.unwrap_or_else(|| Vec::with_capacity(capacity));
        data.resize(len, 0.0);
        Buffer { data, capacity, pool: self.clone() }
    }

    /// A buffer with the same numbers.
    pub(super) fn copy(&self, values: &[f32]) -> Buffer {
        let mut buffer = self.take(values.len());
        buffer.copy_from_slice(values);
        buffer
    }

    fn free(&self) -> std::sync::MutexGuard<'_, HashMap<usize, Vec<Vec<f32>>>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Numbers on loan from a [`Pool`], to which they return when dropped.
pub(super) struct Buffer {
    data: Vec<f32>,
    capacity: usize,
    pool: Pool,
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.data
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let data = std::mem::take(&mut self.data);
        self.pool.free().entry(self.capacity).or_default().push(data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_are_close_share_memory() {
        let pool = Pool::default();
        for len in (1..5000).chain((1..5000).rev()) {
            let buffer = pool.take(len);
            assert_eq!(buffer.len(), len);
            assert!(buffer.capacity <= len + len / 8 + 1, "{len}");
        }
        let kept: usize = pool.free().iter().map(|(capacity, free)| capacity * free.len()).sum();
        assert!(pool.free().len() <= 16 * 13 && kept < 1 << 19, "{kept} numbers stay");
    }
}
