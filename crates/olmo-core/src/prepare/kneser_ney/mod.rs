//! The interpolated modified Kneser-Ney model, which a neural one has to beat.
//!
//! ```text
//! p(w | h) = (c(h w) - D(c(h w))) / c(h) + λ(h) · p(w | h without its first token)
//! λ(h)     = (D₁ N₁(h) + D₂ N₂(h) + D₃ N₃(h)) / c(h)
//! ```
//!
//! where c counts n-grams as `counts.rs` says, Nᵢ(h) is how many tokens follow h i times (N₃: three
//! times or more), and below the unigrams every token of the vocabulary is as likely as another.
//! An h never seen passes on what is known without its first token.
//!
//! Source: Chen and Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling"
//! (TR-10-98), sections 3 and 4.1.6; the beginnings of documents and the discounts of small texts
//! as in KenLM (Heafield et al. 2013).

mod counts;

pub use counts::MAX_ORDER;
use counts::{count, pack, Counts, TOKEN_BITS};

use crate::{Error, Result};

/// An n-gram model of tokens.
pub struct KneserNey {
    vocab_size: usize,
    eos: u16,
    /// By order less one.
    orders: Vec<Order>,
}

struct Order {
    ngrams: Counts,
    /// What n-grams are subtracted that were counted once, twice, and three times or more.
    discounts: [f64; 3],
    /// The n-grams' histories in ascending order, each once.
    histories: Vec<u128>,
    followers: Vec<Followers>,
}

/// What follows a history.
struct Followers {
    /// Where its n-grams begin; they end where the next history's begin.
    start: u32,
    /// c(h).
    total: u64,
    /// λ(h).
    backoff: f64,
}

impl KneserNey {
    /// Counts n-grams of up to `order` tokens in documents that each end with `eos`.
    ///
    /// Memory: about 80 bytes a token of text.
    pub fn train(stream: &[u16], eos: u16, vocab_size: usize, order: usize) -> Result<KneserNey> {
        if !(1..=MAX_ORDER).contains(&order) {
            return Err(Error::option("order", order, format!("1 to {MAX_ORDER} are possible")));
        }
        if let Some(&id) = stream.iter().find(|&&id| usize::from(id) >= vocab_size) {
            return Err(Error::InvalidToken { id: id.into(), vocab_size });
        }
        if stream.last() != Some(&eos) || stream.len() > u32::MAX as usize {
            let problem = "are no documents that each end with eos, or more than 2³²";
            return Err(Error::UnusableTokens { tokens: stream.len(), problem });
        }
        let orders = count(stream, eos, order).into_iter().map(Order::new).collect();
        Ok(KneserNey { vocab_size, eos, orders })
    }

    /// The longest n-gram, in tokens.
    pub fn order(&self) -> usize {
        self.orders.len()
    }

    /// How many different n-grams there are, of each order from 1 on.
    pub fn ngrams(&self) -> Vec<usize> {
        self.orders.iter().map(|order| order.ngrams.ngrams.len()).collect()
    }

    /// The discounts of each order from 1 on.
    pub fn discounts(&self) -> Vec<[f64; 3]> {
        self.orders.iter().map(|order| order.discounts).collect()
    }

    /// The probability of a token after a history, of which the last tokens count. A document's
    /// beginning is `eos` before it.
    pub fn probability(&self, history: &[u16], token: u16) -> f64 {
        let mut history = &history[history.len().saturating_sub(self.order() - 1)..];
        if let Some(end) = history.iter().rposition(|&id| id == self.eos) {
            history = &history[end..];
        }
        // From short to long, each order improves on the one below it.
        let mut probability = 1.0 / self.vocab_size as f64;
        for (length, order) in self.orders.iter().enumerate().take(history.len() + 1) {
            match order.row(pack(&history[history.len() - length..])) {
                Some(row) => probability = row.probability(token, probability),
                None => break,
            }
        }
        probability
    }

    /// Bits needed for a stream of documents that each end with `eos`, those `eos` among them.
    pub fn bits(&self, stream: &[u16]) -> f64 {
        let mut history = vec![self.eos];
        let mut bits = 0.0;
        for &token in stream {
            bits -= self.probability(&history, token).log2();
            if history.len() == MAX_ORDER {
                history.remove(0);
            }
            history.push(token);
        }
        bits
    }
}

/// One history's n-grams.
struct Row<'a> {
    ngrams: &'a [u128],
    counts: &'a [u32],
    discounts: &'a [f64; 3],
    followers: &'a Followers,
}

impl Row<'_> {
    fn probability(&self, token: u16, below: f64) -> f64 {
        let last = |ngram: &u128| *ngram as u16;
        let own = match self.ngrams.binary_search_by_key(&token, last) {
            Ok(at) => {
                let count = self.counts[at];
                f64::from(count) - self.discounts[count.min(3) as usize - 1]
            }
            Err(_) => 0.0,
        };
        own / self.followers.total as f64 + self.followers.backoff * below
    }
}

impl Order {
    fn new(ngrams: Counts) -> Order {
        let discounts = discounts(&ngrams.counts);
        let (mut histories, mut followers) = (Vec::new(), Vec::new());
        let mut start = 0;
        while start < ngrams.ngrams.len() {
            let history = ngrams.ngrams[start] >> TOKEN_BITS;
            let same = ngrams.ngrams[start..].iter().take_while(|&n| n >> TOKEN_BITS == history);
            let end = start + same.count();
            let (mut total, mut left_over) = (0u64, 0.0);
            for &count in &ngrams.counts[start..end] {
                total += u64::from(count);
                left_over += discounts[count.min(3) as usize - 1];
            }
            histories.push(history);
            let backoff = left_over / total as f64;
            followers.push(Followers { start: start as u32, total, backoff });
            start = end;
        }
        Order { ngrams, discounts, histories, followers }
    }

    fn row(&self, history: u128) -> Option<Row<'_>> {
        let at = self.histories.binary_search(&history).ok()?;
        let start = self.followers[at].start as usize;
        let next = self.followers.get(at + 1);
        let end = next.map_or(self.ngrams.ngrams.len(), |next| next.start as usize);
        Some(Row {
            ngrams: &self.ngrams.ngrams[start..end],
            counts: &self.ngrams.counts[start..end],
            discounts: &self.discounts,
            followers: &self.followers[at],
        })
    }
}

/// Chen and Goodman's estimates, from how many n-grams were counted once, twice, 3 and 4 times:
/// Dᵢ = i - (i + 1) · n₁ / (n₁ + 2 n₂) · nᵢ₊₁ / nᵢ.
///
/// A text too small or too even for them gets KenLM's stand-ins.
fn discounts(counts: &[u32]) -> [f64; 3] {
    let mut n = [0.0; 5];
    for &count in counts.iter().filter(|&&count| count <= 4) {
        n[count as usize] += 1.0;
    }
    let y = n[1] / (n[1] + 2.0 * n[2]);
    let estimates = [1, 2, 3].map(|i| i as f64 - (i + 1) as f64 * y * n[i + 1] / n[i]);
    let usable = |(i, &d): (usize, &f64)| (0.0..=i as f64 + 1.0).contains(&d);
    if estimates.iter().enumerate().all(usable) {
        estimates
    } else {
        [0.5, 1.0, 1.5]
    }
}
