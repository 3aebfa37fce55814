//! Which documents are kept back to validate with.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::documents::Source;
use super::overlap;

/// How many documents of each source are held out.
///
/// Documents are drawn until all three minima are reached, but never more than `max_share` of a
/// source, unless that is less than one. A source of a single document keeps it for training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// Share of the documents. Default 0.01.
    pub share: f64,
    /// Default 3: one book says more about its author than about books.
    pub min_documents: usize,
    /// Bytes of text. Default 65,536: bits per byte of a few kilobytes are mostly chance.
    pub min_bytes: u64,
    /// Default 0.1.
    pub max_share: f64,
    /// A document is passed over, and stays in training, if more than this share of its word
    /// sequences stands in other documents too: to know a copy by heart is no merit. Default 0.2.
    pub max_overlap: f64,
}

impl Default for HeldOut {
    fn default() -> Self {
        HeldOut {
            share: 0.01,
            min_documents: 3,
            min_bytes: 65_536,
            max_share: 0.1,
            max_overlap: 0.2,
        }
    }
}

/// One source's documents, split.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Split {
    /// Whether each document is held out.
    pub held_out: Vec<bool>,
    /// Documents drawn but passed over for their overlap.
    pub passed_over: usize,
}

impl HeldOut {
    /// Draws the documents.
    ///
    /// The order of drawing is that of SHA-256 of seed, source and text: it follows from those
    /// alone, so documents added to a file, or moved in it, do not shuffle the others.
    pub fn split(&self, sources: &[Source], seed: u64) -> Vec<Split> {
        let orders: Vec<Vec<usize>> = sources.iter().map(|source| order(source, seed)).collect();
        // Overlap is costly to know, so only of as many as could be drawn.
        let mut documents: Vec<&str> = Vec::new();
        let mut candidates: Vec<usize> = Vec::new();
        let mut pools: Vec<usize> = Vec::new();
        for (source, order) in sources.iter().zip(&orders) {
            let first = documents.len();
            documents.extend(source.documents());
            let pool = self.pool(&documents[first..], order);
            candidates.extend(order[..pool].iter().map(|&document| first + document));
            pools.push(pool);
        }
        let shares = overlap::shared(&documents, &candidates);

        let mut shares = shares.as_slice();
        let mut splits = Vec::new();
        for ((source, order), pool) in sources.iter().zip(&orders).zip(pools) {
            let (own, rest) = shares.split_at(pool);
            shares = rest;
            let texts: Vec<&str> = source.documents().collect();
            splits.push(self.draw(&texts, order, own));
        }
        splits
    }

    /// How far down the order candidates are looked at: half as far again as if none overlapped.
    fn pool(&self, texts: &[&str], order: &[usize]) -> usize {
        let (mut drawn, mut bytes) = (0, 0);
        for &document in order {
            if self.enough(drawn, bytes, texts.len()) {
                break;
            }
            drawn += 1;
            bytes += texts[document].len() as u64;
        }
        if drawn == 0 {
            0
        } else {
            order.len().min(drawn + drawn / 2 + 4)
        }
    }

    fn draw(&self, texts: &[&str], order: &[usize], overlaps: &[f64]) -> Split {
        let mut split = Split { held_out: vec![false; texts.len()], passed_over: 0 };
        let (mut drawn, mut bytes) = (0, 0);
        for (&document, &overlap) in order.iter().zip(overlaps) {
            if self.enough(drawn, bytes, texts.len()) {
                break;
            }
            if overlap > self.max_overlap {
                split.passed_over += 1;
                continue;
            }
            split.held_out[document] = true;
            drawn += 1;
            bytes += texts[document].len() as u64;
        }
        split
    }

    fn enough(&self, drawn: usize, bytes: u64, of: usize) -> bool {
        let most = ((of as f64 * self.max_share) as usize).max(1).min(of.saturating_sub(1));
        let wanted = ((of as f64 * self.share).ceil() as usize).max(self.min_documents);
        drawn >= most || (drawn >= wanted && bytes >= self.min_bytes)
    }
}

fn order(source: &Source, seed: u64) -> Vec<usize> {
    let key = |(document, text): (usize, &str)| {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update(source.name.as_bytes());
        hash.update([0]);
        hash.update(text.as_bytes());
        (<[u8; 32]>::from(hash.finalize()), document)
    };
    let mut keys: Vec<_> = source.documents().enumerate().map(key).collect();
    keys.sort_unstable();
    keys.into_iter().map(|(_, document)| document).collect()
}
