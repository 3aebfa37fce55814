//! Counts of n-grams by sorting.
//!
//! ```text
//! order n:  sort all n-grams of the text, count runs of equal ones
//! order k:  drop the first token of each *different* (k+1)-gram, sort, count runs
//! ```
//!
//! so that below the highest order an n-gram counts the different tokens seen before it, as
//! Kneser-Ney asks. An n-gram at the beginning of a document has nothing before it: there the
//! occurrences count, as in SRILM and KenLM.

/// Tokens are packed into a `u128`, 16 bits each, the last token lowest. Packed n-grams of one
/// order sort like the sequences they are.
pub(super) const TOKEN_BITS: usize = 16;

/// As many tokens as a `u128` holds.
pub const MAX_ORDER: usize = 128 / TOKEN_BITS;

pub(super) fn pack(tokens: &[u16]) -> u128 {
    tokens.iter().fold(0, |packed, &token| packed << TOKEN_BITS | u128::from(token))
}

/// The n-grams of one order in ascending order, each once.
#[derive(Default)]
pub(super) struct Counts {
    pub ngrams: Vec<u128>,
    pub counts: Vec<u32>,
}

impl Counts {
    /// Sorts and counts.
    fn of(mut ngrams: Vec<u128>) -> Counts {
        ngrams.sort_unstable();
        let mut counts: Vec<u32> = Vec::new();
        ngrams.dedup_by(|next, kept| {
            // The first call compares the second element with the first, which is kept as is.
            if counts.is_empty() {
                counts.push(1);
            }
            let same = next == kept;
            match counts.last_mut() {
                Some(count) if same => *count += 1,
                _ => counts.push(1),
            }
            same
        });
        if counts.is_empty() && !ngrams.is_empty() {
            counts.push(1);
        }
        ngrams.shrink_to_fit();
        counts.shrink_to_fit();
        Counts { ngrams, counts }
    }
}

/// Counts every order from 1 to `order`; the first element is order 1.
///
/// `stream` is documents that each end with `eos`. What a document begins with is predicted from
/// one `eos` before it, and no n-gram reaches further back.
pub(super) fn count(stream: &[u16], eos: u16, order: usize) -> Vec<Counts> {
    let mut highest: Vec<u128> = Vec::with_capacity(stream.len());
    // By order less one: n-grams that begin a document and are shorter than `order`.
    let mut beginnings: Vec<Vec<u128>> = vec![Vec::new(); order];
    let mask = low_tokens(order);
    // The n-gram that ends at the token before, and how many tokens of it there are.
    let (mut recent, mut length) = (u128::from(eos), 1);
    for &token in stream {
        recent = (recent << TOKEN_BITS | u128::from(token)) & mask;
        length = order.min(length + 1);
        if length == order {
            highest.push(recent);
        } else {
            beginnings[length - 1].push(recent);
        }
        if token == eos {
            (recent, length) = (u128::from(eos), 1);
        }
    }

    let mut orders = vec![Counts::of(highest)];
    for k in (1..order).rev() {
        let above = orders.last().expect("the order above");
        let mut ngrams: Vec<u128> = Vec::with_capacity(above.ngrams.len());
        ngrams.extend(above.ngrams.iter().map(|ngram| ngram & low_tokens(k)));
        // No continuation begins with an `eos` that begins a document, so counts do not mix:
        // that token is the first of its n-gram, and the first is what was dropped.
        ngrams.append(&mut beginnings[k - 1]);
        orders.push(Counts::of(ngrams));
    }
    orders.reverse();
    orders
}

fn low_tokens(count: usize) -> u128 {
    match count * TOKEN_BITS {
        128 => u128::MAX,
        bits => (1 << bits) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(counts: &Counts) -> Vec<(u128, u32)> {
        counts.ngrams.iter().copied().zip(counts.counts.iter().copied()).collect()
    }

    #[test]
    fn runs_are_counted() {
        assert_eq!(counted(&Counts::of(vec![])), []);
        assert_eq!(counted(&Counts::of(vec![7])), [(7, 1)]);
        assert_eq!(counted(&Counts::of(vec![7, 7])), [(7, 2)]);
        assert_eq!(counted(&Counts::of(vec![9, 7, 9, 8, 9])), [(7, 1), (8, 1), (9, 3)]);
    }

    /// "1 2 1 2" and "1 3", with eos 0.
    #[test]
    fn lower_orders_count_what_stands_before() {
        let orders = count(&[1, 2, 1, 2, 0, 1, 3, 0], 0, 3);
        let p = |tokens: &[u16]| pack(tokens);
        assert_eq!(
            counted(&orders[2]),
            [
                (p(&[0, 1, 2]), 1),
                (p(&[0, 1, 3]), 1),
                (p(&[1, 2, 0]), 1),
                (p(&[1, 2, 1]), 1),
                (p(&[1, 3, 0]), 1),
                (p(&[2, 1, 2]), 1),
            ]
        );
        // (0 1) begins a document, twice. (1 2) has been seen after 0 and after 2.
        assert_eq!(
            counted(&orders[1]),
            [
                (p(&[0, 1]), 2),
                (p(&[1, 2]), 2),
                (p(&[1, 3]), 1),
                (p(&[2, 0]), 1),
                (p(&[2, 1]), 1),
                (p(&[3, 0]), 1),
            ]
        );
        // 0 after 2 and 3; 1 after 0 and 2; 2 after 1; 3 after 1.
        assert_eq!(counted(&orders[0]), [(0, 2), (1, 2), (2, 1), (3, 1)]);
    }

    #[test]
    fn of_one_order_only_occurrences_count() {
        let orders = count(&[1, 2, 1, 2, 0, 1, 3, 0], 0, 1);
        assert_eq!(orders.len(), 1);
        assert_eq!(counted(&orders[0]), [(0, 2), (1, 3), (2, 2), (3, 1)]);
    }
}
