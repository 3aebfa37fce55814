//! What Node sees of the engine. Types cross here; nothing is decided here.
//!
//! Everything that takes time returns a promise and runs on the engine's or tokio's threads.
//! Failures become JavaScript errors whose `code` is [`olmo_core::Error::code`].

mod cancellation;
mod error;
mod job;

// Public, since it is JavaScript and not Rust that uses what is in them.
pub mod chat;
pub mod evaluation;
pub mod exporting;
pub mod finetuning;
pub mod generation;
pub mod host;
pub mod inspection;
pub mod loading;
pub mod lock;
pub mod model;
pub mod options;
pub mod preparing;
pub mod quantizing;
pub mod rows;
pub mod scoring;
pub mod tasks;
pub mod tokenizer;
pub mod training;
pub mod unpacking;
