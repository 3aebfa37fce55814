//! What an operation needs to know of the layer it is for.

use super::RopeTable;
use crate::config::AttentionKind;

/// What all layers of one kind of attention share.
#[derive(Debug, Clone)]
pub struct LayerKind {
    pub attention: AttentionKind,
    pub rope: RopeTable,
}

/// Which layer an operation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerSpec {
    /// Its number, and so its place in the cache.
    pub index: usize,
    /// Its kind, as an index into the kinds its pass began with.
    pub kind: usize,
}

/// The norms of a layer's queries and keys, each over a whole projection.
#[derive(Debug, Clone, Copy)]
pub struct QkNorm<'a, V> {
    pub q: &'a V,
    pub k: &'a V,
    pub eps: f32,
}
