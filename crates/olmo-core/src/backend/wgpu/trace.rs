//! What was recorded, for tests of how much a pass moves: a regression then shows on a machine without a GPU.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::slice::Role;

/// Dispatches in the order in which they were recorded. Clones have the same ones.
#[derive(Debug, Clone, Default)]
pub struct Trace(Arc<Mutex<Traced>>);

#[derive(Debug, Default)]
struct Traced {
    dispatches: Vec<Dispatch>,
    made: usize,
}

#[derive(Debug, Clone)]
pub struct Dispatch {
    pub kernel: String,
    pub groups: [u32; 3],
    pub bindings: Vec<Binding>,
}

/// A part of a buffer that a kernel read or wrote.
#[derive(Debug, Clone)]
pub struct Binding {
    pub role: Role,
    pub bytes: usize,
    /// Bytes between the device's memory and the kernel.
    pub moved: usize,
    pub is_written: bool,
}

impl Trace {
    pub(super) fn add(&self, dispatch: Dispatch) {
        self.traced().dispatches.push(dispatch);
    }

    pub(super) fn made(&self, count: usize) {
        self.traced().made += count;
    }

    /// What was recorded since the last time.
    pub fn take(&self) -> Vec<Dispatch> {
        std::mem::take(&mut self.traced().dispatches)
    }

    /// How many buffers and bind groups were made since the last time.
    pub fn take_made(&self) -> usize {
        std::mem::take(&mut self.traced().made)
    }

    fn traced(&self) -> MutexGuard<'_, Traced> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
