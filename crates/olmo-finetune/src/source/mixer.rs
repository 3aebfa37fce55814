//! How much of a source is taken, as Open Instruct's mixer has it.
//!
//! Sources: `load_dataset_configs` and `DatasetConfig.select_samples` in
//! `open_instruct/dataset_transformation.py` at e6c3044.

use crate::python::Json;
use crate::random;

/// The most rows that are taken of one source: each that is taken needs some bytes of memory.
const MOST_ROWS: u64 = 1 << 28;

/// The mixer's own seed.
const SEED: u32 = 42;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// So many times the source.
    Share(f64),
    /// So many rows.
    Count(u64),
}

impl Amount {
    pub const ALL: Amount = Amount::Share(1.0);

    /// With a point it is a share, without one a number of rows.
    pub fn parse(text: &str) -> Option<Amount> {
        let is_plain =
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        match text.contains('.') {
            _ if !is_plain => None,
            true => text.parse().ok().map(Amount::Share),
            false => text.parse().ok().map(Amount::Count),
        }
    }

    /// How many of `count` rows are wanted; nothing if they are too many.
    pub fn of(self, count: usize) -> Option<usize> {
        let wanted = match self {
            Amount::Share(share) => (share * count as f64) as u64,
            Amount::Count(wanted) => wanted,
        };
        (wanted <= MOST_ROWS).then_some(wanted as usize)
    }

    pub fn to_json(self) -> Json {
        match self {
            Amount::Share(share) => Json::Float(share),
            Amount::Count(count) => Json::Int(count),
        }
    }
}

/// Which rows of `count`, and in which order: all of them as often as they go into `wanted`, then a draw.
pub fn order(count: usize, wanted: usize) -> Vec<u32> {
    let whole = wanted / count.max(1);
    let mut order = Vec::with_capacity(wanted);
    for _ in 0..whole {
        order.extend(0..count as u32);
    }
    let rest = wanted - order.len();
    if rest > 0 && count > 0 {
        order.extend(random::choice(SEED, count, rest));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read() {
        assert_eq!(Amount::parse("0.5"), Some(Amount::Share(0.5)));
        assert_eq!(Amount::parse("1."), Some(Amount::Share(1.0)));
        assert_eq!(Amount::parse("25"), Some(Amount::Count(25)));
        for wrong in ["", "-1", "1e3", "x", ".", "1.2.3", "inf"] {
            assert_eq!(Amount::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Amount::Share(0.29).of(100), Some(28), "as int() of Python's product");
        assert_eq!(Amount::Count(1 << 40).of(1), None);
    }

    #[test]
    fn more_than_all_is_all_of_it_first() {
        let order = order(4, 10);
        assert_eq!(order[..8], [0, 1, 2, 3, 0, 1, 2, 3]);
        assert_eq!(order[8..], random::choice(42, 4, 2));
        assert_eq!(super::order(0, 0), [0; 0]);
    }
}
