//! The implementations of [`Ops`](crate::ops::Ops).

pub mod candle;
pub mod cpu;
pub mod fused;
