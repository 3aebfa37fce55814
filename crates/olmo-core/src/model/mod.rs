//! The OLMo 2 decoder, written once over [`Ops`](crate::ops::Ops).

mod decoder;
mod layer;
mod linear;
mod probe;
mod runtime;

pub use decoder::Decoder;
pub use probe::{Input, NoProbe, Observe, Probe};
pub use runtime::{Model, Runtime};
