//! How activations come from one backend to another.

use super::Ops;
use crate::Result;

/// A backend that takes over what another has computed.
pub trait Receive: Ops {
    /// Rows of so many numbers, as [`Ops::read`] of the other backend gives them.
    fn receive(&self, numbers: &[f32], rows: usize) -> Result<Self::Tensor>;
}
