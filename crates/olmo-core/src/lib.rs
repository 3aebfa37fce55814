//! The engine of olmo2: reads an OLMo 2 checkpoint and generates text from it.
//!
//! A prompt comes in through `generate::Engine`, whose thread forms batches for the forward pass
//! in [`model`]. That pass is written once over the operations of [`ops::Ops`]; [`backend`] holds
//! their two implementations. See `ARCHITECTURE.md` for the whole way.

pub mod backend;
pub mod cache;
pub mod config;
pub mod device;
pub mod dtype;
pub mod error;
pub mod evaluate;
mod files;
pub mod generate;
pub mod memory;
pub mod model;
mod model_card;
pub mod ops;
pub mod prepare;
pub mod quant;
pub mod quantize;
pub mod tokenizer;
pub mod train;
pub mod weights;

pub use error::{Error, Result};
