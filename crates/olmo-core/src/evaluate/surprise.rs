//! How well a model knows tokens: nats, perplexity, and bits per byte.
//!
//! ```text
//! surprise of a token    -ln p(token)                     nats
//! cross-entropy          mean surprise of the tokens      nats a token
//! perplexity             e^cross-entropy
//! bits per byte          sum of surprise / ln 2 / bytes   whatever the tokenizer
//! ```

use std::f64::consts::LN_2;

use serde::{Deserialize, Serialize};

/// The surprise of some tokens, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Surprise {
    pub nats: f64,
    pub tokens: u64,
}

impl Surprise {
    /// Nats a token.
    pub fn cross_entropy(&self) -> f64 {
        self.nats / self.tokens as f64
    }

    pub fn perplexity(&self) -> f64 {
        self.cross_entropy().exp()
    }

    pub fn bits(&self) -> f64 {
        self.nats / LN_2
    }

    /// `bytes` are those of the text in UTF-8; a part of a text may have a part of its bytes.
    pub fn bits_per_byte(&self, bytes: f64) -> f64 {
        self.bits() / bytes
    }
}

/// How well a model knows one source's held-out documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceScore {
    pub source: String,
    /// Bits for all tokens, the token that ends each document among them.
    pub bits: f64,
    pub tokens: u64,
    /// Bytes of the text in UTF-8.
    pub bytes: u64,
    pub bits_per_byte: f64,
}

impl SourceScore {
    pub(super) fn new(source: &str, bits: f64, tokens: u64, bytes: u64) -> SourceScore {
        // A source that had nothing to hold out has no bits either.
        let bits_per_byte = bits / bytes.max(1) as f64;
        SourceScore { source: source.to_owned(), bits, tokens, bytes, bits_per_byte }
    }

    /// Of all sources together.
    pub(super) fn overall(sources: &[SourceScore]) -> SourceScore {
        let bits = sources.iter().map(|source| source.bits).sum();
        let sum = |part: fn(&SourceScore) -> u64| sources.iter().map(part).sum::<u64>();
        SourceScore::new("overall", bits, sum(|source| source.tokens), sum(|source| source.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_follow_from_each_other() {
        // Four tokens of one bit each, over two bytes.
        let surprise = Surprise { nats: 4.0 * LN_2, tokens: 4 };
        assert_eq!(surprise.bits(), 4.0);
        assert_eq!(surprise.bits_per_byte(2.0), 2.0);
        assert_eq!(surprise.cross_entropy(), LN_2);
        assert!((surprise.perplexity() - 2.0).abs() < 1e-15);
    }

    #[test]
    fn a_source_without_bytes_has_no_bits_per_byte() {
        let nothing = SourceScore::new("empty", 0.0, 0, 0);
        let all = SourceScore::overall(&[nothing.clone(), SourceScore::new("a", 6.0, 3, 2)]);
        assert_eq!((nothing.bits_per_byte, all.bits_per_byte), (0.0, 3.0));
        assert_eq!((all.tokens, all.bytes), (3, 2));
    }
}
