//! From prompts to text: requests, the engine thread with its scheduler, and sampling.

mod detokenizer;
mod engine;
mod options;
mod processors;
mod request;
mod sampler;
mod scheduler;
mod stop;

pub use engine::{Engine, LoadOptions, LoadProgress};
pub use options::{GenerationDefaults, GenerationOptions};
pub use request::{
    Event, FinishReason, ForwardOptions, ForwardOutput, Generation, Score, Timings, TokenLogprob, Usage,
};
