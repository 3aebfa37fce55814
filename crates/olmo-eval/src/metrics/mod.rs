//! What the harnesses make of log-likelihoods.
//!
//! Scores are rounded to f32 where the harnesses hold them in it, so that what is a tie there is one here.

mod tally;

pub use tally::{Tally, TaskResults};

use std::collections::BTreeMap;
// In f32 it is the harnesses' 1.44269504089.
use std::f32::consts::LOG2_E;

use crate::record::Record;
use crate::table::{Harness, Metric};

/// A choice's numbers.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    loglikelihood: f32,
    unconditional: f32,
    /// Of the whole continuation.
    characters: f32,
    bytes: f32,
    /// Without its first character.
    inner_characters: f32,
    inner_bytes: f32,
}

/// How long a continuation counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    /// Without its first character, most often a blank: `_v1`.
    Inner,
    /// Whole: `_v2`.
    Whole,
}

impl Numbers {
    fn by_character(&self, length: Length) -> f32 {
        self.loglikelihood
            / match length {
                Length::Inner => self.inner_characters,
                Length::Whole => self.characters,
            }
    }

    fn bits_per_byte(&self, length: Length) -> f32 {
        let bytes = match length {
            Length::Inner => self.inner_bytes,
            Length::Whole => self.bytes,
        };
        -self.loglikelihood / bytes * LOG2_E
    }

    /// What a choice is chosen by.
    fn score(&self, metric: Metric, length: Length) -> f32 {
        match metric {
            Metric::Acc | Metric::F1 => self.loglikelihood,
            // The quotient of two negative numbers: it is smaller the more a question helps a choice, and
            // yet the largest is chosen. So the harnesses have it.
            Metric::PmiDc => self.loglikelihood / self.unconditional,
            _ => self.by_character(length),
        }
    }

    fn ce_loss(&self, metric: Metric, length: Length) -> f32 {
        match metric {
            Metric::PmiDc => -self.score(metric, length),
            _ => -self.by_character(length),
        }
    }

    fn bpb(&self, metric: Metric, length: Length) -> f32 {
        match metric {
            Metric::PmiDc => -self.score(metric, length),
            _ => self.bits_per_byte(length),
        }
    }
}

/// Fills in what the log-likelihoods of a record's choices come to; or why they come to nothing.
///
/// A `fast` task takes the lengths of its first choice for all.
pub fn measure(record: &mut Record, harness: Harness, metric: Metric, fast: bool) {
    if metric == Metric::Mc2 {
        return measure_truths(record);
    }
    let numbers = match numbers_of(record, metric, fast) {
        Ok(numbers) => numbers,
        Err(problem) => return record.fail(problem),
    };
    let length = match harness {
        Harness::Olmo => Length::Inner,
        Harness::OlmoEval => Length::Whole,
    };
    if !metric.is_of_one() {
        let chosen = first_largest(numbers.iter().map(|choice| choice.score(metric, length)));
        record.chosen = Some(chosen);
        record.correct = Some(chosen == record.gold);
    }
    let found = match harness {
        Harness::Olmo => olmo(record, &numbers, metric),
        Harness::OlmoEval => olmo_eval(record, &numbers, metric),
    };
    if found.values().any(|number| !number.is_finite()) {
        return record.fail("a continuation without a length has no number by character or byte");
    }
    record.metrics = found;
}

/// The probability of the true choices among all, without regard to their lengths: `lm_eval`'s
/// `process_results_mc2`, kept from underflow.
fn measure_truths(record: &mut Record) {
    let scores: Option<Vec<f64>> =
        record.choices.iter().map(|choice| choice.loglikelihood).collect();
    let Some(scores) = scores.filter(|scores| !scores.is_empty()) else {
        return record.fail("a choice has no log-likelihood");
    };
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
    let pairs = weights.iter().zip(&record.truths);
    let truth: f64 = pairs.filter(|(_, is_true)| **is_true).map(|(weight, _)| weight).sum();
    let chosen = weights.iter().position(|weight| *weight == 1.0);
    record.chosen = chosen;
    record.correct = chosen.map(|chosen| record.truths.get(chosen) == Some(&true));
    let probability = truth / weights.iter().sum::<f64>();
    if !probability.is_finite() {
        return record.fail("the log-likelihoods are not finite");
    }
    record.metrics = BTreeMap::from([("mc2".to_owned(), probability)]);
}

fn numbers_of(record: &Record, metric: Metric, fast: bool) -> Result<Vec<Numbers>, &'static str> {
    if record.gold >= record.choices.len() {
        return Err("the right choice is not among the choices");
    }
    let first = &record.choices[0];
    let numbers = record.choices.iter().map(|choice| {
        let measured = if fast { first } else { choice };
        let leading = measured.text.chars().next().map_or(0, char::len_utf8);
        Some(Numbers {
            loglikelihood: choice.loglikelihood? as f32,
            unconditional: match metric {
                Metric::PmiDc => choice.unconditional? as f32,
                _ => 0.0,
            },
            characters: measured.characters as f32,
            bytes: measured.bytes as f32,
            inner_characters: measured.characters.saturating_sub(1) as f32,
            inner_bytes: measured.bytes.saturating_sub(leading) as f32,
        })
    });
    numbers.collect::<Option<_>>().ok_or("a choice has no log-likelihood")
}

/// As torch's `argmax` on the CPU: of equal ones the first.
fn first_largest(scores: impl Iterator<Item = f32>) -> usize {
    let (mut best, mut largest) = (0, f32::NEG_INFINITY);
    for (place, score) in scores.enumerate() {
        if score > largest {
            (best, largest) = (place, score);
        }
    }
    best
}

/// One number a label.
fn olmo(record: &Record, numbers: &[Numbers], metric: Metric) -> BTreeMap<String, f64> {
    let value = match metric {
        Metric::CeLoss => f64::from(numbers[0].ce_loss(metric, Length::Inner)),
        Metric::Bpb => f64::from(numbers[0].bpb(metric, Length::Inner)),
        _ => f64::from(u8::from(record.correct == Some(true))),
    };
    match metric {
        // F1 is no mean over documents: the tally has it from the choices.
        Metric::F1 => BTreeMap::new(),
        _ => BTreeMap::from([(metric.name().to_owned(), value)]),
    }
}

/// A dictionary a label. Both accuracies are the one of whole continuations.
fn olmo_eval(record: &Record, numbers: &[Numbers], metric: Metric) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    let right = &numbers[record.gold];
    for (version, length) in [("v1", Length::Inner), ("v2", Length::Whole)] {
        let mut put = |name: &str, value: f64| {
            found.insert(format!("{name}_{version}"), value);
        };
        match metric {
            Metric::F1 | Metric::Mc2 | Metric::ExactMatch => {}
            Metric::CeLoss => put("ce_loss", f64::from(numbers[0].ce_loss(metric, length))),
            Metric::Bpb => put("bpb", f64::from(numbers[0].bpb(metric, length))),
            Metric::Acc | Metric::LenNorm | Metric::PmiDc => {
                let scores: Vec<f32> =
                    numbers.iter().map(|choice| choice.score(metric, length)).collect();
                let log = log_softmax(&scores, record.gold);
                put(metric.name(), f64::from(u8::from(record.correct == Some(true))));
                put("ce_loss", f64::from(right.ce_loss(metric, length)));
                put("bpb", f64::from(right.bpb(metric, length)));
                put("soft", log.exp());
                put("soft_log", log);
            }
        }
    }
    found
}

fn log_softmax(scores: &[f32], place: usize) -> f64 {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = scores.iter().map(|score| f64::from(score - largest).exp()).sum();
    f64::from(scores[place] - largest) - sum.ln()
}

/// The name of the number that a harness reports for a label of this metric.
pub fn primary(harness: Harness, metric: Metric) -> String {
    match harness {
        _ if !metric.is_of_harness() => metric.name().to_owned(),
        Harness::Olmo => metric.name().to_owned(),
        Harness::OlmoEval => format!("{}_v1", metric.name()),
    }
}
