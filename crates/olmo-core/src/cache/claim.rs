//! One sequence's part of the cache.

use super::pool::BlockCopy;
use super::{BlockName, BlockPool, BLOCK_TOKENS};

/// The blocks of one sequence in order, and how far they are filled. They are the sequence's until
/// [`KvClaim::release`].
#[derive(Debug)]
pub struct KvClaim {
    blocks: Vec<u32>,
    /// Tokens whose keys and values are in the cache.
    computed: usize,
    /// Blocks that have a name.
    sealed: usize,
    /// The name of the last of them.
    name: BlockName,
    /// Whether others may copy what it has of its last block.
    lends: bool,
}

impl KvClaim {
    /// Room for `tokens` tokens: the blocks that hold the beginning of `shareable` already, then
    /// fresh ones. None, with nothing taken, if the pool has not enough.
    pub fn new(pool: &mut BlockPool, shareable: &[u32], tokens: usize) -> Option<KvClaim> {
        let (blocks, name) = pool.share(shareable);
        let sealed = blocks.len();
        let computed = sealed * BLOCK_TOKENS;
        let mut claim = KvClaim { blocks, computed, sealed, name, lends: false };
        let enough = claim.grow(pool, tokens);
        if !enough {
            claim.release(pool);
        }
        enough.then_some(claim)
    }

    /// The same, and the beginning of the next block too, if another block has it: this one is to become a copy of
    /// that before the next pass. Others may do so with this claim.
    pub fn with_copy(pool: &mut BlockPool, shareable: &[u32], tokens: usize) -> Option<KvClaim> {
        let (whole, name) = pool.count_shared(shareable);
        let alike = pool.most_alike(name, &shareable[whole * BLOCK_TOKENS..]);
        let copied = alike.and_then(|(from, count)| {
            // The block must not be taken before it is copied.
            pool.hold(from);
            let claim = KvClaim::new(pool, shareable, tokens);
            pool.release(&[from]);
            let mut claim = claim?;
            pool.add_copy(BlockCopy { from, into: *claim.blocks.get(whole)? });
            claim.computed += count;
            Some(claim)
        });
        // Without a copy, one block more can be taken.
        let claim = copied.or_else(|| KvClaim::new(pool, shareable, tokens))?;
        Some(KvClaim { lends: true, ..claim })
    }

    pub fn blocks(&self) -> &[u32] {
        &self.blocks
    }

    /// Tokens whose keys and values are in the cache.
    pub fn computed(&self) -> usize {
        self.computed
    }

    /// Tokens there is room for, with those that are computed.
    pub fn capacity(&self) -> usize {
        self.blocks.len() * BLOCK_TOKENS
    }

    /// Takes blocks until there is room for `tokens` tokens. False if the pool ran out; those taken
    /// by then are kept.
    pub fn grow(&mut self, pool: &mut BlockPool, tokens: usize) -> bool {
        while self.capacity() < tokens {
            let Some(block) = pool.take_one() else { return false };
            self.blocks.push(block);
        }
        true
    }

    /// Notes that `count` more tokens of `text`, the whole sequence, are computed. Blocks that are
    /// complete now can be shared.
    pub fn advance(&mut self, pool: &mut BlockPool, count: usize, text: &[u32]) {
        self.computed += count;
        while (self.sealed + 1) * BLOCK_TOKENS <= self.computed {
            let tokens = &text[self.sealed * BLOCK_TOKENS..][..BLOCK_TOKENS];
            self.name = pool.seal(self.name, self.blocks[self.sealed], tokens);
            self.sealed += 1;
        }
        let begun = self.sealed * BLOCK_TOKENS..self.computed;
        if self.lends && !begun.is_empty() {
            pool.begin(self.name, self.blocks[self.sealed], &text[begun]);
        }
    }

    /// Gives all blocks back. What they hold can be shared until the room is needed.
    pub fn release(&mut self, pool: &mut BlockPool) {
        pool.release(&self.blocks);
        *self = KvClaim::default();
    }
}

impl Default for KvClaim {
    fn default() -> Self {
        KvClaim { blocks: Vec::new(), computed: 0, sealed: 0, name: BlockName::ROOT, lends: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_takes_blocks_as_it_grows_and_shares_what_was_computed() {
        let mut pool = BlockPool::new(4);
        let text: Vec<u32> = (0..100).collect();
        let mut claim = KvClaim::new(&mut pool, &text, 33).expect("two blocks");
        assert_eq!((claim.blocks().len(), claim.computed(), pool.available()), (2, 0, 2));
        claim.advance(&mut pool, 33, &text);
        assert!(claim.grow(&mut pool, 64) && claim.blocks().len() == 2);
        assert!(!claim.grow(&mut pool, 5 * BLOCK_TOKENS), "there are four");
        assert_eq!(claim.capacity(), 4 * BLOCK_TOKENS);
        claim.release(&mut pool);
        assert_eq!((claim.computed(), pool.available()), (0, 4));

        let again = KvClaim::new(&mut pool, &text, 100).expect("four blocks");
        assert_eq!(again.computed(), 32, "the whole block was left");
        assert!(KvClaim::new(&mut pool, &text, 100).is_none());
        assert_eq!(pool.available(), 0, "nothing is taken by a claim that fails");
    }

    #[test]
    fn a_claim_copies_the_block_that_begins_as_it_goes_on() {
        let mut pool = BlockPool::new(4);
        let text: Vec<u32> = (0..50).collect();
        let mut claim = KvClaim::with_copy(&mut pool, &text, 50).expect("two blocks");
        assert_eq!((claim.computed(), pool.take_copies()), (0, vec![]));
        claim.advance(&mut pool, 50, &text);

        // The other text turns off at 45, and no logits of 40 and after may be missing.
        let mut other = text.clone();
        other[45] = 0;
        let mut copied = KvClaim::with_copy(&mut pool, &other[..40], 50).expect("one block");
        let copy = BlockCopy { from: claim.blocks()[1], into: copied.blocks()[1] };
        assert_eq!((copied.computed(), pool.take_copies()), (40, vec![copy]));
        assert_eq!(copied.blocks()[0], claim.blocks()[0]);
        copied.advance(&mut pool, 10, &other);
        copied.release(&mut pool);
        claim.release(&mut pool);
        assert_eq!(pool.available(), 4);

        let claim = KvClaim::with_copy(&mut pool, &other, 50).expect("two blocks");
        assert_eq!((claim.computed(), pool.take_copies().len()), (50, 1));
    }

    #[test]
    fn a_text_that_needs_every_block_copies_none() {
        let mut pool = BlockPool::new(2);
        let text: Vec<u32> = (0..50).collect();
        let mut claim = KvClaim::with_copy(&mut pool, &text, 50).expect("two blocks");
        claim.advance(&mut pool, 50, &text);
        claim.release(&mut pool);
        let claim = KvClaim::with_copy(&mut pool, &text, 50).expect("two blocks");
        assert_eq!((claim.computed(), pool.take_copies()), (32, vec![]));
    }
}
