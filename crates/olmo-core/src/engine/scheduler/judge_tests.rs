//! Ends of texts that are judged: each gets what it gets alone, and beginnings are read once.

use std::sync::atomic::Ordering;
use std::sync::Arc;

use super::test_support::{Bench, Broken, Repetitive, BROKEN};
use super::*;
use crate::engine::call::{End, Goal};
use crate::engine::{Event, FinishReason, Generation};
use crate::model::Probe;

/// The text that a continuation belongs to, and its tokens.
type Continuation = (usize, Vec<u32>);

/// Texts and their ends: questions with some choices each, of which many begin alike.
fn texts() -> (Vec<Vec<u32>>, Vec<Continuation>) {
    let (mut texts, mut ends) = (Vec::new(), Vec::new());
    for question in 0..12_u32 {
        let shared = (0..question % 3 * 20).map(|token| token % 23);
        let own = (0..question * 5 % 37 + 2).map(|token| (token * 7 + question) % 97);
        let question_ids: Vec<u32> = shared.chain(own).collect();
        for choice in 0..4_u32 {
            let mut text = question_ids.clone();
            text.extend((0..(choice * question) % 9).map(|token| token * 3 + choice));
            texts.push(text);
            ends.push((question_ids.len() - usize::from(choice == 3), vec![choice, question]));
        }
    }
    (texts, ends)
}

fn judge(bench: &mut Bench, texts: &[Vec<u32>], ends: &[(usize, Vec<u32>)]) -> Generation {
    let ends = ends.iter().map(|(from, next)| End { from: *from, next: next.clone() });
    bench.call(texts.to_vec(), Goal::Judge(ends.collect()), 0)
}

/// The log-probabilities of each answer, and why it ended.
fn outcomes(bench: &mut Bench, generation: &Generation) -> Vec<(Vec<f32>, FinishReason)> {
    let mut found = Vec::new();
    loop {
        bench.run();
        let Some(events) = generation.next_blocking() else { break };
        for event in events.expect("no error") {
            match event {
                Event::Prompt { index, tokens } => {
                    let logprobs = tokens.iter().filter_map(|token| token.logprob).collect();
                    found.push((index, logprobs, None));
                }
                Event::Done { index, finish_reason, .. } => {
                    let mut own = found.iter_mut().filter(|found| found.0 == index);
                    own.next().expect("its numbers came before").2 = Some(finish_reason);
                }
                _ => unreachable!("nothing is generated"),
            }
        }
    }
    found.sort_by_key(|found| found.0);
    found.into_iter().map(|(_, logprobs, reason)| (logprobs, reason.expect("an end"))).collect()
}

fn everything() -> Repetitive {
    Repetitive { reads_all: true, ..Repetitive::default() }
}

#[test]
fn texts_judged_together_get_what_each_gets_alone() {
    let (texts, ends) = texts();
    let alone: Vec<_> = (texts.iter().zip(&ends))
        .map(|(text, end)| {
            let mut bench = Bench::with(everything(), 8, Limits::default());
            let call = judge(&mut bench, std::slice::from_ref(text), std::slice::from_ref(end));
            outcomes(&mut bench, &call).remove(0)
        })
        .collect();
    for ((text, (from, next)), (logprobs, reason)) in texts.iter().zip(&ends).zip(&alone) {
        assert_eq!(logprobs.len(), text.len() - from + next.len());
        assert_eq!(*reason, FinishReason::Length);
    }
    // With room for all, with hardly any, and in passes of a few rows.
    let narrow = Limits { prefill_chunk: 7, logits_chunk: 3, ..Limits::default() };
    for (blocks, limits) in [(400, Limits::default()), (6, Limits::default()), (40, narrow)] {
        let mut bench = Bench::with(everything(), blocks, limits);
        for _ in 0..2 {
            let call = judge(&mut bench, &texts, &ends);
            assert_eq!(outcomes(&mut bench, &call), alone, "{blocks} blocks");
            assert_eq!(bench.scheduler.pool.available(), blocks);
        }
    }
}

#[test]
fn a_question_is_read_once_however_short() {
    // The last token of the question is read for every choice: its logits are wanted.
    for (question, blocks) in [(20, 0), (32, 0), (40, 1), (65, 2)] {
        let model = everything();
        let read = model.read.clone();
        let mut bench = Bench::with(model, 64, Limits::default());
        let ids: Vec<u32> = (0..question).collect();
        let choice = |choice: u32| [&ids[..], &[100 + choice, 7, 8]].concat();
        let texts: Vec<Vec<u32>> = (0..4).map(choice).collect();
        let ends = vec![(ids.len(), vec![9]); 4];
        let call = judge(&mut bench, &texts, &ends);
        outcomes(&mut bench, &call);
        let rows = question as usize + 3 + 3 * 4;
        assert_eq!(read.load(Ordering::Relaxed), rows, "{question} tokens, {blocks} blocks");
    }
}

#[test]
fn a_text_without_finite_logits_ends_alone() {
    let mut bench = Bench::with(Broken(everything()), 64, Limits::default());
    let texts = [vec![1, 2, 3, 4], vec![1, 2, BROKEN, 4], vec![1, 2, 3, 5]];
    let call = judge(&mut bench, &texts, &vec![(2, vec![6]); 3]);
    let found = outcomes(&mut bench, &call);
    let counts: Vec<usize> = found.iter().map(|(logprobs, _)| logprobs.len()).collect();
    assert_eq!(counts, [3, 0, 3]);
    assert_eq!(found[1].1, FinishReason::Abort);
    assert_eq!(found[2].1, FinishReason::Length);
    assert_eq!(bench.scheduler.pool.available(), 64);
}

/// Cannot copy.
struct Uncopying(Repetitive);

impl Model for Uncopying {
    fn forward(
        &mut self,
        batch: &Batch,
        probe: &mut dyn Probe,
        logits: &mut Vec<f32>,
    ) -> Result<()> {
        self.0.forward(batch, probe, logits)
    }

    fn read_block(&self, block: u32) -> Result<Vec<u8>> {
        Err(Error::Internal(format!("block {block}")))
    }

    fn write_block(&mut self, block: u32, bytes: &[u8]) -> Result<()> {
        self.0.write_block(block, bytes)
    }
}

#[test]
fn a_copy_that_fails_fails_the_call_and_leaves_nothing_taken() {
    let mut bench = Bench::with(Uncopying(everything()), 64, Limits::default());
    let texts = [vec![1, 2, 3, 4], vec![1, 2, 3, 5]];
    let call = judge(&mut bench, &texts, &vec![(3, vec![6]); 2]);
    bench.run();
    let failed = std::iter::from_fn(|| call.next_blocking()).find_map(|events| events.err());
    assert!(matches!(failed, Some(Error::Internal(_))));
    assert_eq!(bench.scheduler.pool.available(), 64);
    // The engine goes on.
    let call = judge(&mut bench, &texts[..1], &[(3, vec![6])]);
    drop(call);
    bench.run();
}

#[test]
fn a_call_that_generates_shares_whole_blocks_alone() {
    let model = everything();
    let read: Arc<_> = model.read.clone();
    let mut bench = Bench::with(model, 64, Limits::default());
    let judged = judge(&mut bench, &[(0..40).collect()], &[(39, vec![1])]);
    bench.run();
    drop(judged);
    let before = read.load(Ordering::Relaxed);
    let generation = bench.add((0..40).collect(), 1);
    bench.run();
    drop(generation);
    assert_eq!(read.load(Ordering::Relaxed) - before, 8);
}
