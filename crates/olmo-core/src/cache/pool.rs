//! Who owns which block of the cache, and what finished blocks still hold: the block tables and the
//! sharing of beginnings of PagedAttention (Kwon et al., "Efficient Memory Management for Large
//! Language Model Serving with PagedAttention", 2023).
//!
//! A block whose [`BLOCK_TOKENS`] positions are all computed can be *sealed*: it gets a name, made of
//! its tokens and the name of the block before it. Keys and values depend on a token and on all
//! tokens before it, and on nothing else, so a block can serve every sequence that begins with the
//! same tokens. Sealed blocks that nobody uses keep their content until the room is needed; the one
//! unused for longest goes first.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::BLOCK_TOKENS;

/// Stands for "this block, and all before it". Never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockName(u64);

impl BlockName {
    /// The name of nothing: what comes before a sequence's first block.
    pub const ROOT: BlockName = BlockName(0);
}

type Key = (BlockName, [u32; BLOCK_TOKENS]);

/// A sealed block, as [`BlockPool::sealed`] lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct SealedBlock {
    pub block: u32,
    pub name: BlockName,
    /// The name of the block that it follows.
    pub previous: BlockName,
    pub tokens: [u32; BLOCK_TOKENS],
}

#[derive(Debug, Default)]
struct Block {
    users: usize,
    name: Option<(BlockName, Key)>,
    /// Where it stands in the queue of unused blocks; meaningless while it has users.
    unused_since: u64,
}

#[derive(Debug)]
pub struct BlockPool {
    blocks: Vec<Block>,
    sealed: HashMap<Key, u32>,
    /// Blocks without users, the first to be taken first.
    unused: BTreeMap<u64, u32>,
    clock: u64,
    last_name: u64,
}

impl BlockPool {
    pub fn new(blocks: usize) -> BlockPool {
        BlockPool {
            unused: (0..blocks as u32).map(|block| (u64::from(block), block)).collect(),
            blocks: (0..blocks as u64)
                .map(|n| Block { unused_since: n, ..Block::default() })
                .collect(),
            sealed: HashMap::new(),
            clock: blocks as u64,
            last_name: 0,
        }
    }

    /// Blocks in all.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Blocks that [`BlockPool::take`] could give.
    pub fn available(&self) -> usize {
        self.unused.len()
    }

    /// The sealed blocks that hold the beginning of `tokens`, as many as there are, and the name of
    /// the last. The caller uses them from now on and gives them back with [`BlockPool::release`].
    pub fn share(&mut self, tokens: &[u32]) -> (Vec<u32>, BlockName) {
        let mut name = BlockName::ROOT;
        let mut shared = Vec::new();
        for tokens in tokens.chunks_exact(BLOCK_TOKENS) {
            let tokens: [u32; BLOCK_TOKENS] = tokens.try_into().expect("a whole block");
            let Some(&block) = self.sealed.get(&(name, tokens)) else { break };
            name = self.blocks[block as usize].name.as_ref().expect("sealed blocks have a name").0;
            self.use_block(block);
            shared.push(block);
        }
        (shared, name)
    }

    /// Every sealed block that a text can come to: each behind the one that it follows.
    pub fn sealed(&self) -> Vec<SealedBlock> {
        let of = |(block, entry): (usize, &Block)| {
            let &(name, (previous, tokens)) = entry.name.as_ref()?;
            Some(SealedBlock { block: block as u32, name, previous, tokens })
        };
        let mut sealed: Vec<SealedBlock> = self.blocks.iter().enumerate().filter_map(of).collect();
        // What follows was named later.
        sealed.sort_unstable_by_key(|sealed| sealed.name.0);
        let mut reached = HashSet::from([BlockName::ROOT]);
        sealed.retain(|sealed| reached.contains(&sealed.previous) && reached.insert(sealed.name));
        sealed
    }

    /// Whether the block still holds what it did when it was listed.
    pub fn is_still(&self, sealed: &SealedBlock) -> bool {
        let name = &self.blocks[sealed.block as usize].name;
        name.as_ref().is_some_and(|(name, _)| *name == sealed.name)
    }

    /// The name of the sealed block that holds `tokens` after what `previous` names, if there is one.
    pub fn name_of(&self, previous: BlockName, tokens: &[u32; BLOCK_TOKENS]) -> Option<BlockName> {
        let block = self.sealed.get(&(previous, *tokens))?;
        self.blocks[*block as usize].name.as_ref().map(|(name, _)| *name)
    }

    /// Blocks that hold something which a text can begin with.
    pub fn count_sealed(&self) -> usize {
        self.sealed.len()
    }

    /// How many blocks [`BlockPool::share`] would find.
    pub fn count_shared(&self, tokens: &[u32]) -> usize {
        let mut name = BlockName::ROOT;
        tokens
            .chunks_exact(BLOCK_TOKENS)
            .take_while(|tokens| {
                let tokens: [u32; BLOCK_TOKENS] = (*tokens).try_into().expect("a whole block");
                let block = self.sealed.get(&(name, tokens));
                let next = block.and_then(|&block| self.blocks[block as usize].name.as_ref());
                next.inspect(|next| name = next.0).is_some()
            })
            .count()
    }

    /// `count` blocks of undefined content, or None if there are not that many.
    pub fn take(&mut self, count: usize) -> Option<Vec<u32>> {
        if count > self.unused.len() {
            return None;
        }
        (0..count).map(|_| self.take_one()).collect()
    }

    /// A block of undefined content, or None if all are in use.
    pub fn take_one(&mut self) -> Option<u32> {
        let (_, &block) = self.unused.first_key_value()?;
        if let Some((_, key)) = self.blocks[block as usize].name.take() {
            self.sealed.remove(&key);
        }
        self.use_block(block);
        Some(block)
    }

    /// Names a block that is now complete, so that others can share it. Returns the name to seal the
    /// sequence's next block with. If another block holds the same already, that one keeps the name.
    pub fn seal(&mut self, previous: BlockName, block: u32, tokens: &[u32]) -> BlockName {
        let key: Key = (previous, tokens.try_into().expect("a whole block"));
        if let Some(&twin) = self.sealed.get(&key) {
            return self.blocks[twin as usize].name.as_ref().expect("sealed blocks have a name").0;
        }
        self.last_name += 1;
        let name = BlockName(self.last_name);
        self.blocks[block as usize].name = Some((name, key));
        self.sealed.insert(key, block);
        name
    }

    /// Ends one use of each block.
    pub fn release(&mut self, blocks: &[u32]) {
        // Last first: the end of a text is less likely to be shared than its beginning.
        for &block in blocks.iter().rev() {
            let entry = &mut self.blocks[block as usize];
            entry.users -= 1;
            if entry.users > 0 {
                continue;
            }
            // A block without a name holds nothing of use: it is taken before any sealed one.
            let rank = match entry.name {
                Some(_) => {
                    self.clock += 1;
                    self.clock + self.blocks.len() as u64
                }
                None => u64::from(block),
            };
            self.blocks[block as usize].unused_since = rank;
            self.unused.insert(rank, block);
        }
    }

    fn use_block(&mut self, block: u32) {
        let entry = &mut self.blocks[block as usize];
        if entry.users == 0 {
            self.unused.remove(&entry.unused_since);
        }
        entry.users += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(blocks: usize, seed: u32) -> Vec<u32> {
        (0..blocks * BLOCK_TOKENS).map(|i| i as u32 * 31 + seed).collect()
    }

    /// Takes and seals blocks for a whole text, as a request does.
    fn fill(pool: &mut BlockPool, tokens: &[u32]) -> Vec<u32> {
        let (mut blocks, mut name) = pool.share(tokens);
        for tokens in tokens.chunks_exact(BLOCK_TOKENS).skip(blocks.len()) {
            let block = pool.take(1).expect("room")[0];
            name = pool.seal(name, block, tokens);
            blocks.push(block);
        }
        blocks
    }

    #[test]
    fn a_finished_text_is_found_again_by_its_beginning() {
        let mut pool = BlockPool::new(8);
        let tokens = text(3, 1);
        let blocks = fill(&mut pool, &tokens);
        pool.release(&blocks);
        assert_eq!(pool.available(), 8);

        let mut longer = tokens[..2 * BLOCK_TOKENS].to_vec();
        longer.extend(text(1, 9));
        assert_eq!(pool.count_shared(&longer), 2);
        let (shared, _) = pool.share(&longer);
        assert_eq!(shared, blocks[..2]);
        assert_eq!(pool.available(), 6);
    }

    #[test]
    fn sealed_blocks_are_listed_behind_those_they_follow() {
        let mut pool = BlockPool::new(4);
        let (one, other) = (text(3, 1), text(1, 2));
        for tokens in [&one, &other] {
            let blocks = fill(&mut pool, tokens);
            pool.release(&blocks);
        }
        let all = pool.sealed();
        assert_eq!((all.len(), pool.count_sealed()), (4, 4));
        assert_eq!((all[0].previous, all[1].previous), (BlockName::ROOT, all[0].name));
        assert_eq!(pool.name_of(all[0].name, &all[1].tokens), Some(all[1].name));
        // The longest unused is the end of the first text; then its middle, which makes nothing unreachable.
        pool.take(1).expect("a block");
        assert_eq!((pool.sealed().len(), pool.is_still(&all[2])), (3, false));
        assert!(pool.is_still(&all[1]));
    }

    #[test]
    fn what_follows_a_block_that_is_gone_is_not_listed() {
        let mut pool = BlockPool::new(2);
        let tokens = text(2, 1);
        let blocks = fill(&mut pool, &tokens);
        // The beginning is let go of first.
        pool.release(&blocks[..1]);
        pool.release(&blocks[1..]);
        pool.take(1).expect("a block");
        assert_eq!((pool.sealed(), pool.count_sealed()), (vec![], 1));
    }

    #[test]
    fn a_block_is_not_found_after_another_beginning() {
        let mut pool = BlockPool::new(8);
        let tokens = text(2, 1);
        fill(&mut pool, &tokens);
        assert_eq!(pool.count_shared(&tokens[BLOCK_TOKENS..]), 0);
    }

    #[test]
    fn room_is_made_by_the_block_unused_for_longest() {
        let mut pool = BlockPool::new(3);
        let (old, new) = (text(1, 1), text(1, 2));
        for tokens in [&old, &new] {
            let blocks = fill(&mut pool, tokens);
            pool.release(&blocks);
        }
        pool.take(2).expect("one empty block and one sealed");
        assert_eq!((pool.count_shared(&old), pool.count_shared(&new)), (0, 1));
        assert_eq!(pool.take(2), None);
    }

    proptest! {
        /// Whatever requests come and go, no block is used by two that did not agree to share it,
        /// and a shared block holds what its reader expects.
        #[test]
        fn blocks_are_never_mixed_up(steps in prop::collection::vec((0u32..4, 1usize..4, any::<bool>()), 1..80)) {
            let mut pool = BlockPool::new(10);
            let mut content: Vec<Vec<u32>> = vec![Vec::new(); 10];
            let mut live: Vec<Vec<u32>> = Vec::new();
            for (seed, length, end) in steps {
                if end && !live.is_empty() {
                    let blocks = live.remove(0);
                    pool.release(&blocks);
                    continue;
                }
                let tokens = text(length, seed / 2); // beginnings are shared often
                let (mut blocks, mut name) = pool.share(&tokens);
                for (block, tokens) in blocks.iter().zip(tokens.chunks_exact(BLOCK_TOKENS)) {
                    prop_assert_eq!(&content[*block as usize], tokens);
                }
                match pool.take(length - blocks.len()) {
                    None => pool.release(&blocks),
                    Some(taken) => {
                        for block in taken {
                            prop_assert!(!live.iter().flatten().any(|&used| used == block));
                            let chunk = &tokens[blocks.len() * BLOCK_TOKENS..][..BLOCK_TOKENS];
                            content[block as usize] = chunk.to_vec();
                            name = pool.seal(name, block, chunk);
                            blocks.push(block);
                        }
                        live.push(blocks);
                    }
                }
                let used: std::collections::BTreeSet<u32> = live.iter().flatten().copied().collect();
                prop_assert_eq!(pool.available(), 10 - used.len());
            }
        }
    }
}
