//! What was recorded: how much a pass moves, for tests that show a regression on a machine without a GPU, and how long its
//! kernels take, to see what to mend.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::slice::Role;

/// Dispatches in the order in which they were recorded. Clones have the same ones.
#[derive(Debug, Clone, Default)]
pub struct Trace(Arc<Mutex<Traced>>);

#[derive(Debug, Default)]
struct Traced {
    notes: Notes,
    dispatches: Vec<Dispatch>,
    made: usize,
    read: usize,
}

/// What is noted of a dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Notes {
    Nothing,
    /// The kernel and the bytes that it moves.
    #[default]
    Bytes,
    /// Also how long it takes. The host then waits for the device whenever it sends commands.
    Times,
}

#[derive(Debug, Clone)]
pub struct Dispatch {
    pub kernel: String,
    pub groups: [u32; 3],
    pub bindings: Vec<Binding>,
    /// What it took on the device, if that is noted and done.
    pub nanoseconds: Option<f64>,
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

/// The dispatches of one kernel over as many workgroups.
#[derive(Debug, Clone)]
pub struct KernelTimes {
    pub kernel: String,
    pub groups: [u32; 3],
    pub count: usize,
    /// Bytes that all of them move.
    pub moved: usize,
    /// What all of them took.
    pub nanoseconds: f64,
}

impl Trace {
    /// Changes what is noted from now on.
    pub fn note(&self, notes: Notes) {
        self.traced().notes = notes;
    }

    pub(super) fn notes(&self) -> Notes {
        self.traced().notes
    }

    pub(super) fn add(&self, dispatch: Dispatch) {
        self.traced().dispatches.push(dispatch);
    }

    pub(super) fn made(&self, count: usize) {
        self.traced().made += count;
    }

    /// Gives times to the dispatches that have none yet.
    pub(super) fn fill(&self, times: impl Iterator<Item = f64>) {
        let mut traced = self.traced();
        let untimed = traced.dispatches.iter_mut().filter(|one| one.nanoseconds.is_none());
        untimed.zip(times).for_each(|(dispatch, time)| dispatch.nanoseconds = Some(time));
    }

    /// What was recorded since the last time.
    pub fn take(&self) -> Vec<Dispatch> {
        std::mem::take(&mut self.traced().dispatches)
    }

    /// How many buffers and bind groups were made since the last time.
    pub fn take_made(&self) -> usize {
        std::mem::take(&mut self.traced().made)
    }

    pub(super) fn read(&self, bytes: u64) {
        self.traced().read += bytes as usize;
    }

    /// How many bytes came back to the host since the last time.
    pub fn take_read(&self) -> usize {
        std::mem::take(&mut self.traced().read)
    }

    fn traced(&self) -> MutexGuard<'_, Traced> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Dispatches by kernel and workgroups, those that took longest first.
pub fn by_kernel(dispatches: &[Dispatch]) -> Vec<KernelTimes> {
    let mut places = HashMap::new();
    let mut found: Vec<KernelTimes> = Vec::new();
    for Dispatch { kernel, groups, bindings, nanoseconds } in dispatches {
        let place = *places.entry((kernel, groups)).or_insert_with(|| {
            let (kernel, groups) = (kernel.clone(), *groups);
            found.push(KernelTimes { kernel, groups, count: 0, moved: 0, nanoseconds: 0.0 });
            found.len() - 1
        });
        let times = &mut found[place];
        times.count += 1;
        times.moved += bindings.iter().map(|binding| binding.moved).sum::<usize>();
        times.nanoseconds += nanoseconds.unwrap_or(0.0);
    }
    found.sort_by(|a, b| b.nanoseconds.total_cmp(&a.nanoseconds));
    found
}
