//! Many calls at once: who waits, who is refused, and that nobody's answer changes.

use olmo_core::checkpoint::LoadOptions;
use olmo_core::engine::{Engine, Event, ForwardOptions};
use olmo_core::limits::Limits;
use olmo_core::sampling::GenerationOptions;
use olmo_core::Error;
use pollster::block_on;
use proptest::prelude::*;

use super::support::golden;
use super::Answer;
use super::{
    assert_same, collect, engine, greedy, limited, load, one, options, sampled, EOS, VOCAB,
};

#[test]
fn company_does_not_change_an_answer() {
    let prompts: [&[u32]; 5] = [&[5], &[9, 8, 7], &[11; 40], &[5, 6, 7, 8, 9, 10], &[300, 301]];
    for options in [greedy(20), sampled(7)] {
        let together = collect(&engine(), &prompts, &options).unwrap();
        for (index, prompt) in prompts.into_iter().enumerate() {
            let alone = one(&engine(), prompt, &options);
            assert_same(&[alone], &together[index..][..1]);
        }
        for threads in [1, 3] {
            let engine = load(&LoadOptions {
                threads: Some(threads),
                ..self::options(&golden("tiny-mha-f32"))
            });
            let answers = collect(&engine, &prompts, &options).unwrap();
            assert_same(&answers, &together);
            let ends = |answers: &[Answer]| answers.iter().map(|a| a.end).collect::<Vec<_>>();
            assert_eq!(ends(&answers), ends(&together), "{threads} threads");
        }
    }
}

#[test]
fn a_cache_too_small_for_a_request_says_so_at_once() {
    let engine = load(&LoadOptions { cache_tokens: Some(64), ..options(&golden("tiny-mha-f32")) });
    let error = engine.generate(vec![vec![1; 10]], greedy(60)).err().unwrap();
    assert_eq!(error.code(), "NOT_ENOUGH_MEMORY");
    assert!(error.to_string().contains("70 tokens needed, 64 tokens free"), "{error}");
    // Requests that fit take turns.
    let prompts: Vec<Vec<u32>> = (0..6).map(|p| vec![p; 40]).collect();
    let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    let answers = collect(&engine, &prompts, &greedy(20)).unwrap();
    assert!(answers.iter().all(|answer| answer.ids.len() == 20));
}

#[test]
fn cancelling_frees_the_engine_for_others() {
    let engine = load(&LoadOptions { cache_tokens: Some(128), ..options(&golden("tiny-mha-f32")) });
    for _ in 0..20 {
        let generation = engine.generate(vec![vec![1; 10]], greedy(118)).unwrap();
        generation.next_blocking().unwrap().unwrap();
        generation.cancel();
        let error = loop {
            match generation.next_blocking() {
                Some(Ok(_)) => continue,
                Some(Err(error)) => break Some(error),
                None => break None,
            }
        };
        // The answer may have been complete before the engine heard of it.
        assert!(error.is_none_or(|error| matches!(error, Error::Cancelled)));
    }
    drop(engine.generate(vec![vec![2; 10]], greedy(118)).unwrap());
    assert_eq!(one(&engine, &[3; 10], &greedy(118)).ids.len(), 118);
}

#[test]
fn a_reader_who_does_not_read_holds_up_only_itself() {
    let room = LoadOptions { cache_tokens: Some(2 * 128), ..options(&golden("tiny-mha-f32")) };
    let engine = load(&room);
    let unread = engine.generate(vec![vec![1; 10]], greedy(118)).unwrap();
    assert_eq!(one(&engine, &[2; 10], &greedy(118)).ids.len(), 118);
    let mut tokens = 0;
    let mut largest = 0;
    while let Some(events) = unread.next_blocking() {
        let events = events.unwrap();
        largest = largest.max(events.len());
        tokens += events.iter().filter(|event| matches!(event, Event::Token { .. })).count();
    }
    assert_eq!(tokens, 118);
    assert!(largest <= 66, "{largest} events were waiting");
}

#[test]
fn a_full_queue_refuses_calls_of_every_kind_until_one_ends() {
    let engine = load(&limited(Limits { max_queue: 2, ..Limits::default() }));
    let unread = || engine.generate(vec![vec![1; 10]], greedy(118));
    let (first, second) = (unread().unwrap(), unread().unwrap());
    let code = |error: Error| (error.code(), error.to_string());
    let (code, text) = code(unread().err().unwrap());
    assert_eq!(code, "QUEUE_FULL");
    assert!(text.starts_with("2 calls wait or run") && text.ends_with("max_queue"), "{text}");
    assert_eq!(block_on(engine.score(vec![1], vec![2])).unwrap_err().code(), "QUEUE_FULL");
    let study = block_on(engine.forward(vec![1], ForwardOptions::default()));
    assert_eq!(study.unwrap_err().code(), "QUEUE_FULL");

    // Cancelled, dropped, read to the end or nothing to do: each leaves its place at once.
    first.cancel();
    drop(unread().unwrap());
    assert_eq!(one(&engine, &[5], &greedy(4)).ids.len(), 4);
    assert_eq!(one(&engine, &[5], &greedy(4)).ids.len(), 4);
    assert!(collect(&engine, &[], &greedy(4)).unwrap().is_empty());
    block_on(engine.score(vec![1], vec![2])).unwrap();
    block_on(engine.forward(vec![1], ForwardOptions::default())).unwrap();
    block_on(engine.forward(vec![1], ForwardOptions::default())).unwrap();
    drop(second);
    let _both = [unread().unwrap(), unread().unwrap()];
}

#[test]
fn limits_change_no_answer_and_are_checked() {
    let phrase: Vec<u32> = (0..60).map(|i| 50 + i * 7 % 40).collect();
    let prompts: Vec<&[u32]> = vec![&phrase, &phrase[..50], &[7]];
    let told = GenerationOptions { prompt_logprobs: true, ..sampled(4) };
    let expected = collect(&engine(), &prompts, &told).unwrap();
    for (max_num_seqs, prefill_chunk, logits_chunk) in [(1, 1, 1), (2, 7, 3), (100, 1000, 500)] {
        let limits = Limits { max_num_seqs, prefill_chunk, logits_chunk, ..Limits::default() };
        let engine = load(&limited(limits));
        assert_same(&collect(&engine, &prompts, &told).unwrap(), &expected);
        let output = block_on(engine.forward(phrase.clone(), ForwardOptions::default())).unwrap();
        assert_eq!(output.logits.len(), phrase.len() * VOCAB);
    }
    let bounded = load(&limited(Limits { max_answers: 3, ..Limits::default() }));
    let error = collect(&bounded, &[&[1], &[2], &[3], &[4]], &greedy(1)).unwrap_err();
    assert!(error.to_string().contains("4 answers, of which one call can have 3"), "{error}");
    for limits in [
        Limits { max_num_seqs: 0, ..Limits::default() },
        Limits { prefill_chunk: 0, ..Limits::default() },
        Limits { logits_chunk: 0, ..Limits::default() },
        Limits { max_queue: 0, ..Limits::default() },
        Limits { max_answers: 0, ..Limits::default() },
    ] {
        let error = Engine::load(&limited(limits), &mut |_| Ok(())).err().unwrap();
        assert_eq!(error.code(), "INVALID_OPTION");
    }
}

#[test]
fn readers_who_pause_and_calls_for_many_answers_hold_up_nobody() {
    let room = LoadOptions { cache_tokens: Some(512), ..options(&golden("tiny-mha-f32")) };
    let engine = load(&room);
    let paused: Vec<_> =
        (0..80).map(|n| engine.generate(vec![vec![n; 10]], greedy(118)).unwrap()).collect();
    let many = GenerationOptions { num_return_sequences: 16_384, ..sampled(1) };
    let many = engine.generate(vec![vec![9; 100]], many).unwrap();
    assert_eq!(one(&engine, &[2; 10], &greedy(118)).ids.len(), 118);
    block_on(engine.forward(vec![1; 128], ForwardOptions::default())).unwrap();
    drop(many);
    // Their texts are what they would have been.
    let expected = one(&self::engine(), &[0; 10], &greedy(118)).ids;
    let mut ids = Vec::new();
    while let Some(events) = paused[0].next_blocking() {
        ids.extend(events.unwrap().into_iter().filter_map(|event| match event {
            Event::Token { token, .. } => Some(token.id),
            _ => None,
        }));
    }
    assert_eq!(ids, expected);
}

#[test]
fn disposing_ends_what_runs_and_what_comes_later() {
    let engine = engine();
    let generation = engine.generate(vec![vec![1; 10]; 8], greedy(118)).unwrap();
    generation.next_blocking().unwrap().unwrap();
    block_on(engine.dispose());
    let error = loop {
        match generation.next_blocking() {
            Some(Ok(_)) => continue,
            Some(Err(error)) => break error,
            None => panic!("ended without an error"),
        }
    };
    assert_eq!(error.code(), "DISPOSED");
    assert_eq!(engine.generate(vec![vec![1]], greedy(1)).err().unwrap().code(), "DISPOSED");
    assert_eq!(block_on(engine.score(vec![1], vec![2])).unwrap_err().code(), "DISPOSED");
    block_on(engine.dispose());
}

#[test]
fn answers_to_one_prompt_read_it_once() {
    let engine = engine();
    let prompt: Vec<u32> = (0..100).collect();
    let options = GenerationOptions { num_return_sequences: 3, max_new_tokens: 5, ..sampled(1) };
    let answers = collect(&engine, &[&prompt], &options).unwrap();
    let cached: Vec<usize> =
        answers.iter().map(|answer| answer.end.unwrap().1.cached_tokens).collect();
    assert_eq!(cached, [0, 96, 96]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Calls that come, go and share beginnings in any order give what each gives alone.
    #[test]
    fn traffic_does_not_change_answers(
        calls in prop::collection::vec((0u32..3, 1usize..100, 1usize..25, any::<bool>()), 1..10)
    ) {
        let engine = load(&LoadOptions { cache_tokens: Some(256), ..options(&golden("tiny-mha-f32")) });
        let running: Vec<_> = calls
            .iter()
            .map(|&(seed, length, count, cancel)| {
                let prompt: Vec<u32> = (0..length as u32).map(|i| (i * 7 + seed) % EOS).collect();
                let generation = engine.generate(vec![prompt.clone()], greedy(count)).unwrap();
                if cancel {
                    generation.cancel();
                }
                (prompt, count, cancel, generation)
            })
            .collect();
        for (prompt, count, cancel, generation) in running {
            let mut answer = Vec::new();
            while let Some(events) = generation.next_blocking() {
                match events {
                    Ok(events) => answer.extend(events.into_iter().filter_map(|event| match event {
                        Event::Token { token, .. } => Some(token.id),
                        _ => None,
                    })),
                    Err(error) => prop_assert!(cancel && matches!(error, Error::Cancelled)),
                }
            }
            if !cancel {
                prop_assert_eq!(answer, one(&self::engine(), &prompt, &greedy(count)).ids);
            }
        }
    }
}
