//! Tiny caches: what is preempted, who waits for whom, and that no reader can tell.

use proptest::prelude::*;

use super::test_support::{drain, pause, Bench, Repetitive, VOCAB};
use super::*;
use crate::cache::{blocks_for, BLOCK_TOKENS};
use crate::engine::call::Goal;
use crate::engine::{Event, Generation};
use crate::sampling::GenerationOptions;

const CONTEXT: usize = 256;

fn repetitive() -> Repetitive {
    Repetitive { reads_all: true, ..Repetitive::default() }
}

/// One call of a random schedule.
#[derive(Debug, Clone)]
struct Request {
    prompts: Vec<Vec<u32>>,
    /// None: a score of the second half.
    options: Option<GenerationOptions>,
    seed: u64,
    /// The pass before which it is made.
    at: usize,
    /// Its reader reads in every so many passes.
    reads: usize,
    /// The pass before which it is cancelled.
    cancelled: Option<usize>,
}

impl Request {
    fn goal(&self) -> Goal {
        match &self.options {
            Some(options) => Goal::Generate(options.clone().into()),
            None => Goal::Score { from: self.prompts[0].len() / 2 },
        }
    }

    /// Tokens of its longest text.
    fn longest(&self) -> usize {
        let prompt = self.prompts.iter().map(Vec::len).max().unwrap_or(0);
        (prompt + self.goal().max_new_tokens()).min(CONTEXT)
    }
}

fn options() -> impl Strategy<Value = GenerationOptions> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (1usize..90, flags, 1usize..4, 0usize..6).prop_map(
        |(max_new_tokens, (do_sample, penalised, prompt_logprobs, told), answers, guesses)| {
            GenerationOptions {
                max_new_tokens,
                do_sample,
                temperature: 0.8,
                repetition_penalty: if penalised { 1.2 } else { 1.0 },
                num_return_sequences: if do_sample { answers } else { 1 },
                prompt_logprobs,
                top_logprobs: usize::from(told) * 2,
                prompt_lookup_num_tokens: guesses,
                stop_strings: if penalised { vec!["ab".into(), " the".into()] } else { vec![] },
                seed: Some(3),
                ..GenerationOptions::default()
            }
        },
    )
}

/// Prompts that often begin alike.
fn prompt() -> impl Strategy<Value = Vec<u32>> {
    (0u32..2, 0usize..120, prop::collection::vec(0..VOCAB as u32, 1..20)).prop_map(
        |(text, length, end)| {
            let beginning = (0..length as u32).map(|i| (i * 11 + text) % VOCAB as u32);
            beginning.chain(end).collect()
        },
    )
}

fn request() -> impl Strategy<Value = Request> {
    let goal = prop::option::weighted(0.8, options());
    let cancelled = prop::option::weighted(0.2, 0usize..60);
    let prompts = prop::collection::vec(prompt(), 1..4);
    (prompts, goal, 0u64..3, 0usize..40, 1usize..30, cancelled).prop_map(
        |(prompts, options, seed, at, reads, cancelled)| {
            let cancelled = cancelled.map(|after| at + after);
            Request { prompts, options, seed, at, reads, cancelled }
        },
    )
}

/// The events of each answer of a call, without what depends on the others: times, and how much
/// others had left in the cache.
fn answers(request: &Request, events: Vec<Event>) -> Vec<Vec<Event>> {
    let mut answers = vec![Vec::new(); request.prompts.len() * request.goal().answers()];
    for mut event in events {
        let index = match &mut event {
            Event::Prompt { index, .. } | Event::Token { index, .. } => *index,
            Event::Done { index, usage, timings, .. } => {
                usage.cached_tokens = 0;
                *timings = Default::default();
                *index
            }
        };
        answers[index].push(event);
    }
    answers
}

/// Runs requests together; None for one that was cancelled before its end.
fn together(requests: &[Request], blocks: usize, limits: Limits) -> Vec<Option<Vec<Event>>> {
    let mut bench = Bench::with(repetitive(), blocks, limits);
    bench.context = CONTEXT;
    let mut calls: Vec<Option<Generation>> = requests.iter().map(|_| None).collect();
    let mut events: Vec<Option<Vec<Event>>> = vec![Some(Vec::new()); requests.len()];
    let mut closed = vec![false; requests.len()];
    for pass in 0.. {
        for (i, request) in requests.iter().enumerate() {
            if request.at == pass {
                calls[i] = Some(bench.call(request.prompts.clone(), request.goal(), request.seed));
            }
            let Some(call) = &calls[i] else { continue };
            if request.cancelled == Some(pass) && !closed[i] {
                call.cancel();
            }
            // Who pauses reads in the end.
            while !closed[i]
                && (pass % request.reads == 0)
                && (call.has_events() || call.has_ended())
            {
                match call.next_blocking() {
                    Some(Ok(more)) => events[i].iter_mut().for_each(|all| all.extend(more.clone())),
                    Some(Err(error)) => {
                        assert!(matches!(error, Error::Cancelled), "{error}");
                        events[i] = None;
                    }
                    None => closed[i] = true,
                }
            }
        }
        if closed.iter().all(|closed| *closed) {
            break;
        }
        bench.scheduler.step();
        let scheduler = &bench.scheduler;
        assert!(scheduler.running.is_sorted_by_key(|sequence| sequence.turn));
        assert!(pass < 100_000, "requests that fit must end");
    }
    assert!(bench.scheduler.running.is_empty() && bench.scheduler.preempted.is_empty());
    assert_eq!(bench.scheduler.pool.available(), blocks, "every block came back");
    events
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Whatever comes, pauses and goes, in a cache that hardly holds the longest text: the events of a
    /// call are those it has alone, each once and in order.
    #[test]
    fn a_tiny_cache_changes_no_event(
        requests in prop::collection::vec(request(), 1..6),
        spare in 0usize..4,
        max_num_seqs in 1usize..6,
        prefill_chunk in prop::sample::select(vec![1, 7, 32, 256]),
    ) {
        let longest = requests.iter().map(Request::longest).max().unwrap_or(1);
        let limits = Limits { max_num_seqs, prefill_chunk, ..Limits::default() };
        let got = together(&requests, blocks_for(longest) + spare, limits);
        for (request, events) in requests.iter().zip(got) {
            let Some(events) = events else { continue };
            let alone = Request { at: 0, reads: 1, cancelled: None, ..request.clone() };
            let expected = together(std::slice::from_ref(&alone), 400, Limits::default());
            let expected = expected.into_iter().next().flatten().expect("not cancelled");
            prop_assert_eq!(answers(request, events), answers(request, expected));
        }
    }
}

#[test]
fn texts_take_blocks_as_they_grow() {
    let mut bench = Bench::new(8);
    let calls: Vec<Generation> = (0..4).map(|n| bench.add(vec![n; 10], 100)).collect();
    bench.scheduler.step();
    assert_eq!(bench.scheduler.running.len(), 4, "four blocks each would be twice what there is");
    assert_eq!(bench.scheduler.pool.available(), 4);
    let mut tokens = [0; 4];
    while bench.scheduler.step() {
        for (tokens, call) in tokens.iter_mut().zip(&calls) {
            *tokens += drain(call);
        }
    }
    assert_eq!(tokens, [100; 4]);
}

#[test]
fn the_youngest_gives_way_and_goes_on_later() {
    let mut bench = Bench::new(5);
    let old = bench.add(vec![1; 40], 80);
    let young = bench.add(vec![2; 40], 60);
    let (mut preempted, mut tokens) = (0, 0);
    while bench.scheduler.step() {
        tokens += drain(&old);
        if let Some(sequence) = bench.scheduler.preempted.front() {
            assert_eq!(sequence.turn, 2, "the older one is never preempted");
            preempted += 1;
        }
    }
    assert!(preempted > 0 && tokens == 80, "{preempted} {tokens}");
    assert_eq!(drain(&young), 60);
    assert_eq!(bench.scheduler.pool.available(), 5);
}

#[test]
fn paused_readers_hold_neither_places_nor_blocks() {
    let mut bench = Bench::new(140);
    let paused: Vec<Generation> = (0..64).map(|n| bench.add(vec![n; 8], 2000)).collect();
    bench.scheduler.step();
    assert_eq!(bench.scheduler.running.len(), 64);
    paused.iter().for_each(pause);
    assert!(!bench.scheduler.step());
    let other = bench.add(vec![100; 120 * BLOCK_TOKENS], 60);
    let result = bench.forward(vec![2; 140 * BLOCK_TOKENS]);
    let mut tokens = 0;
    while bench.scheduler.step() {
        tokens += drain(&other);
    }
    assert_eq!(tokens, 60, "most of the cache");
    assert!(result.try_recv().expect("a forward pass over all of it").is_ok());
    assert_eq!(bench.scheduler.preempted.len(), 64);
    // They go on when they are read.
    let before: usize = paused.iter().map(drain).sum();
    bench.scheduler.step();
    let after: usize = paused.iter().map(drain).sum();
    assert!(before == 32 && after > 0, "a chunk holds 32 of their prompts; {before} then {after}");
}

#[test]
fn many_answers_do_not_keep_other_calls_waiting() {
    let mut bench = Bench::new(1000);
    let options = GenerationOptions {
        max_new_tokens: 200,
        do_sample: true,
        num_return_sequences: 16_384,
        ..GenerationOptions::default()
    };
    let many = bench.call(vec![vec![1; 40]], Goal::Generate(options.into()), 0);
    for _ in 0..10 {
        bench.scheduler.step();
        drain(&many);
    }
    let begun = bench.scheduler.calls[0].next;
    assert_eq!(begun, 64, "answers are made when they are admitted");
    let others: Vec<Generation> = (2..5).map(|n| bench.add(vec![n; 40], 20)).collect();
    let mut tokens = [0; 3];
    for _ in 0..25 {
        bench.scheduler.step();
        drain(&many);
        for (tokens, call) in tokens.iter_mut().zip(&others) {
            *tokens += drain(call);
        }
    }
    assert_eq!(tokens, [20; 3], "each has a place at once");
    assert_eq!(bench.scheduler.running.len(), 64);
    drop(many);
    bench.run();
    assert_eq!(bench.scheduler.pool.available(), 1000, "dropped calls let go");
}
