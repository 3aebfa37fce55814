//! How long an answer's next token takes to come while something long is read, by an artificial clock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use super::test_support::{drain, Bench, Timed};
use super::*;
use crate::engine::Generation;

/// Microseconds of a pass: what a machine takes that reads its weights in 40 milliseconds and computes a row in
/// four.
fn taken(rows: usize) -> u64 {
    10_000 + (4_000 * rows as u64).max(30_000)
}

/// Answers that are being written, and how long their readers waited for each token.
struct Answers {
    bench: Bench,
    micros: Arc<AtomicU64>,
    generations: Vec<Generation>,
    since: Vec<u64>,
}

impl Answers {
    fn new(count: u32) -> Answers {
        let micros: Arc<AtomicU64> = Arc::default();
        let model = Timed { micros: micros.clone(), taken };
        let mut bench = Bench::clocked(model, 64 * 10, Limits::default(), micros.clone());
        let generations = (0..count).map(|n| bench.add(vec![n; 10], 2000)).collect();
        let mut answers = Answers { bench, micros, generations, since: vec![0; count as usize] };
        // The prompts, and the first passes of answers alone.
        answers.waits(|_| false, 10);
        answers
    }

    /// Runs passes until `ends`, `most` at most; gives the microseconds between tokens, of all answers.
    fn waits(&mut self, ends: impl Fn(&Bench) -> bool, most: usize) -> Vec<u64> {
        let mut waits = Vec::new();
        for _ in 0..most {
            if ends(&self.bench) {
                break;
            }
            assert!(self.bench.scheduler.step(), "something runs");
            let now = self.micros.load(Ordering::Relaxed);
            for (generation, since) in self.generations.iter().zip(&mut self.since) {
                if drain(generation) > 0 {
                    waits.push(now - *since);
                    *since = now;
                }
            }
        }
        waits
    }

    fn now(&self) -> u64 {
        self.micros.load(Ordering::Relaxed)
    }
}

fn median(waits: &[u64]) -> u64 {
    let mut sorted = waits.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

#[test]
fn nobody_waits_three_steps_while_a_long_prompt_is_read() {
    for count in [1, 8] {
        let mut answers = Answers::new(count);
        let alone = median(&answers.waits(|_| false, 50));
        let began = answers.now();
        let long = answers.bench.add(vec![77; 4000], 1);
        let waits = answers.waits(|_| long.has_events(), 1000);
        let most = waits.iter().max().copied();
        // Two are aimed at; a row more may be one too many.
        assert!(most <= Some(5 * alone / 2), "{most:?} beside {count} answers of {alone}");
        // The prompt is read at four tenths of its speed at least.
        let (took, by_itself) = (answers.now() - began, 4000 / 256 * taken(256));
        assert!(2 * took < 5 * by_itself, "{took} for the prompt, {by_itself} by itself");
    }
}

#[test]
fn nobody_waits_three_steps_while_a_text_is_looked_into() {
    let mut answers = Answers::new(1);
    let alone = median(&answers.waits(|_| false, 50));
    let result = answers.bench.forward(vec![5; 2000]);
    let prompt = answers.bench.add(vec![77; 1000], 1);
    let waits = answers.waits(|_| !result.is_empty() && prompt.has_events(), 2000);
    assert!(!result.is_empty() && prompt.has_events(), "both come to their end");
    let most = waits.iter().max().copied();
    assert!(most <= Some(3 * alone), "{most:?} beside an answer of {alone}");
}

#[test]
fn a_prompt_is_read_in_whole_chunks_where_nobody_waits() {
    let micros: Arc<AtomicU64> = Arc::default();
    let model = Timed { micros: micros.clone(), taken };
    let mut bench = Bench::clocked(model, 64, Limits::default(), micros.clone());
    let _reads = bench.add(vec![7; 1024], 1);
    bench.run();
    assert_eq!(micros.load(Ordering::Relaxed), 4 * taken(256));
}
