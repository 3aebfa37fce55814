//! What the cache keeps for later texts, taken elsewhere and brought back.

use super::Scheduler;
use crate::cache::{BlockName, SealedBlock, BLOCK_TOKENS};
use crate::engine::CacheUse;
use crate::Result;

impl Scheduler {
    pub fn cache_use(&self) -> CacheUse {
        CacheUse {
            tokens: self.pool.len() * BLOCK_TOKENS,
            in_use: (self.pool.len() - self.pool.available()) * BLOCK_TOKENS,
            kept: self.pool.count_sealed() * BLOCK_TOKENS,
        }
    }

    /// Bytes of the keys and values of a block.
    pub fn block_bytes(&self) -> Result<usize> {
        Ok(self.model.read_block(0)?.len())
    }

    /// The blocks that texts can begin with, each behind the one that it follows.
    pub fn kept_blocks(&self) -> Vec<SealedBlock> {
        self.pool.sealed()
    }

    /// The keys and values of a block, unless its room was needed meanwhile.
    pub fn read_kept(&self, sealed: &SealedBlock) -> Result<Option<Vec<u8>>> {
        match self.pool.is_still(sealed) {
            true => self.model.read_block(sealed.block).map(Some),
            false => Ok(None),
        }
    }

    /// Keeps a block with these keys and values, in the place of the one unused for longest, and gives its name.
    /// None if all blocks are in use.
    pub fn keep(
        &mut self,
        previous: BlockName,
        tokens: &[u32; BLOCK_TOKENS],
        bytes: &[u8],
    ) -> Result<Option<BlockName>> {
        if let Some(name) = self.pool.name_of(previous, tokens) {
            return Ok(Some(name));
        }
        let Some(block) = self.pool.take_one() else { return Ok(None) };
        let written = self.model.write_block(block, bytes);
        let name = written.map(|()| self.pool.seal(previous, block, tokens));
        self.pool.release(&[block]);
        name.map(Some)
    }
}
