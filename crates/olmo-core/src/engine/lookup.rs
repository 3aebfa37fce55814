//! Guesses at the next tokens, taken from the text so far.
//!
//! A text that repeats an earlier passage, such as an edited copy, continues as that passage did:
//!
//! ```text
//! place = where before the text's last few tokens stood
//! guess = the tokens that came after it
//! logits = model(last token, guess)           one pass
//! for each of its rows, in order:
//!     token = what the sampler makes of it    as without guesses
//!     stop after the first that was not guessed
//! ```
//!
//! A pass of a few rows takes little longer than one of a single row, since both read all weights. The
//! tokens equal those of generation one by one, because a row has the same bits whatever else is in the
//! pass.
//!
//! Where the text differs from a passage of the prompt in one token, as at a correction, the passage is
//! followed on behind it: waiting for two tokens that agree would take two passes of one. Not so where the
//! text repeats itself; a loop that ends seldom goes on.
//!
//! Source: "Prompt Lookup Decoding" (Saxena, 2023), `PromptLookupCandidateGenerator` of transformers. That
//! takes the first place it finds; here it is the one where most tokens agree.

/// The assumed cost of a guess, in passes of a single row. The real cost depends on machine, threads and
/// weights: in bf16, on one thread of an AVX2 CPU, the first cost 0.04 and ten 0.3 each; in q4_k_m, on two
/// threads of a Zen 1, seven cost 0.39 each.
const COST: f64 = 0.25;

/// The budget for guesses before any was right, in the same unit: at the start, and for each token.
const ADVANCE: f64 = 0.5;
const ALLOWANCE: f64 = 0.02;

/// A match of fewer tokens is not worth a guess.
const LEAST_AGREEMENT: usize = 2;

/// Guesses for one sequence, and whether they are worth it.
///
/// Each guess costs [`COST`], and each right one earns the pass it saved. On text that repeats nothing the
/// account is soon empty, and only the allowance is lost.
#[derive(Debug)]
pub struct Lookup {
    most: usize,
    max_agreement: usize,
    prompt_len: usize,
    account: f64,
    /// The position that the last guess was taken from.
    taken: usize,
    /// Where the passage that was right until the last step continues.
    passage: Option<usize>,
}

impl Lookup {
    /// Guesses `most` tokens at a time, comparing up to `max_agreement` previous tokens, at least 1.
    pub fn new(most: usize, max_agreement: usize, prompt_len: usize) -> Lookup {
        Lookup { most, max_agreement, prompt_len, account: ADVANCE, taken: 0, passage: None }
    }

    /// Guesses the tokens after `tokens`: those that followed an earlier occurrence of their end. At most
    /// `room`, and no more than the account allows in a pass that `concurrent` sequences share.
    pub fn guess<'a>(&mut self, tokens: &'a [u32], room: usize, concurrent: usize) -> &'a [u32] {
        let affordable = (self.account / (COST * concurrent as f64)) as usize; // none of a negative
        let count = self.most.min(room).min(affordable);
        if count == 0 {
            return &[];
        }
        let passage = self.passage.filter(|place| *place < self.prompt_len);
        match self.place(tokens).or(passage) {
            Some(place) => {
                self.taken = place;
                &tokens[place..tokens.len().min(place + count)]
            }
            None => &[],
        }
    }

    /// Records that `right` of `guessed` tokens were right, followed by one more token.
    pub fn learn(&mut self, guessed: usize, right: usize, concurrent: usize) {
        // In a shared pass the cost falls on all sequences, but only this one gains.
        self.passage = (right > 0).then_some(self.taken + right + 1);
        let cost = COST * (guessed * concurrent) as f64;
        self.account += ALLOWANCE * (right + 1) as f64 + right as f64 - cost;
        // The earnings of long copying must not fund long runs of wrong guesses.
        self.account = self.account.min(COST * (self.most * concurrent) as f64 + ADVANCE);
    }

    /// The position after an earlier occurrence of the text's end: the one where most tokens agree, the
    /// latest among equals.
    fn place(&self, tokens: &[u32]) -> Option<usize> {
        let last = tokens.last()?;
        let mut best = (LEAST_AGREEMENT.min(self.max_agreement) - 1, None);
        for place in (1..tokens.len()).rev() {
            if tokens[place - 1] != *last {
                continue;
            }
            let before = tokens[..place].iter().rev().zip(tokens.iter().rev());
            let agreement = before.take(self.max_agreement).take_while(|(a, b)| a == b).count();
            if agreement > best.0 {
                best = (agreement, Some(place));
                if agreement == self.max_agreement {
                    break;
                }
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_agreement_is_continued() {
        let mut lookup = Lookup { account: 100.0, ..Lookup::new(3, 8, 12) };
        let text = [1, 2, 3, 7, 7, 7, 9, 2, 3, 8, 8, 8, 1, 2, 3];
        assert_eq!(lookup.guess(&text, 9, 1), [7, 7, 7], "three tokens agree at the first place");
        assert_eq!(lookup.guess(&text[1..], 9, 1), [8, 8, 8], "two at both: the latest");
        assert_eq!(lookup.guess(&text, 2, 1), [7, 7]);
        assert!(lookup.guess(&text, 0, 1).is_empty());
        assert_eq!(lookup.guess(&[4, 4, 4], 9, 1), [4], "as far as the text goes");
        for nothing in [&[][..], &[1], &[1, 2, 3], &[5, 1, 6, 1]] {
            assert!(lookup.guess(nothing, 9, 1).is_empty(), "{nothing:?}");
        }
        let mut alone = Lookup { account: 100.0, ..Lookup::new(3, 1, 12) };
        assert_eq!(alone.guess(&[5, 1, 6, 1], 9, 1), [6, 1], "where one token is all to look at");
        let mut short = Lookup { account: 100.0, ..Lookup::new(3, 2, 12) };
        assert_eq!(short.guess(&text, 9, 1), [8, 8, 8], "where the third is not looked at");
    }

    /// A correction in a copy takes one pass, which finds it, and no more.
    #[test]
    fn a_passage_goes_on_behind_a_correction() {
        let passage = [1, 2, 3, 4, 5, 60, 7, 8, 9, 10, 11, 12];
        let mut lookup = Lookup { account: 100.0, ..Lookup::new(3, 8, 12) };
        let mut text = [&passage[..], &[1, 2]].concat();
        let mut passes = Vec::new();
        for _ in 0..3 {
            let guesses = lookup.guess(&text, 9, 1).to_vec();
            let next = text[text.len() - 1] + 1;
            let right = guesses.iter().zip(next..).take_while(|(guess, token)| **guess == *token);
            let right = right.count();
            lookup.learn(guesses.len(), right, 1);
            text.extend((next..).take(right + 1));
            passes.push(guesses);
        }
        assert_eq!(passes, [[3, 4, 5], [7, 8, 9], [11, 12, 1]]);
        // Not if nothing of it was right.
        lookup.learn(3, 0, 1);
        assert!(lookup.guess(&[8, 8, 1, 2, 3], 9, 1).is_empty());
    }

    /// Guesses that are never right cost less than 5 % of the passes, and those that always are soon
    /// are as long as they may be.
    #[test]
    fn guesses_are_given_up_where_they_are_wrong() {
        let text = [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2];
        for concurrent in [1, 2, 7] {
            let mut lookup = Lookup::new(7, 8, 12);
            let (mut cost, tokens) = (0.0, 100);
            for _ in 0..tokens {
                let guessed = lookup.guess(&text, 9, concurrent).len();
                cost += COST * (guessed * concurrent) as f64;
                lookup.learn(guessed, 0, concurrent);
            }
            assert!(
                cost <= 0.05 * tokens as f64,
                "{cost} passes in {tokens}, {concurrent} together"
            );
            assert!(concurrent > 1 || cost > 0.0);
        }
        let mut lookup = Lookup::new(7, 8, 12);
        for _ in 0..20 {
            lookup.learn(0, 0, 1);
        }
        let lengths: Vec<usize> = (0..4)
            .map(|_| {
                let guessed = lookup.guess(&text, 9, 1).len();
                lookup.learn(guessed, guessed, 1);
                guessed
            })
            .collect();
        assert_eq!(lengths, [3, 7, 7, 7]);
        // And given up again: what was earned is bounded.
        let wasted: usize = (0..20)
            .map(|_| {
                let guessed = lookup.guess(&text, 9, 1).len();
                lookup.learn(guessed, 0, 1);
                guessed
            })
            .sum();
        assert!((7..=11).contains(&wasted), "{wasted}");
    }
}
