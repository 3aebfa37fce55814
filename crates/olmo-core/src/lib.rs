//! The engine of olmo2: reads an OLMo 2 checkpoint and generates text from it.
//!
//! A prompt comes in through [`engine::Engine`], whose thread forms batches for the forward pass
//! in [`model`]. That pass is written once over the operations of [`ops::Ops`]; [`backend`] holds
//! their implementations. See `ARCHITECTURE.md` for the whole way.

pub mod backend;
pub mod cache;
pub mod chat;
pub mod checkpoint;
pub mod config;
pub mod device;
pub mod dtype;
pub mod engine;
pub mod error;
pub mod evaluate;
pub mod export;
pub mod files;
pub mod host;
pub mod limits;
pub mod machine;
pub mod memory;
pub mod model;
pub mod ops;
pub mod panics;
pub mod precision;
pub mod prepare;
pub mod quant;
pub mod quantize;
pub mod sampling;
pub mod shapes;
pub mod text;
pub mod tokenizer;
pub mod train;
pub mod weights;

pub use error::{Error, Result};
pub use olmo_jinja as jinja;
pub use panics::panic_message;
