//! Passes of which the largest logits come back: everybody gets what all logits give.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use super::test_support::{Bench, Broken, Repetitive, BROKEN, VOCAB};
use super::*;
use crate::engine::call::Goal;
use crate::engine::{Event, Generation};
use crate::model::Probe;
use crate::sampling::{GenerationOptions, TopLogits, TopRequest};

/// Tells the largest logits apart, as a GPU does.
#[derive(Default)]
struct Apart {
    model: Broken,
    logits: Vec<f32>,
    passes: Arc<AtomicUsize>,
    /// Rows of logits that came back nevertheless.
    read: Arc<AtomicUsize>,
}

impl Model for Apart {
    fn forward(
        &mut self,
        batch: &Batch,
        probe: &mut dyn Probe,
        logits: &mut Vec<f32>,
    ) -> Result<()> {
        self.model.forward(batch, probe, logits)
    }

    fn finds_top(&self) -> bool {
        true
    }

    fn forward_top(&mut self, batch: &Batch, request: &TopRequest) -> Result<Vec<TopLogits>> {
        self.passes.fetch_add(1, Ordering::Relaxed);
        let mut logits = std::mem::take(&mut self.logits);
        self.forward(batch, &mut crate::model::NoProbe, &mut logits)?;
        self.logits = logits;
        assert_eq!(request.temperatures.len(), batch.outputs.len());
        let rows = self.logits.chunks_exact(VOCAB).zip(&request.temperatures);
        let top =
            |(row, &temperature): (&[f32], &f32)| TopLogits::of(row, request.count, temperature);
        Ok(rows.map(top).collect())
    }

    fn read_logits(&mut self, outputs: Range<usize>, logits: &mut Vec<f32>) -> Result<()> {
        self.read.fetch_add(outputs.len(), Ordering::Relaxed);
        logits.clear();
        logits.extend_from_slice(&self.logits[outputs.start * VOCAB..outputs.end * VOCAB]);
        Ok(())
    }

    fn read_block(&self, block: u32) -> Result<Vec<u8>> {
        self.model.read_block(block)
    }

    fn write_block(&mut self, block: u32, bytes: &[u8]) -> Result<()> {
        self.model.write_block(block, bytes)
    }
}

fn call(bench: &mut Bench, options: &GenerationOptions) -> Generation {
    let prompts = (1..4).map(|n| (0..9 * n).map(|i| (i * 5 + n) % 40).collect()).collect();
    bench.call(prompts, Goal::Generate(Box::new(options.clone())), 3)
}

/// The events of a call up to its end, but for when they came.
fn events(bench: &mut Bench, generation: &Generation) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        bench.run();
        match generation.next_blocking() {
            None => break,
            Some(Err(error)) => told.push(error.to_string()),
            Some(Ok(events)) => told.extend(events.into_iter().map(|event| match event {
                Event::Done { index, finish_reason, usage, .. } => {
                    format!("{index} {finish_reason:?} {usage:?}")
                }
                event => format!("{event:?}"),
            })),
        }
    }
    told.sort();
    told
}

fn greedy() -> GenerationOptions {
    GenerationOptions { max_new_tokens: 40, ..GenerationOptions::default() }
}

/// The options of a call, and whether its passes bring all logits back.
fn calls() -> Vec<(GenerationOptions, bool)> {
    let draw = || GenerationOptions { do_sample: true, num_return_sequences: 2, ..greedy() };
    vec![
        (greedy(), false),
        (GenerationOptions { prompt_lookup_num_tokens: 6, ..greedy() }, false),
        (GenerationOptions { repetition_penalty: 1.2, ..greedy() }, false),
        (GenerationOptions { logprobs: true, ..greedy() }, true),
        (draw(), false),
        (GenerationOptions { temperature: 0.5, top_p: 0.9, ..draw() }, false),
        (GenerationOptions { top_k: 0, ..draw() }, true),
    ]
}

#[test]
fn every_call_gets_what_all_logits_give() {
    for (options, is_whole) in calls() {
        let mut plain = Bench::with(Repetitive::default(), 64, Limits::default());
        let generation = call(&mut plain, &options);
        let expected = events(&mut plain, &generation);
        let model = Apart::default();
        let (passes, read) = (model.passes.clone(), model.read.clone());
        let mut bench = Bench::with(model, 64, Limits::default());
        let generation = call(&mut bench, &options);
        assert_eq!(events(&mut bench, &generation), expected, "{options:?}");
        assert_eq!(passes.load(Ordering::Relaxed) == 0, is_whole, "{options:?}");
        assert_eq!(read.load(Ordering::Relaxed), 0, "{options:?}");
    }
}

/// Those that need all logits and those that do not are in one pass.
#[test]
fn calls_of_all_kinds_run_together() {
    let alone: Vec<_> = (calls().iter())
        .map(|(options, _)| {
            let mut bench = Bench::with(Repetitive::default(), 64, Limits::default());
            let generation = call(&mut bench, options);
            events(&mut bench, &generation)
        })
        .collect();
    let model = Apart::default();
    let (passes, read) = (model.passes.clone(), model.read.clone());
    let mut bench = Bench::with(model, 400, Limits::default());
    let generations: Vec<_> =
        calls().iter().map(|(options, _)| call(&mut bench, options)).collect();
    // Without what a mailbox holds back, all would not be in work together.
    for (generation, alone) in generations.iter().zip(&alone) {
        assert_eq!(&events(&mut bench, generation), alone);
    }
    assert!(passes.load(Ordering::Relaxed) > 0 && read.load(Ordering::Relaxed) > 0);
}

#[test]
fn logits_that_are_not_finite_are_an_error() {
    let mut bench = Bench::with(Apart::default(), 64, Limits::default());
    let prompt = vec![1, 2, BROKEN];
    for options in [greedy(), GenerationOptions { do_sample: true, ..greedy() }] {
        let goal = Goal::Generate(Box::new(options));
        let generation = bench.call(vec![prompt.clone()], goal, 0);
        bench.run();
        let error = generation.next_blocking().expect("an event").expect_err("no token follows");
        assert_eq!(error.code(), "NON_FINITE_LOGITS");
        assert!(error.to_string().contains("2"), "the position: {error}");
    }
}
