//! What `forward` and `score` give of what is asked, answers of no tokens, and answers that are stopped.

use olmo_core::engine::{Engine, Event, FinishReason, ForwardOptions, Score};
use olmo_core::sampling::GenerationOptions;
use pollster::block_on;

use super::support::{golden, max_difference, Reference};
use super::{assert_same_numbers, collect, engine, greedy, limited, load, one, options, VOCAB};
use olmo_core::checkpoint::LoadOptions;
use olmo_core::limits::Limits;

fn forward(
    engine: &Engine,
    ids: &[u32],
    options: ForwardOptions,
) -> olmo_core::engine::ForwardOutput {
    block_on(engine.forward(ids.to_vec(), options)).expect("an output")
}

#[test]
fn forward_gives_what_the_reference_gives() {
    let engine = engine();
    let reference = Reference::read("tiny-mha-f32/reference.safetensors");
    let options =
        ForwardOptions { hidden_states: vec![0, 1, 2], attentions: vec![1], logits_from: 0 };
    let output = block_on(engine.forward(reference.ids("p33.ids"), options)).unwrap();
    assert!(max_difference(&output.logits, reference.get("p33.logits")) <= 1e-4);
    assert!(max_difference(&output.hidden_states.concat(), reference.get("p33.hidden")) <= 1e-4);
    let (layer, attentions) = &output.attentions[0];
    assert_eq!((*layer, output.attentions.len()), (1, 1));
    assert!(max_difference(attentions, &reference.get("p33.attentions")[4 * 33 * 33..]) <= 1e-5);

    // Longer than a chunk.
    let options =
        ForwardOptions { hidden_states: vec![0, 1, 2], attentions: vec![0], logits_from: 0 };
    let output = block_on(engine.forward(reference.ids("p128.ids"), options)).unwrap();
    assert!(max_difference(&output.logits, reference.get("p128.logits")) <= 1e-4);
    assert!(max_difference(&output.hidden_states.concat(), reference.get("p128.hidden")) <= 1e-4);
    let rows = output.attentions[0].1.chunks_exact(128);
    for (i, row) in rows.enumerate() {
        let sum: f32 = row.iter().sum();
        assert!((sum - 1.0).abs() <= 1e-5 && row[i % 128 + 1..].iter().all(|p| *p == 0.0));
    }
}

#[test]
fn forward_keeps_what_is_asked_for_and_nothing_else() {
    let reference = Reference::read("tiny-mha-f32/reference.safetensors");
    let ids = reference.ids("p33.ids");
    for chunk in [3, 7, 16, 33, 256] {
        let limits = Limits { prefill_chunk: chunk, logits_chunk: 5, ..Limits::default() };
        let engine = load(&limited(limits));
        let all = ForwardOptions { hidden_states: vec![0, 1, 2], ..ForwardOptions::default() };
        let whole = forward(&engine, &ids, all);
        for from in [0, 1, 20, 32, 33] {
            let options = ForwardOptions { logits_from: from, ..ForwardOptions::default() };
            let output = forward(&engine, &ids, options);
            let expected = &whole.logits[from * VOCAB..];
            assert_same_numbers(&output.logits, expected, &format!("from {from}, by {chunk}"));
            assert_eq!(output.logits.capacity(), output.logits.len(), "no room for more");
            assert!(output.hidden_states.is_empty() && output.attentions.is_empty());
        }
        let some = ForwardOptions {
            hidden_states: vec![2, 0],
            logits_from: 33,
            ..ForwardOptions::default()
        };
        let output = forward(&engine, &ids, some);
        assert!(output.logits.is_empty());
        for (ours, layer) in output.hidden_states.iter().zip([2, 0]) {
            assert_same_numbers(ours, &whole.hidden_states[layer], &format!("layer {layer}"));
        }
    }
    let none = ForwardOptions { hidden_states: vec![3], ..ForwardOptions::default() };
    let error = block_on(engine().forward(ids, none)).unwrap_err();
    assert!(error.to_string().contains("`hidden_states` is 3"), "{error}");
}

#[test]
fn continuations_are_scored_together_as_each_alone() {
    let engine = engine();
    let prompt: Vec<u32> = (1..70).collect();
    let best = one(&engine, &prompt, &greedy(4)).ids;
    let mut wrong = best.clone();
    wrong[3] = (wrong[3] + 1) % VOCAB as u32;
    let continuations = vec![best, wrong, vec![5], vec![], vec![7; 20]];
    let scores = block_on(engine.score_all(&prompt, &continuations)).unwrap();
    let greedy: Vec<bool> = scores.iter().map(|score| score.is_greedy).collect();
    assert_eq!(greedy[..4], [true, false, false, true]);
    for (continuation, score) in continuations.iter().zip(&scores) {
        let alone = block_on(engine.score(prompt.clone(), continuation.clone())).unwrap();
        let numbers = |score: &Score| -> Vec<f32> {
            score.tokens.iter().filter_map(|token| token.logprob).collect()
        };
        assert_same_numbers(&numbers(&alone), &numbers(score), "log-probabilities");
        assert_eq!(alone.is_greedy, score.is_greedy);
        let ids: Vec<u32> = score.tokens.iter().map(|token| token.id).collect();
        assert_eq!(&ids, continuation);
        assert!(score.tokens.iter().all(|token| token.top.is_empty()));
    }
    assert!(block_on(engine.score_all(&prompt, &[])).unwrap().is_empty());
}

#[test]
fn too_many_continuations_are_named_so() {
    let limits = Limits { max_answers: 2, ..Limits::default() };
    let engine = load(&limited(limits));
    let error = block_on(engine.score_all(&[1], &[vec![1], vec![2], vec![3]])).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("`continuations` is 3") && text.contains("can have 2"), "{text}");
}

#[test]
fn an_answer_of_no_tokens_is_its_usage_and_the_prompt() {
    let engine = engine();
    let prompt: Vec<u32> = (1..129).collect(); // as long as the context
    let answer = one(&engine, &prompt, &greedy(0));
    let (reason, usage) = answer.end.unwrap();
    assert_eq!((reason, answer.ids.len()), (FinishReason::Length, 0));
    assert_eq!((usage.prompt_tokens, usage.generated_tokens), (128, 0));
    let told = GenerationOptions { prompt_logprobs: true, ..greedy(0) };
    let answers = collect(&engine, &[&prompt, &[5, 6]], &told).unwrap();
    let more = one(&engine, &[5, 6], &GenerationOptions { prompt_logprobs: true, ..greedy(3) });
    assert_eq!(answers[0].prompt.len(), 128);
    assert_eq!(answers[1].prompt, more.prompt);
}

#[test]
fn a_stopped_call_ends_with_what_there_is() {
    let room = LoadOptions { cache_tokens: Some(2 * 128), ..options(&golden("tiny-mha-f32")) };
    let engine = load(&room);
    let whole = one(&engine, &[3; 10], &greedy(118));
    let generation = engine.generate(vec![vec![3; 10]; 5], greedy(118)).unwrap();
    let mut ids = vec![Vec::new(); 5];
    let mut ends = [None; 5];
    let mut stopped = false;
    while let Some(events) = generation.next_blocking() {
        for event in events.unwrap() {
            match event {
                Event::Token { index, token, .. } => ids[index].push(token.id),
                Event::Done { index, finish_reason, usage, .. } => {
                    assert_eq!(usage.generated_tokens, ids[index].len());
                    assert_eq!(usage.prompt_tokens, 10);
                    assert!(ends[index].replace(finish_reason).is_none(), "it ends once");
                }
                Event::Prompt { .. } => unreachable!("not asked for"),
            }
        }
        if !std::mem::replace(&mut stopped, true) {
            generation.stop();
        }
    }
    assert!(ends.iter().all(Option::is_some) && ends.contains(&Some(FinishReason::Abort)));
    for ids in ids {
        assert!(whole.ids.starts_with(&ids), "what came is what would have come");
    }
    assert_eq!(one(&engine, &[3; 10], &greedy(118)).ids, whole.ids, "the engine goes on");
}
