//! The engine as a whole: prompts in, events out.

mod cache_file;
mod study;
#[path = "../support/mod.rs"]
mod support;
mod traffic;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use olmo_core::checkpoint::LoadOptions;
use olmo_core::device::Device;
use olmo_core::engine::{Engine, Event, FinishReason, ForwardOptions, Usage};
use olmo_core::limits::Limits;
use olmo_core::sampling::{GenerationOptions, TokenLogprob};
use olmo_core::{Error, Result};
use pollster::block_on;
use support::{device, golden, ids, json, list, max_difference, text, Reference, TempDir};

const EOS: u32 = 496;
const VOCAB: usize = 517;

/// A golden checkpoint with the tokenizer they share beside it.
fn checkpoint(name: &str) -> TempDir {
    let dir = TempDir::new();
    for file in std::fs::read_dir(golden(name))
        .unwrap()
        .chain(std::fs::read_dir(golden("tiny-mha-f32")).unwrap())
    {
        let from = file.unwrap().path();
        let to = dir.path().join(from.file_name().unwrap());
        let is_own = from.starts_with(golden(name));
        let is_tokenizer = to.file_name().unwrap().to_string_lossy().starts_with("tokenizer");
        if is_own || is_tokenizer {
            std::fs::copy(&from, &to).unwrap();
        }
    }
    dir
}

fn options(path: &Path) -> LoadOptions {
    LoadOptions {
        path: path.to_owned(),
        device: device(),
        threads: Some(2),
        cache_tokens: Some(4 * 128), // four contexts, the default of the CPU alone
        ..LoadOptions::default()
    }
}

fn limited(limits: Limits) -> LoadOptions {
    LoadOptions { limits, ..options(&golden("tiny-mha-f32")) }
}

fn load(options: &LoadOptions) -> Engine {
    Engine::load(options, &mut |_| Ok(())).expect("loads")
}

fn engine() -> Engine {
    load(&options(&golden("tiny-mha-f32")))
}

/// One answer, put together from its events.
#[derive(Debug, Clone, Default, PartialEq)]
struct Answer {
    text: String,
    ids: Vec<u32>,
    tokens: Vec<TokenLogprob>,
    prompt: Vec<TokenLogprob>,
    end: Option<(FinishReason, Usage)>,
}

impl Answer {
    /// All log-probabilities.
    fn numbers(&self) -> impl Iterator<Item = f32> + '_ {
        let tokens = self.prompt.iter().chain(&self.tokens);
        tokens.flat_map(|token| token.logprob.into_iter().chain(token.top.iter().map(|top| top.1)))
    }

    /// The answer but for them, and for how much of its prompt was in the cache.
    fn without_numbers(&self) -> Answer {
        let (reason, usage) = self.end.expect("an end");
        let mut answer = self.clone();
        answer.end = Some((reason, Usage { cached_tokens: 0, ..usage }));
        for token in answer.prompt.iter_mut().chain(&mut answer.tokens) {
            token.logprob = token.logprob.map(|_| 0.0);
            token.top.iter_mut().for_each(|top| top.1 = 0.0);
        }
        answer
    }
}

fn collect(
    engine: &Engine,
    prompts: &[&[u32]],
    options: &GenerationOptions,
) -> Result<Vec<Answer>> {
    let prompts: Vec<Vec<u32>> = prompts.iter().map(|prompt| prompt.to_vec()).collect();
    let mut answers = vec![Answer::default(); prompts.len() * options.num_return_sequences];
    let generation = engine.generate(prompts, options.clone())?;
    while let Some(events) = generation.next_blocking() {
        for event in events? {
            match event {
                Event::Prompt { index, tokens } => answers[index].prompt = tokens,
                Event::Token { index, text, token } => {
                    answers[index].text += &text;
                    answers[index].ids.push(token.id);
                    answers[index].tokens.push(token);
                }
                Event::Done { index, finish_reason, usage, .. } => {
                    assert_eq!(answers[index].end, None, "an answer ends once");
                    answers[index].end = Some((finish_reason, usage));
                }
            }
        }
    }
    assert!(answers.iter().all(|answer| answer.end.is_some()), "every answer ends");
    Ok(answers)
}

fn one(engine: &Engine, prompt: &[u32], options: &GenerationOptions) -> Answer {
    collect(engine, &[prompt], options).expect("an answer").remove(0)
}

fn greedy(max_new_tokens: usize) -> GenerationOptions {
    GenerationOptions { max_new_tokens, ..GenerationOptions::default() }
}

fn sampled(seed: u64) -> GenerationOptions {
    GenerationOptions {
        max_new_tokens: 20,
        do_sample: true,
        temperature: 1.5,
        seed: Some(seed),
        logprobs: true,
        ..GenerationOptions::default()
    }
}

/// The same numbers: to the bit on the CPU, and nearly on a GPU.
#[track_caller]
fn assert_same_numbers(ours: &[f32], expected: &[f32], what: &str) {
    if device() == Device::Cpu {
        assert_eq!(ours, expected, "{what}");
    }
    assert_eq!(ours.len(), expected.len(), "{what}");
    let difference = max_difference(ours, expected);
    assert!(difference <= 1e-4, "{what}: {difference}");
}

/// The same text, and numbers: to the bit on the CPU, which promises that. A GPU sums in another order
/// when a pass has other rows. Cold and warm runs may differ in how much they found in the cache.
#[track_caller]
fn assert_same(ours: &[Answer], expected: &[Answer]) {
    assert_eq!(ours.len(), expected.len());
    for (ours, expected) in ours.iter().zip(expected) {
        let bits = |answer: &Answer| answer.numbers().map(f32::to_bits).collect::<Vec<_>>();
        if device() == Device::Cpu {
            assert_eq!(bits(ours), bits(expected));
        }
        let numbers = |answer: &Answer| answer.numbers().collect::<Vec<_>>();
        let difference = max_difference(&numbers(ours), &numbers(expected));
        assert!(difference <= 1e-4, "log-probabilities differ by {difference}");
        assert_eq!(ours.without_numbers(), expected.without_numbers());
    }
}

#[test]
fn greedy_generation_equals_transformers() {
    let mut engines: HashMap<String, (TempDir, Engine)> = HashMap::new();
    for case in list(&json("generate.json"), "cases") {
        let name = text(case, "name");
        let model = text(case, "model");
        let (_, engine) = engines.entry(model.to_owned()).or_insert_with(|| {
            let dir = checkpoint(model);
            let engine = load(&LoadOptions {
                dtype: Some(olmo_core::dtype::DType::F32.into()),
                ..options(dir.path())
            });
            (dir, engine)
        });
        let options = GenerationOptions {
            // Without one named, the reference ran without an end.
            eos_token_ids: case["options"].get("eos_token_id").map(ids).unwrap_or_default(),
            ..support::options(case["options"].as_object().unwrap(), VOCAB)
        };
        let prompt = ids(&case["prompt_ids"]);
        let guessing = GenerationOptions { prompt_lookup_num_tokens: 7, ..options.clone() };
        for options in [options, guessing] {
            let answer = one(engine, &prompt, &options);
            assert_eq!(answer.ids, ids(&case["ids"]), "{name}");

            let reason = answer.end.unwrap().0.name();
            assert_eq!(reason, text(case, "finish_reason"), "{name}");
            // transformers leaves the stop string in the text, and what its last token has after it.
            let key = if reason == "stop" { "text_before_stop" } else { "text" };
            assert_eq!(answer.text, text(case, key), "{name}");
        }
    }
}

/// Text that repeats itself, so that there is something to guess.
#[test]
fn guesses_do_not_change_an_answer() {
    let phrase: Vec<u32> = (0..9).map(|i| 50 + i * 7).collect();
    let prompts: Vec<Vec<u32>> = (1..5).map(|n| phrase.repeat(n)).collect();
    let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    let many = GenerationOptions { num_return_sequences: 3, ..sampled(3) };
    let told = GenerationOptions { top_logprobs: 3, prompt_logprobs: true, ..greedy(60) };
    let penalised = GenerationOptions { repetition_penalty: 1.3, ..greedy(60) };
    for options in [greedy(80), told, penalised, many] {
        let expected = collect(&engine(), &prompts, &options).unwrap();
        let guessing = GenerationOptions { prompt_lookup_num_tokens: 6, ..options };
        let guessed = collect(&engine(), &prompts, &guessing).unwrap();
        assert_same(&guessed, &expected);
    }
}

#[test]
fn scores_equal_transformers() {
    for case in list(&json("generate.json"), "scores") {
        let dir = checkpoint(text(case, "model"));
        let engine = load(&LoadOptions {
            dtype: Some(olmo_core::dtype::DType::F32.into()),
            ..options(dir.path())
        });
        for _warm in [false, true] {
            let score =
                block_on(engine.score(ids(&case["prompt_ids"]), ids(&case["ids"]))).unwrap();
            let expected: Vec<f32> = case["logprobs"]
                .as_array()
                .unwrap()
                .iter()
                .map(|n| n.as_f64().unwrap() as f32)
                .collect();
            let logprobs: Vec<f32> =
                score.tokens.iter().map(|token| token.logprob.unwrap()).collect();
            assert!(max_difference(&logprobs, &expected) <= 1e-4);
            assert!((score.logprob - case["sum"].as_f64().unwrap()).abs() <= 1e-3);
        }
    }
}

#[test]
fn a_seed_decides_the_text() {
    let engine = engine();
    let answers = |seed| {
        let options = GenerationOptions { num_return_sequences: 3, ..sampled(seed) };
        collect(&engine, &[&[5, 6, 7]], &options).unwrap()
    };
    let first = answers(7);
    assert_ne!(first[0].ids, first[1].ids);
    assert_ne!(first[1].ids, first[2].ids);
    assert_same(&first, &answers(7));
    assert_ne!(first[0].ids, answers(8)[0].ids);
    assert_eq!(one(&engine, &[5, 6, 7], &sampled(7)).ids, first[0].ids);
}

#[test]
fn a_warm_cache_gives_what_a_cold_one_gives() {
    let engine = engine();
    let prompt: Vec<u32> = (0..70).map(|i| i * 5 % 400).collect();
    let options = GenerationOptions { logprobs: true, top_logprobs: 3, ..greedy(30) };
    let cold = one(&engine, &prompt, &options);
    assert_eq!(
        cold.end.unwrap().1,
        Usage { prompt_tokens: 70, cached_tokens: 0, generated_tokens: 30 }
    );
    let warm = one(&engine, &prompt, &options);
    assert_eq!(warm.end.unwrap().1.cached_tokens, 64);
    assert_same(&[warm], std::slice::from_ref(&cold));

    // The conversation goes on: the answer is part of what is cached.
    let longer = [prompt.as_slice(), &cold.ids, &[7, 8]].concat();
    let options = GenerationOptions { logprobs: true, ..greedy(10) };
    let warm = one(&engine, &longer, &options);
    assert_eq!(warm.end.unwrap().1.cached_tokens, 96);
    assert_same(&[warm], &[one(&self::engine(), &longer, &options)]);
}

#[test]
fn prompt_logprobs_come_from_the_same_pass() {
    let engine = engine();
    let reference = Reference::read("tiny-mha-f32/reference.safetensors");
    let prompt = reference.ids("p33.ids");
    let options =
        GenerationOptions { prompt_logprobs: true, logprobs: true, top_logprobs: 2, ..greedy(4) };
    for _warm in [false, true] {
        let answer = one(&engine, &prompt, &options);
        let ids: Vec<u32> = answer.prompt.iter().map(|token| token.id).collect();
        assert_eq!(ids, prompt);
        assert_eq!(answer.prompt[0].logprob, None);
        for (position, token) in answer.prompt.iter().enumerate().skip(1) {
            let logits = &reference.get("p33.logits")[(position - 1) * 517..][..517];
            let log_sum = logits.iter().map(|l| f64::from(*l).exp()).sum::<f64>().ln();
            let expected = f64::from(logits[token.id as usize]) - log_sum;
            assert!((f64::from(token.logprob.unwrap()) - expected).abs() <= 1e-4);
            assert_eq!(token.top.len(), 2);
            assert!(token.top[0].1 >= token.top[1].1 && token.top[0].1 >= token.logprob.unwrap());
        }
        for token in &answer.tokens {
            assert_eq!(
                token.top[0],
                (token.id, token.logprob.unwrap()),
                "greedy takes the likeliest"
            );
        }
    }
}

#[test]
fn a_text_that_fills_the_context_ends_there() {
    let prompt: Vec<u32> = (1..101).collect();
    let answer = one(&engine(), &prompt, &greedy(1000));
    assert_eq!(answer.end.unwrap().0, FinishReason::Context);
    assert_eq!(answer.ids.len(), 28);
}

#[test]
fn an_unusable_prompt_is_a_typed_error() {
    let engine = engine();
    let code = |prompt: &[u32]| match collect(&engine, &[&[1], prompt], &greedy(4)) {
        Err(error) => error.code(),
        Ok(_) => panic!("accepted"),
    };
    assert_eq!(code(&[]), "EMPTY_PROMPT");
    assert_eq!(code(&[1; 128]), "PROMPT_TOO_LONG");
    assert_eq!(code(&[517]), "INVALID_TOKEN");
    let error = block_on(
        engine
            .forward(vec![1], ForwardOptions { attentions: vec![2], ..ForwardOptions::default() }),
    );
    assert_eq!(error.unwrap_err().code(), "INVALID_OPTION");
    let error = engine.generate(
        vec![vec![1]],
        GenerationOptions { temperature: 0.0, do_sample: true, ..greedy(1) },
    );
    assert_eq!(error.err().unwrap().code(), "INVALID_OPTION");
}

#[test]
fn a_call_without_prompts_ends_at_once() {
    assert_eq!(collect(&engine(), &[], &greedy(4)).unwrap(), []);
}

#[test]
fn broken_weights_are_an_error_and_not_a_text() {
    let dir = checkpoint("tiny-mha-f32");
    let file = dir.path().join("model.safetensors");
    let mut bytes = std::fs::read(&file).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&file, bytes).unwrap();
    let error = collect(&load(&options(dir.path())), &[&[1, 2]], &greedy(4)).unwrap_err();
    assert_eq!(error.code(), "NON_FINITE_LOGITS");
}

#[test]
fn loading_can_be_stopped_and_reports_its_way() {
    let mut seen = Vec::new();
    Engine::load(&options(&golden("tiny-mha-f32")), &mut |progress| {
        seen.push((progress.loaded, progress.total));
        Ok(())
    })
    .unwrap();
    assert_eq!(seen.first().unwrap().0, 0);
    assert_eq!(seen.last().unwrap().0, seen.last().unwrap().1);
    let stopped = Engine::load(&options(&golden("tiny-mha-f32")), &mut |_| Err(Error::Cancelled));
    assert_eq!(stopped.err().unwrap().code(), "CANCELLED");
}

#[test]
fn a_folder_that_is_no_checkpoint_is_a_typed_error() {
    let error = Engine::load(&options(&PathBuf::from("/nowhere")), &mut |_| Ok(())).err().unwrap();
    assert_eq!(error.code(), "IO");
    let missing = Device::Cuda(0);
    if !cfg!(feature = "cuda") {
        let error = Engine::load(
            &LoadOptions { device: missing, ..options(&golden("tiny-mha-f32")) },
            &mut |_| Ok(()),
        );
        assert_eq!(error.err().unwrap().code(), "DEVICE_UNAVAILABLE");
    }
    let dtype = Some("q4_k_m".parse().unwrap());
    let error = Engine::load(
        &LoadOptions { device: missing, dtype, ..options(&golden("tiny-mha-f32")) },
        &mut |_| Ok(()),
    );
    let text = error.err().unwrap().to_string();
    assert!(text.contains("`dtype` is q4_k_m") && text.contains("device cpu"), "{text}");
}
