use std::sync::atomic::Ordering;

use super::test_support::{pause, Bench, Repetitive};
use super::*;
use crate::engine::call::Goal;
use crate::engine::{Event, Generation};
use crate::sampling::GenerationOptions;

/// Rows of prompts in one pass, as [`Limits::default`] has them.
const CHUNK: usize = 256;

#[test]
fn a_forward_request_is_not_overtaken_for_ever() {
    let mut bench = Bench::new(4);
    let running = bench.add(vec![1; 64], 64);
    bench.scheduler.step();
    let later: Vec<Generation> = (0..3).map(|n| bench.add(vec![n; 64], 64)).collect();
    let result = bench.forward(vec![2; 128]);
    while result.is_empty() {
        assert!(bench.scheduler.step(), "the request must come to its turn");
    }
    assert!(running.next_blocking().is_some());
    assert_eq!(bench.scheduler.calls.len(), later.len(), "those that came later still wait");
    bench.run();
    assert_eq!(bench.scheduler.pool.available(), 4);
}

#[test]
fn a_paused_reader_does_not_hold_up_those_with_the_same_prompt() {
    let mut bench = Bench::new(64);
    let prompt = vec![1; 2 * CHUNK];
    let paused = bench.add(prompt.clone(), 4);
    bench.scheduler.step();
    pause(&paused);
    let other = bench.add(prompt, 4);
    bench.run();
    let events = other.next_blocking().expect("events").expect("no error");
    assert_eq!(events.len(), 5, "four tokens and the end");
}

#[test]
fn prompts_and_steps_share_a_pass_within_its_bounds() {
    let mut bench = Bench::new(256);
    let _short: Vec<Generation> = (0..3).map(|n| bench.add(vec![n; 5], 50)).collect();
    bench.scheduler.step();
    let _long: Vec<Generation> = (3..6).map(|n| bench.add(vec![n; 300], 50)).collect();
    bench.scheduler.drop_cancelled();
    bench.scheduler.admit();
    let batch = bench.scheduler.plan(CHUNK);
    bench.scheduler.scheduled.clear();
    let rows: Vec<usize> = batch.spans.iter().map(|span| span.rows.len()).collect();
    assert_eq!(rows, [1, 1, 1, CHUNK]);
    assert_eq!(batch.rows(), 3 + CHUNK);
    assert_eq!(batch.outputs, [0, 1, 2], "a prompt half read gives no logits");
    bench.run();
    assert_eq!(bench.scheduler.pool.available(), 256);
}

#[test]
fn a_short_prompt_does_not_wait_for_a_long_one_nor_that_for_many_short_ones() {
    for beside_answers in [false, true] {
        let mut bench = Bench::new(64 * 4);
        let _answer = beside_answers.then(|| bench.add(vec![9; 5], 2000));
        bench.scheduler.step();
        let long = bench.add(vec![1; 2000], 1);
        bench.scheduler.step();
        let short = bench.add(vec![2; 40], 1);
        let mut passes = 0;
        while !short.has_events() {
            bench.scheduler.step();
            passes += 1;
        }
        assert!(passes <= 20 && !long.has_events(), "{passes} passes for the short one");
        let mut shorts: Vec<Generation> = Vec::new();
        while !long.has_events() {
            assert!(shorts.len() < 2000, "the long one comes to its end");
            let next = shorts.len() as u32;
            shorts.push(bench.add(vec![10 + next % 30; 60 + next as usize % 3], 1));
            bench.scheduler.step();
        }
    }
}

/// What became of some prompts with the same options.
#[derive(Debug, PartialEq)]
struct Outcome {
    events: Vec<Vec<Event>>,
    /// Blocks that the next call with the whole of each text would find in the cache.
    shared: Vec<usize>,
}

/// Runs prompts together in a context of 300 tokens. Also says how many passes that took, and how
/// many rows of logits the largest had.
fn outcome(prompts: &[Vec<u32>], options: &GenerationOptions) -> (Outcome, usize, usize) {
    let model = Repetitive::default();
    let (passes, rows) = (model.passes.clone(), model.rows.clone());
    let mut bench = Bench::with(model, 64 * 10, Limits::default());
    bench.context = 300;
    let call = |(seed, prompt): (usize, &Vec<u32>)| {
        bench.call(vec![prompt.clone()], Goal::Generate(options.clone().into()), seed as u64)
    };
    let generations: Vec<Generation> = prompts.iter().enumerate().map(call).collect();
    let mut events = vec![Vec::new(); prompts.len()];
    for (events, generation) in events.iter_mut().zip(&generations) {
        loop {
            bench.run();
            match generation.next_blocking() {
                Some(more) => events.extend(more.expect("no error")),
                None => break,
            }
        }
        for event in events {
            if let Event::Done { timings, .. } = event {
                *timings = Default::default();
            }
        }
    }
    assert_eq!(bench.scheduler.pool.available(), bench.scheduler.pool.len());
    let shared = prompts.iter().zip(&events).map(|(prompt, events)| {
        let text = [prompt.as_slice(), &ids(events)].concat();
        bench.scheduler.pool.count_shared(&text).0
    });
    let shared = shared.collect();
    (Outcome { events, shared }, passes.load(Ordering::Relaxed), rows.load(Ordering::Relaxed))
}

fn ids(events: &[Event]) -> Vec<u32> {
    let id = |event: &Event| match event {
        Event::Token { token, .. } => Some(token.id),
        _ => None,
    };
    events.iter().filter_map(id).collect()
}

#[test]
fn guesses_change_nothing_but_the_number_of_passes() {
    let greedy = GenerationOptions { max_new_tokens: 200, ..GenerationOptions::default() };
    let prompts: Vec<Vec<u32>> = [1, 40, 70].map(|n| (0..n).map(|i| i * 3 % 37).collect()).into();
    let plain = outcome(&prompts, &greedy).0;
    let middle = ids(&plain.events[0])[90];
    let tokenizer = Bench::new(1).tokenizer;
    let words = tokenizer.decode(&ids(&plain.events[0])[60..63], false).expect("known ids");
    let penalties =
        GenerationOptions { repetition_penalty: 1.2, no_repeat_ngram_size: 6, ..greedy.clone() };
    let sampled = GenerationOptions { do_sample: true, top_k: 8, ..greedy.clone() };
    let told = GenerationOptions { top_logprobs: 2, prompt_logprobs: true, ..greedy.clone() };
    let ends = GenerationOptions { eos_token_ids: vec![middle], ..greedy.clone() };
    let later = GenerationOptions { min_new_tokens: 120, ..ends.clone() };
    let stops = GenerationOptions { stop_strings: vec![words], ..greedy.clone() };
    let full = GenerationOptions { max_new_tokens: 5000, ..greedy.clone() };
    for options in [greedy, penalties, sampled, told, ends, later, stops, full] {
        for prompts in [&prompts[..], &prompts[1..2]] {
            let (expected, passes, _) = outcome(prompts, &options);
            for (most, agreement) in [(1, 1), (4, 8), (10, 2), (500, 8)] {
                let options = GenerationOptions {
                    prompt_lookup_num_tokens: most,
                    max_matching_ngram_size: agreement,
                    ..options.clone()
                };
                let (got, fewer, rows) = outcome(prompts, &options);
                assert_eq!(got, expected, "{options:?}");
                let bounded = rows <= Limits::default().logits_chunk || options.prompt_logprobs;
                assert!(bounded, "{rows} rows of logits at once");
                // Some answers are too short, or too varied, to gain much.
                assert!(fewer <= passes, "{fewer} passes instead of {passes}: {options:?}");
            }
        }
    }
}

#[test]
fn a_text_that_repeats_itself_takes_a_fraction_of_the_passes() {
    let prompt: Vec<u32> = (0..100).collect();
    let options = GenerationOptions { max_new_tokens: 200, ..GenerationOptions::default() };
    let guessing = GenerationOptions { prompt_lookup_num_tokens: 10, ..options.clone() };
    let (_, passes, _) = outcome(std::slice::from_ref(&prompt), &options);
    let (_, fewer, rows) = outcome(std::slice::from_ref(&prompt), &guessing);
    println!("{fewer} passes instead of {passes}");
    assert!(rows == 11 && 2 * fewer < passes, "{fewer} passes instead of {passes}");
}
