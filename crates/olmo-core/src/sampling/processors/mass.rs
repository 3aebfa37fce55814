//! Where, in some order of the tokens, their probabilities have added up to enough.

use std::cmp::Ordering;

/// A token in an order, with its probability.
#[derive(Debug, Clone, Copy)]
pub struct Ranked {
    /// What the order goes by, ascending.
    pub key: f32,
    /// Decides between equal keys: the lower id is first.
    pub id: u32,
    pub mass: f32,
}

impl Ranked {
    pub fn order(&self, other: &Ranked) -> Ordering {
        // Adding zero makes -0.0 the 0.0 that it equals; `total_cmp` tells them apart.
        (self.key + 0.0).total_cmp(&(other.key + 0.0)).then(self.id.cmp(&other.id))
    }
}

/// The first token, in ascending order, with which the sum of the masses is no longer `below` the
/// mark; the last one if it stays below. `before` is the mass of tokens that come before all these.
///
/// ```text
/// sort(ranked); sum = before
/// for token in ranked: sum += token.mass; if not below(sum): return token
/// return last
/// ```
///
/// Sorting 100,000 tokens for one place among them is a waste: each round below splits what is
/// left at its median and goes on with the half that holds the place, which is linear in all.
/// Sums are kept in f64 and compared in f32, as torch's `cumsum` of f32 does.
pub fn crossing(
    ranked: &mut [Ranked],
    mut before: f64,
    below: impl Fn(f32) -> bool,
) -> Option<Ranked> {
    let (mut start, mut end) = (0, ranked.len());
    while end - start > 1 {
        let middle = (end - start) / 2;
        ranked[start..end].select_nth_unstable_by(middle, Ranked::order);
        let lower = &ranked[start..start + middle];
        let sum = before + lower.iter().map(|token| f64::from(token.mass)).sum::<f64>();
        if below(sum as f32) {
            before = sum;
            start += middle;
        } else {
            end = start + middle;
        }
    }
    ranked.get(start).copied()
}
