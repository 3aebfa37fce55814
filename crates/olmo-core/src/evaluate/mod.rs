//! How good a model is: the perplexity of a text, how far another model's words are from it, and bits
//! per byte beside those of n-gram models.
//!
//! Windows, sums and the file of log-probabilities of an [`Evaluation`] are those of llama.cpp's
//! `llama-perplexity` (`tools/perplexity/perplexity.cpp`), so that its numbers and ours can stand in
//! one table.

mod base_file;
pub mod baseline;
mod divergence;
mod held_out;
mod perplexity;
mod score;
mod statistics;
mod surprise;
mod windows;

pub use divergence::{Divergence, Quantiles};
pub use held_out::{score_held_out, HeldOut, ScoreProgress};
pub use perplexity::{Evaluation, Perplexity, PerplexityOptions, Progress};
pub use score::{likeliest, score_text};
pub use statistics::Mean;
pub use surprise::{SourceScore, Surprise};
