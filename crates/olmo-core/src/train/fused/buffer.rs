//! Memory of activations and their gradients, kept from one step to the next.
//!
//! Every step needs the same sizes again. Handing them back to the system and asking anew would
//! cost a page fault for each 4 KiB touched.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};

/// Free buffers by length.
#[derive(Clone, Default)]
pub(super) struct Pool(Arc<Mutex<HashMap<usize, Vec<Vec<f32>>>>>);

impl Pool {
    /// A buffer of `len` numbers, whatever they were last used for.
    pub(super) fn take(&self, len: usize) -> Buffer {
        let free = self.free().get_mut(&len).and_then(Vec::pop);
        Buffer { data: free.unwrap_or_else(|| vec![0.0; len]), pool: self.clone() }
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
        self.pool.free().entry(data.len()).or_default().push(data);
    }
}
