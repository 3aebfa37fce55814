//! GPUs that are lost on purpose, for tests of what comes after that.

use std::sync::atomic::{AtomicUsize, Ordering};

static LOSSES: AtomicUsize = AtomicUsize::new(0);

/// Loses every GPU that a model runs on, as a driver does that resets it: what is sent to it next fails, and what runs on
/// it from then on. A model that is loaded afterwards opens it anew.
pub fn lose_gpus() {
    LOSSES.fetch_add(1, Ordering::Relaxed);
}

/// How often that has happened.
#[cfg(feature = "wgpu")]
pub(crate) fn losses() -> usize {
    LOSSES.load(Ordering::Relaxed)
}
