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
    assert_eq!(pool.count_shared(&longer).0, 2);
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
    assert_eq!(pool.count_shared(&tokens[BLOCK_TOKENS..]).0, 0);
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
    assert_eq!((pool.count_shared(&old).0, pool.count_shared(&new).0), (0, 1));
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

#[test]
fn of_blocks_that_follow_the_same_the_most_alike_is_found() {
    let mut pool = BlockPool::new(8);
    let tokens = text(1, 1);
    let blocks = pool.take(4).expect("room");
    let name = pool.seal(BlockName::ROOT, blocks[0], &tokens);
    pool.begin(BlockName::ROOT, blocks[1], &[1, 2, 3, 4]);
    pool.begin(BlockName::ROOT, blocks[2], &[1, 2, 9]);
    pool.begin(name, blocks[3], &[1, 2, 3, 4, 5]);
    let alike = |tokens: &[u32]| pool.most_alike(BlockName::ROOT, tokens);
    assert_eq!(alike(&[1, 2, 3, 4, 5]), Some((blocks[1], 4)));
    assert_eq!(alike(&[1, 2, 3]), Some((blocks[1], 3)));
    assert_eq!(alike(&[1, 2, 9, 9]), Some((blocks[2], 3)));
    assert_eq!(alike(&tokens[..20]), Some((blocks[0], 20)), "of a sealed block too");
    assert_eq!(alike(&[7]), None);
    assert_eq!(alike(&[]), None);
    assert_eq!(pool.most_alike(name, &[1, 2, 3, 4, 5, 6]), Some((blocks[3], 5)));
    // What is only begun is neither shared nor listed.
    assert_eq!((pool.count_sealed(), pool.sealed().len()), (1, 1));
}

#[test]
fn a_block_is_known_by_what_it_holds_now() {
    let mut pool = BlockPool::new(2);
    let block = pool.take_one().expect("room");
    pool.begin(BlockName::ROOT, block, &[1, 2]);
    pool.begin(BlockName::ROOT, block, &[1, 2, 3]);
    assert_eq!(pool.most_alike(BlockName::ROOT, &[1, 2, 3, 4]), Some((block, 3)));
    let whole = text(1, 1);
    pool.seal(BlockName::ROOT, block, &whole);
    assert_eq!(pool.most_alike(BlockName::ROOT, &[1, 2, 3]), Some((block, 1)), "1, 32, 63 …");
    pool.release(&[block]);
    pool.take(2).expect("both");
    assert_eq!(pool.most_alike(BlockName::ROOT, &whole), None);
}

proptest! {
    /// However blocks are begun, sealed and taken, no other has more in common with a text.
    #[test]
    fn no_block_is_more_alike(
        steps in prop::collection::vec((prop::collection::vec(0u32..3, 1..6), any::<bool>()), 1..30),
        asked in prop::collection::vec(0u32..3, 0..6),
    ) {
        let mut pool = BlockPool::new(6);
        let mut content: Vec<Option<Vec<u32>>> = vec![None; 6];
        for (tokens, seals) in steps {
            let block = pool.take_one().expect("a block");
            content[block as usize] = None;
            let whole: Vec<u32> = tokens.iter().copied().cycle().take(BLOCK_TOKENS).collect();
            let held = if seals { whole } else { tokens };
            match seals {
                true => { pool.seal(BlockName::ROOT, block, &held); }
                false => pool.begin(BlockName::ROOT, block, &held),
            }
            content[block as usize] = Some(held);
            pool.release(&[block]);
        }
        let common = |held: &Vec<u32>| held.iter().zip(&asked).take_while(|(a, b)| a == b).count();
        let most = content.iter().flatten().map(common).max().unwrap_or(0);
        let found = pool.most_alike(BlockName::ROOT, &asked);
        prop_assert_eq!(found.map_or(0, |(_, count)| count), most);
        if let Some((block, count)) = found {
            prop_assert_eq!(content[block as usize].as_ref().map(common), Some(count));
        }
    }
}
