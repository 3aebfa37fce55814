//! The key-value cache: storage in blocks, and who owns which block.
//!
//! A block holds [`BLOCK_TOKENS`] consecutive positions of one sequence, in every layer. A sequence
//! is a list of block numbers, so sequences that begin alike can share their first blocks, and a
//! finished one can leave its blocks to the next prompt that begins the same way.

mod dtype;
mod pool;

pub use dtype::{CacheDType, CACHE_GROUP};
pub use pool::{BlockName, BlockPool};

/// Positions in one block. A multiple of every vector width, so that kernels meet whole vectors.
pub const BLOCK_TOKENS: usize = 32;

/// What a backend needs to know to allocate the storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheShape {
    pub layers: usize,
    pub blocks: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
}

impl CacheShape {
    /// Elements of the keys of one layer; the values take as many again.
    pub fn layer_elements(&self) -> usize {
        self.blocks * self.kv_heads * BLOCK_TOKENS * self.head_dim
    }
}
