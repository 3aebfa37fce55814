//! From logits to a token: the options of a generation, the logits processors they ask for, the
//! choice, and log-probabilities.

mod defaults;
mod logprobs;
mod options;
mod processors;
mod sampler;
mod select;

pub use defaults::GenerationDefaults;
pub use logprobs::{are_sound, LogSoftmax, TokenLogprob};
pub use options::{GenerationOptions, MAX_TOP_LOGPROBS};
pub use processors::{Candidate, Context, LogitsProcessor, Processors, Scores};
pub use sampler::{draw, fresh_seed, Draws, Sampler};
