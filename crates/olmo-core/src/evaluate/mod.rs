//! How good a model is: the perplexity of a text, and how far another model's words are from it.
//!
//! Windows, sums and the file of log-probabilities are those of llama.cpp's `llama-perplexity`
//! (`tools/perplexity/perplexity.cpp`), so that its numbers and ours can stand in one table.

mod base_file;
mod divergence;
mod perplexity;
mod statistics;
mod windows;

pub use divergence::{Divergence, Quantiles};
pub use perplexity::{Evaluation, Perplexity, PerplexityOptions, Progress};
pub use statistics::Mean;
