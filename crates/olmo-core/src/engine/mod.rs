//! Requests, and the one thread that serves them.
//!
//! [`Engine`] is the handle that other threads hold. Its thread, the [`worker`], runs the
//! [`scheduler`], which forms batches of prompt chunks and single decode steps. A [`call`] has a goal:
//! texts to continue, to score, or to [`forward`]. What the cache keeps can be [`persist`]ed. A [`sequence`] is one answer on its way, and turns
//! logits into tokens, text and events.

mod call;
mod forward;
#[cfg(all(test, feature = "wgpu"))]
mod gpu_test_support;
mod handle;
mod lookup;
#[cfg(all(test, feature = "wgpu"))]
mod lost_device_tests;
mod mailbox;
mod outputs;
mod persist;
mod request;
mod scheduler;
mod sequence;
mod share;
#[cfg(all(test, feature = "wgpu"))]
mod top_logits_tests;
mod worker;

pub use handle::Engine;
pub use mailbox::Generation;
pub use persist::{CacheUse, KeptCache};
pub use request::{
    Event, FinishReason, ForwardOptions, ForwardOutput, Judgement, Score, Timings, Usage,
};

/// Events that may wait for a slow reader before its request is left out of the passes.
const EVENTS_AHEAD: usize = 64;
