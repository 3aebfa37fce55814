//! The OLMo 2 decoder, written once over [`Ops`](crate::ops::Ops).

mod batch;
mod decoder;
mod layer;
mod probe;
mod rope;
mod runtime;

pub use batch::{Batch, Span};
pub use decoder::{weight_shapes, Decoder, EMBEDDING};
pub use probe::{Input, Probe, Silent};
pub use rope::RopeTable;
pub use runtime::{Model, Runtime};
