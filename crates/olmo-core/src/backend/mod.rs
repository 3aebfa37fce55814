//! The implementations of [`Ops`](crate::ops::Ops).

#[cfg(feature = "candle")]
pub mod candle;
pub mod cpu;
pub mod fused;
pub mod split;
#[cfg(feature = "wgpu")]
pub mod wgpu;
