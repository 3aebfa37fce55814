//! From prompts to text: requests, the engine thread with its scheduler, and sampling.

mod defaults;
mod detokenizer;
// mod engine;
mod logprobs;
mod options;
mod processors;
mod request;
mod sampler;
// mod scheduler;
mod select;
mod stop;

pub use defaults::GenerationDefaults;
pub use detokenizer::Detokenizer;
// pub use engine::{Engine, LoadOptions, LoadProgress};
pub use logprobs::{are_sound, LogSoftmax};
pub use options::{GenerationOptions, MAX_TOP_LOGPROBS};
pub use processors::{Candidate, Context, LogitsProcessor, Processors, Scores};
pub use request::{
    Event, FinishReason, ForwardOptions, ForwardOutput, Score, Timings, TokenLogprob, Usage,
};
pub use sampler::{draw, fresh_seed, Draws, Sampler};
pub use stop::{Matched, StopMatcher};
