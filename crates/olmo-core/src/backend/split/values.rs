//! What the operations of two backends work on.

use std::cell::OnceCell;

use crate::ops::Ops;
use crate::Result;

/// Activations of one of the backends.
pub enum Tensor<A: Ops, B: Ops> {
    First(Early<A, B>),
    Last(B::Tensor),
}

/// Activations of the first backend.
pub struct Early<A: Ops, B: Ops> {
    pub(super) x: A::Tensor,
    pub(super) rows: usize,
    /// What they are on the last backend, once that has asked for them.
    moved: OnceCell<B::Tensor>,
}

/// A weight where it is used; an embedding table that is the head too is used by both.
pub struct Matrix<A: Ops, B: Ops> {
    pub(super) first: Option<A::Matrix>,
    pub(super) last: Option<B::Matrix>,
}

pub enum Vector<A: Ops, B: Ops> {
    First(A::Vector),
    Last(B::Vector),
}

/// Each with the layers of its backend alone.
pub struct Cache<A: Ops, B: Ops> {
    pub(super) first: A::Cache,
    pub(super) last: B::Cache,
}

pub struct Pass<'a, A: Ops, B: Ops> {
    pub(super) rows: usize,
    pub(super) outputs: usize,
    pub(super) first: A::Pass<'a>,
    pub(super) last: B::Pass<'a>,
}

impl<A: Ops, B: Ops> Tensor<A, B> {
    pub(super) fn first(x: A::Tensor, rows: usize) -> Tensor<A, B> {
        Tensor::First(Early { x, rows, moved: OnceCell::new() })
    }
}

impl<A: Ops, B: Ops> Early<A, B> {
    pub(super) fn moved(&self, carry: impl FnOnce() -> Result<B::Tensor>) -> Result<&B::Tensor> {
        match self.moved.get() {
            Some(moved) => Ok(moved),
            None => {
                let moved = carry()?;
                Ok(self.moved.get_or_init(|| moved))
            }
        }
    }

    /// What they have become, or themselves.
    pub(super) fn into_moved(mut self) -> Result<B::Tensor, Early<A, B>> {
        self.moved.take().ok_or(self)
    }
}

impl<A: Ops, B: Ops> Clone for Matrix<A, B> {
    fn clone(&self) -> Matrix<A, B> {
        Matrix { first: self.first.clone(), last: self.last.clone() }
    }
}
