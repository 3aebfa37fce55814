//! From tokens to text: whole characters only, and nothing behind a stop string.

mod detokenizer;
mod output;
mod stop;

pub use detokenizer::Detokenizer;
pub use output::TextOut;
pub use stop::{Matched, StopMatcher};
