//! Training: OLMo 2's recipe on the decoder that also generates.

pub mod fused;
pub mod init;
pub mod network;
pub mod optimizer;
pub mod schedule;
