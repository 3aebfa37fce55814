//! The largest of many numbers, without sorting them all.

/// The k-th largest value, `k` at least 1; minus infinity if there are not `k` above that.
///
/// ```text
/// sort descending; return values[k - 1]
/// ```
///
/// Values pass into `buffer` only if they beat the k-th largest so far. When it is full it is cut
/// down to its `k` largest, which raises that bar. Most values of a large vocabulary meet one
/// comparison; the buffer stays small and is reused.
pub(crate) fn kth_largest(
    values: impl Iterator<Item = f32>,
    k: usize,
    buffer: &mut Vec<f32>,
) -> f32 {
    let limit = k.saturating_mul(2).max(1024);
    let mut bar = f32::NEG_INFINITY;
    buffer.clear();
    for value in values {
        if value > bar {
            buffer.push(value);
            if buffer.len() == limit {
                bar = cut(buffer, k);
            }
        }
    }
    if buffer.len() < k {
        bar
    } else {
        cut(buffer, k)
    }
}

/// Leaves the `k` largest values in the buffer, which has as many, and returns their least.
fn cut(buffer: &mut Vec<f32>, k: usize) -> f32 {
    let (_, least, _) = buffer.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
    let least = *least;
    buffer.truncate(k);
    least
}
