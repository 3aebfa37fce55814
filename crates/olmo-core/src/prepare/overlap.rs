//! How much of a document stands in other documents too.

use std::collections::HashMap;

/// Sequences of this many words are compared: long enough that prose shares one only when one
/// text was copied from the other, and not seldom in books that quote the same verse.
const WORDS: usize = 12;

/// For each candidate, an index into `documents`, the share of its word sequences that stand in
/// some other document as well. Case and punctuation do not count.
pub(crate) fn shared(documents: &[&str], candidates: &[usize]) -> Vec<f64> {
    struct Seen {
        candidate: usize,
        elsewhere: bool,
    }
    let mut seen: HashMap<u64, Seen> = HashMap::new();
    let mut is_candidate = vec![false; documents.len()];
    for &candidate in candidates {
        is_candidate[candidate] = true;
        windows(documents[candidate], |hash| {
            let first = seen.entry(hash).or_insert(Seen { candidate, elsewhere: false });
            first.elsewhere |= first.candidate != candidate;
        });
    }
    for (document, _) in documents.iter().zip(is_candidate).filter(|(_, candidate)| !candidate) {
        windows(document, |hash| {
            if let Some(seen) = seen.get_mut(&hash) {
                seen.elsewhere = true;
            }
        });
    }
    let share = |&candidate: &usize| {
        let (mut all, mut elsewhere) = (0u64, 0u64);
        windows(documents[candidate], |hash| {
            all += 1;
            elsewhere += u64::from(seen[&hash].elsewhere);
        });
        elsewhere as f64 / all.max(1) as f64
    };
    candidates.iter().map(share).collect()
}

/// Calls with a hash of each sequence of [`WORDS`] words.
///
/// The hash of words h₁…hₙ is Σ hᵢ·Bⁿ⁻ⁱ modulo 2⁶⁴, so that moving on by a word takes two
/// products (Rabin and Karp).
fn windows(text: &str, mut call: impl FnMut(u64)) {
    const BASE: u64 = 0x9E37_79B9_7F4A_7C15;
    let oldest = BASE.wrapping_pow(WORDS as u32);
    let mut recent = [0u64; WORDS];
    let mut hash = 0u64;
    let words = text.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty());
    for (i, word) in words.enumerate() {
        let word = word_hash(word);
        let leaving = std::mem::replace(&mut recent[i % WORDS], word);
        hash =
            hash.wrapping_mul(BASE).wrapping_add(word).wrapping_sub(leaving.wrapping_mul(oldest));
        if i + 1 >= WORDS {
            call(hash);
        }
    }
}

/// FNV-1a over the word in lower case.
fn word_hash(word: &str) -> u64 {
    word.chars().flat_map(char::to_lowercase).fold(0xCBF2_9CE4_8422_2325, |hash, char| {
        (hash ^ u64::from(u32::from(char))).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn story(name: &str, sentences: std::ops::Range<usize>) -> String {
        sentences.map(|i| format!("{name} walked over hill number {i} and sang. ")).collect()
    }

    #[test]
    fn copies_are_found_and_others_are_not() {
        let (fox, hare) = (story("fox", 0..20), story("hare", 0..20));
        let shouted = fox.to_uppercase().replace('.', " --");
        let half = story("fox", 0..10) + &story("crow", 0..10);
        let documents = [fox.as_str(), &hare, &shouted, &half, "few words"];
        let share = shared(&documents, &[0, 1, 3, 4]);
        assert_eq!(share[0], 1.0, "a copy in other letters");
        assert_eq!(share[1], 0.0, "one word differs in every sequence");
        assert!((0.35..0.6).contains(&share[2]), "half a copy: {}", share[2]);
        assert_eq!(share[3], 0.0, "too short to tell");
    }

    #[test]
    fn candidates_are_compared_with_each_other() {
        let fox = story("fox", 0..9);
        assert_eq!(shared(&[&fox, &fox], &[0, 1]), [1.0, 1.0]);
        assert_eq!(shared(&[&fox, "something else"], &[0]), [0.0], "not with themselves");
    }
}
