//! What Node sees of the engine. Types cross here; nothing is decided here.
//!
//! Everything that takes time returns a promise and runs on the engine's or tokio's threads.
//! Failures become JavaScript errors whose `code` is [`olmo_core::Error::code`].

mod error;
mod generation;
mod inspection;
mod loading;
mod lock;
mod model;
mod options;
mod tokenizer;
