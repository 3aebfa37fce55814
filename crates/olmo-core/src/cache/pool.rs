//! Who owns which block of the cache, and what finished blocks still hold: the block tables and the
//! sharing of beginnings of PagedAttention (Kwon et al., "Efficient Memory Management for Large
//! Language Model Serving with PagedAttention", 2023).
//!
//! A block whose [`BLOCK_TOKENS`] positions are all computed can be *sealed*: it gets a name, made of
//! its tokens and the name of the block before it. Keys and values depend on a token and on all
//! tokens before it, and on nothing else, so a block can serve every sequence that begins with the
//! same tokens. Sealed blocks that nobody uses keep their content until the room is needed; the one
//! unused for longest goes first.
//!
//! A block can also be *begun*: its first positions are computed, and known by the same kind of key. Whoever
//! needs some of them copies the block, because its user goes on to fill it.

use std::collections::{BTreeMap, HashSet};

use super::BLOCK_TOKENS;

/// Stands for "this block, and all before it". Never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockName(u64);

impl BlockName {
    /// The name of nothing: what comes before a sequence's first block.
    pub const ROOT: BlockName = BlockName(0);
}

/// The block before, and the tokens; [`NO_TOKEN`] stands where a begun block has none.
type Key = (BlockName, [u32; BLOCK_TOKENS]);

/// No vocabulary is so large.
const NO_TOKEN: u32 = u32::MAX;

/// A sealed block, as [`BlockPool::sealed`] lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct SealedBlock {
    pub block: u32,
    pub name: BlockName,
    /// The name of the block that it follows.
    pub previous: BlockName,
    pub tokens: [u32; BLOCK_TOKENS],
}

/// What a block holds.
#[derive(Debug)]
struct Held {
    key: Key,
    /// None of a begun block.
    name: Option<BlockName>,
}

/// A block to copy, because a text begins with what its first positions hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockCopy {
    pub from: u32,
    pub into: u32,
}

#[derive(Debug, Default)]
struct Block {
    users: usize,
    held: Option<Held>,
    /// Where it stands in the queue of unused blocks; meaningless while it has users.
    unused_since: u64,
}

#[derive(Debug)]
pub struct BlockPool {
    blocks: Vec<Block>,
    /// Sealed and begun blocks. In this order, those that have the longest beginning in common stand side by side.
    held: BTreeMap<Key, u32>,
    copies: Vec<BlockCopy>,
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
            held: BTreeMap::new(),
            copies: Vec::new(),
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
            let Some((block, next)) = self.find(&(name, tokens)) else { break };
            name = next;
            self.use_block(block);
            shared.push(block);
        }
        (shared, name)
    }

    /// The block that follows what `previous` names and has the most tokens in common with `tokens`, and how many;
    /// None if it is none.
    pub fn most_alike(&self, previous: BlockName, tokens: &[u32]) -> Option<(u32, usize)> {
        let most = tokens.len().min(BLOCK_TOKENS);
        let key = key(previous, &tokens[..most]);
        let (before, after) = (self.held.range(..=key).next_back(), self.held.range(key..).next());
        let common = |(held, block): (&Key, &u32)| {
            let pairs = held.1.iter().zip(&tokens[..most]);
            (*block, pairs.take_while(|(held, token)| held == token).count())
        };
        let sides = before.into_iter().chain(after).filter(|(held, _)| held.0 == previous);
        sides.map(common).max_by_key(|(_, count)| *count).filter(|(_, count)| *count > 0)
    }

    /// Keeps a block from being taken, until it is released.
    pub(super) fn hold(&mut self, block: u32) {
        self.use_block(block);
    }

    pub(super) fn add_copy(&mut self, copy: BlockCopy) {
        self.copies.push(copy);
    }

    /// Copies to make before the next pass, in this order.
    pub fn take_copies(&mut self) -> Vec<BlockCopy> {
        std::mem::take(&mut self.copies)
    }

    /// Every sealed block that a text can come to: each behind the one that it follows.
    pub fn sealed(&self) -> Vec<SealedBlock> {
        let of = |(block, entry): (usize, &Block)| {
            let &Held { key: (previous, tokens), name } = entry.held.as_ref()?;
            Some(SealedBlock { block: block as u32, name: name?, previous, tokens })
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
        let held = &self.blocks[sealed.block as usize].held;
        held.as_ref().is_some_and(|held| held.name == Some(sealed.name))
    }

    /// The name of the sealed block that holds `tokens` after what `previous` names, if there is one.
    pub fn name_of(&self, previous: BlockName, tokens: &[u32; BLOCK_TOKENS]) -> Option<BlockName> {
        self.find(&(previous, *tokens)).map(|(_, name)| name)
    }

    /// A sealed block and its name.
    fn find(&self, key: &Key) -> Option<(u32, BlockName)> {
        let &block = self.held.get(key)?;
        self.blocks[block as usize].held.as_ref()?.name.map(|name| (block, name))
    }

    /// Blocks that hold something which a text can begin with.
    pub fn count_sealed(&self) -> usize {
        let held = self.blocks.iter().filter_map(|block| block.held.as_ref());
        held.filter(|held| held.name.is_some()).count()
    }

    /// How many blocks [`BlockPool::share`] would find, and the name of the last.
    pub fn count_shared(&self, tokens: &[u32]) -> (usize, BlockName) {
        let (mut count, mut name) = (0, BlockName::ROOT);
        for tokens in tokens.chunks_exact(BLOCK_TOKENS) {
            let Some((_, next)) = self.find(&key(name, tokens)) else { break };
            (count, name) = (count + 1, next);
        }
        (count, name)
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
        self.forget(block);
        self.use_block(block);
        Some(block)
    }

    /// Names a block that is now complete, so that others can share it. Returns the name to seal the
    /// sequence's next block with. If another block holds the same already, that one keeps the name.
    pub fn seal(&mut self, previous: BlockName, block: u32, tokens: &[u32]) -> BlockName {
        self.forget(block);
        let key: Key = (previous, tokens.try_into().expect("a whole block"));
        if let Some((_, name)) = self.find(&key) {
            return name;
        }
        self.last_name += 1;
        let name = BlockName(self.last_name);
        self.note(block, Held { key, name: Some(name) });
        name
    }

    /// Notes what the first positions of a block hold that is not complete yet, so that others can copy them.
    pub fn begin(&mut self, previous: BlockName, block: u32, tokens: &[u32]) {
        self.forget(block);
        let key = key(previous, tokens);
        if !self.held.contains_key(&key) {
            self.note(block, Held { key, name: None });
        }
    }

    fn note(&mut self, block: u32, held: Held) {
        if let Some(other) = self.held.insert(held.key, block) {
            self.blocks[other as usize].held = None;
        }
        self.blocks[block as usize].held = Some(held);
    }

    fn forget(&mut self, block: u32) {
        if let Some(held) = self.blocks[block as usize].held.take() {
            self.held.remove(&held.key);
        }
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
            // A block that holds nothing of use is taken before any other.
            let rank = match entry.held {
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

fn key(previous: BlockName, tokens: &[u32]) -> Key {
    let mut padded = [NO_TOKEN; BLOCK_TOKENS];
    padded[..tokens.len()].copy_from_slice(tokens);
    (previous, padded)
}

#[cfg(test)]
mod tests;
