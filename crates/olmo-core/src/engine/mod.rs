//! Requests, and the one thread that serves them.
//!
//! [`Engine`] is the handle that other threads hold. Its thread runs the [`scheduler`], which forms
//! batches of prompt chunks and single decode steps; a [`sequence`] is one answer on its way, and
//! turns logits into tokens, text and events.

mod handle;
mod lookup;
mod mailbox;
mod request;
mod scheduler;
mod sequence;
mod study;

pub use handle::Engine;
pub use mailbox::Generation;
pub use request::{Event, FinishReason, ForwardOptions, ForwardOutput, Score, Timings, Usage};

/// Rows of prompts in one pass at most. Cancelling waits for one pass, so this bounds the wait.
pub const PREFILL_CHUNK: usize = 256;

/// Sequences in one pass at most.
const MAX_RUNNING: usize = 64;

/// Rows of prompts in one pass whose logits are all wanted.
const OUTPUT_CHUNK: usize = 64;

/// Rows of logits that one pass gives at most: some 50 MB for OLMo 2's vocabulary. Guesses are fewer than
/// the sequences that could be running in their place.
pub(crate) const LOGITS_ROWS: usize = MAX_RUNNING + OUTPUT_CHUNK;

/// Events that may wait for a slow reader before its request is left out of the passes.
const EVENTS_AHEAD: usize = 64;

/// Answers that one call may ask for, of all its prompts together.
const MAX_ANSWERS: usize = 1 << 14;
