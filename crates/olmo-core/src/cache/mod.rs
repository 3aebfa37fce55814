//! The key-value cache: storage in blocks, and who owns which block.
//!
//! A block holds [`BLOCK_TOKENS`] consecutive positions of one sequence, in every layer. A sequence
//! is a list of block numbers, so sequences that begin alike can share their first blocks, and a
//! finished one can leave its blocks to the next prompt that begins the same way. Where their beginning
//! ends within a block, the next sequence can have a copy of it.

mod claim;
mod dtype;
mod pool;

pub use claim::KvClaim;
pub use dtype::{CacheDType, CACHE_GROUP};
pub use pool::{BlockCopy, BlockName, BlockPool, SealedBlock};

/// Positions in one block: 32, the unit of the CPU's attention kernels, which keep the scores of one
/// block in two registers of sixteen lanes (`backend/cpu/kernels/kv_block.rs` holds them to it).
pub const BLOCK_TOKENS: usize = 32;

/// How many blocks hold this many positions.
pub const fn blocks_for(tokens: usize) -> usize {
    tokens.div_ceil(BLOCK_TOKENS)
}

/// What a backend needs to know to allocate the storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheShape {
    /// Blocks of each layer. Layers of one kind of attention have as many; a kind that looks back only
    /// so far can do with fewer than the others.
    pub blocks: Vec<usize>,
    pub kv_heads: usize,
    pub head_dim: usize,
}
