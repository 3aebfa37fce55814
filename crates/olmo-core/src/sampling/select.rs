//! Selecting the largest of many numbers without sorting them all.
//!
//! Most numbers of a large vocabulary are far from the largest. All functions here first find the largest
//! of a few dozen, which takes a handful of vector instructions, and look closer only if it is large
//! enough.

/// Numbers examined together.
const FEW: usize = 64;

/// The largest number, or minus infinity if there is none. NaN is ignored.
pub(crate) fn largest(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let (groups, rest) = values.as_chunks::<16>();
    let mut lanes = [f32::NEG_INFINITY; 16];
    for group in groups {
        for (lane, x) in lanes.iter_mut().zip(group) {
            *lane = larger(*lane, *x);
        }
    }
    lanes.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, larger)
}

/// The index of the largest number, the first among equals. None if there is none above minus infinity.
pub(crate) fn first_largest(values: &[f32]) -> Option<usize> {
    let mut best = (None, f32::NEG_INFINITY);
    for (index, few) in values.chunks(FEW).enumerate() {
        let largest = largest(few);
        if largest > best.1 {
            let place = few.iter().position(|&x| x == largest);
            best = (place.map(|place| index * FEW + place), largest);
        }
    }
    best.0
}

/// The numbers of at least `least` and above minus infinity, with their indices.
pub(crate) fn at_least(values: &[f32], least: f32) -> impl Iterator<Item = (usize, f32)> + '_ {
    let wanted = move |x: f32| x >= least && x > f32::NEG_INFINITY;
    let some_wanted = move |(_, few): &(usize, &[f32])| wanted(largest(few));
    values.chunks(FEW).enumerate().filter(some_wanted).flat_map(move |(index, few)| {
        let places = few.iter().enumerate().map(move |(i, &x)| (index * FEW + i, x));
        places.filter(move |&(_, x)| wanted(x))
    })
}

/// The k-th largest value, `k` at least 1; minus infinity if there are not `k` above that.
///
/// ```text
/// sort descending; return values[k - 1]
/// ```
///
/// Values pass into `buffer` only if they beat the k-th largest so far. When it is full it is cut
/// down to its `k` largest, which raises that bar. The buffer stays small and is reused.
pub(crate) fn kth_largest(values: &[f32], k: usize, buffer: &mut Vec<f32>) -> f32 {
    let limit = k.saturating_mul(2).max(1024);
    let mut bar = f32::NEG_INFINITY;
    buffer.clear();
    for few in values.chunks(FEW) {
        if largest(few) <= bar {
            continue;
        }
        for &value in few {
            if value > bar {
                buffer.push(value);
                if buffer.len() == limit {
                    bar = cut(buffer, k);
                }
            }
        }
    }
    if buffer.len() < k {
        bar
    } else {
        cut(buffer, k)
    }
}

/// Keeps the `k` largest values in the buffer, which has at least `k`, and returns the least of them.
fn cut(buffer: &mut Vec<f32>, k: usize) -> f32 {
    let (_, least, _) = buffer.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
    let least = *least;
    buffer.truncate(k);
    least
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against plain loops and a sort. Few different values, so that many are equal.
        #[test]
        fn all_find_what_a_sort_finds(
            values in prop::collection::vec(
                prop_oneof![
                    20 => (-40i32..40).prop_map(|x| x as f32 / 4.0),
                    1 => Just(f32::NEG_INFINITY),
                    1 => Just(-0.0f32),
                ],
                0..300,
            ),
            k in 1usize..40,
        ) {
            let mut sorted = values.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let first = sorted.first().copied().unwrap_or(f32::NEG_INFINITY);
            prop_assert_eq!(largest(&values), first);
            let place = values.iter().position(|&x| x == first);
            prop_assert_eq!(first_largest(&values), place.filter(|_| first > f32::NEG_INFINITY));

            let kth = sorted.get(k - 1).copied().unwrap_or(f32::NEG_INFINITY);
            let mut buffer = vec![f32::NAN; 3]; // is replaced
            prop_assert_eq!(kth_largest(&values, k, &mut buffer), kth);
            let wanted = |&(_, x): &(usize, f32)| x >= kth && x > f32::NEG_INFINITY;
            let expected: Vec<(usize, f32)> =
                values.iter().copied().enumerate().filter(wanted).collect();
            prop_assert_eq!(at_least(&values, kth).collect::<Vec<_>>(), expected);
        }
    }
}
