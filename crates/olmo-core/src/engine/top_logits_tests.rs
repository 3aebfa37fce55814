//! Tokens chosen on a GPU by the largest logits: the texts are those that all logits give, and little comes back.

use super::gpu_test_support::OnGpu;
use super::{Engine, Event};
use crate::backend::wgpu::Trace;
use crate::checkpoint::Loaded;
use crate::model::{Model, Probe};
use crate::ops::Batch;
use crate::sampling::GenerationOptions;
use crate::Result;

/// Gives all logits of every row.
struct Whole(Box<dyn Model>);

impl Model for Whole {
    fn forward(
        &mut self,
        batch: &Batch,
        probe: &mut dyn Probe,
        logits: &mut Vec<f32>,
    ) -> Result<()> {
        self.0.forward(batch, probe, logits)
    }

    fn read_block(&self, block: u32) -> Result<Vec<u8>> {
        self.0.read_block(block)
    }

    fn write_block(&mut self, block: u32, bytes: &[u8]) -> Result<()> {
        self.0.write_block(block, bytes)
    }
}

/// An engine that is given the largest logits, with what comes back to it; and one that is given all.
fn engines(test: &str, cpu_layers: usize) -> Option<(Engine, Trace, Engine)> {
    let OnGpu { loaded, trace, .. } = OnGpu::load(test, cpu_layers)?;
    let top = Engine::run(loaded).expect("a thread");
    let Loaded { model, info, tokenizer, defaults } = OnGpu::load(test, cpu_layers)?.loaded;
    let model = Box::new(Whole(model));
    let whole = Engine::run(Loaded { model, info, tokenizer, defaults }).expect("a thread");
    trace.take_read();
    Some((top, trace, whole))
}

/// The tokens of each answer.
fn answers(engine: &Engine, prompts: &[Vec<u32>], options: &GenerationOptions) -> Vec<Vec<u32>> {
    let mut answers = vec![Vec::new(); prompts.len() * options.num_return_sequences];
    let generation = engine.generate(prompts.to_vec(), options.clone()).expect("it is taken");
    while let Some(events) = generation.next_blocking() {
        for event in events.expect("it runs") {
            if let Event::Token { index, token, .. } = event {
                answers[index].push(token.id);
            }
        }
    }
    answers
}

fn prompts() -> Vec<Vec<u32>> {
    (1..5).map(|n| (0..17 * n).map(|i| (i * 7 + n) % 490).collect()).collect()
}

fn greedy() -> GenerationOptions {
    GenerationOptions { max_new_tokens: 24, ..GenerationOptions::default() }
}

fn draws() -> Vec<GenerationOptions> {
    let base = || GenerationOptions { do_sample: true, num_return_sequences: 2, ..greedy() };
    let mass = || GenerationOptions { top_k: 0, ..base() };
    vec![
        base(),
        GenerationOptions { temperature: 0.3, top_p: 0.8, ..base() },
        GenerationOptions { temperature: 2.0, min_p: Some(0.1), ..base() },
        GenerationOptions { temperature: 0.3, top_p: 0.6, ..mass() },
        GenerationOptions { temperature: 0.5, min_p: Some(0.3), ..mass() },
        // Of which the largest are not enough: some rows, most, and all.
        GenerationOptions { temperature: 0.6, top_p: 0.9, ..mass() },
        GenerationOptions { top_p: 0.99, ..mass() },
        mass(),
        GenerationOptions { typical_p: 0.7, ..mass() },
        GenerationOptions { repetition_penalty: 1.3, frequency_penalty: 0.5, ..base() },
    ]
}

#[test]
fn draws_are_those_of_all_logits() {
    for cpu_layers in [0, 1] {
        let test = "draws_are_those_of_all_logits";
        let Some((top, _, whole)) = engines(test, cpu_layers) else { return };
        for options in draws() {
            for seed in 0..4 {
                let options = GenerationOptions { seed: Some(seed), ..options.clone() };
                let found = answers(&top, &prompts(), &options);
                assert_eq!(found, answers(&whole, &prompts(), &options), "{options:?}");
            }
        }
    }
}

#[test]
fn likeliest_tokens_are_those_of_all_logits() {
    let Some((top, _, whole)) = engines("likeliest_tokens_are_those_of_all_logits", 0) else {
        return;
    };
    let changed = [
        greedy(),
        GenerationOptions { repetition_penalty: 1.5, ..greedy() },
        GenerationOptions { repetition_penalty: 0.5, ..greedy() },
        GenerationOptions { logit_bias: vec![(3, 100.0), (5, -100.0)], ..greedy() },
        GenerationOptions { no_repeat_ngram_size: 1, ..greedy() },
        GenerationOptions { prompt_lookup_num_tokens: 5, ..greedy() },
        GenerationOptions { top_logprobs: 3, prompt_logprobs: true, ..greedy() },
    ];
    for options in changed {
        let found = answers(&top, &prompts(), &options);
        assert_eq!(found, answers(&whole, &prompts(), &options), "{options:?}");
    }
}

/// With the usual options, of every sequence and in every pass.
#[test]
fn a_token_brings_little_back() {
    let Some((top, trace, _)) = engines("a_token_brings_little_back", 0) else { return };
    let usual = [
        (greedy(), 16),
        (GenerationOptions { do_sample: true, num_return_sequences: 2, ..greedy() }, 1024),
    ];
    for (options, most) in usual {
        let tokens = answers(&top, &prompts(), &options).concat().len();
        let read = trace.take_read();
        assert!((1..=most * tokens).contains(&read), "{read} bytes of {tokens} tokens");
    }
}
