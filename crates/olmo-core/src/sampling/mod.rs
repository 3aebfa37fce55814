//! From logits to a token: the options of a generation, the logits processors they enable, the choice, and
//! log-probabilities.

mod defaults;
mod describe;
mod entry;
mod grammar;
mod logprobs;
mod options;
mod processors;
mod sampler;
mod select;
mod top;

pub use defaults::{GenerationDefaults, Source};
pub use describe::{describe, to_json};
pub use entry::{JsonSchema, Kind, OptionEntry, OptionValue, Range};
pub use grammar::{Constraint, Grammar, GrammarSource, Mask, Vocabulary};
pub use logprobs::{are_sound, LogSoftmax, TokenLogprob};
pub use options::{GenerationOptions, PartialOptions, MAX_TOP_LOGPROBS, OPTIONS};
pub use processors::{Candidate, Context, LogitsProcessor, Processors, Scores, Sees};
pub use sampler::{draw, fresh_seed, Draws, Sampler};
pub use top::{TopLogits, TopRequest, TopWanted, MOST_TOP_LOGITS};
