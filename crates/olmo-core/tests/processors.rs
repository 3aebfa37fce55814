//! The logits processors against transformers and against their definitions.

mod support;

use olmo_core::sampling::{draw, Context, GenerationOptions, Processors, Scores};
use proptest::prelude::*;
use support::{ids, json, list, options, text};

/// The softmax of the scores over the whole vocabulary.
fn probabilities(scores: &Scores, vocab_size: usize) -> Vec<f64> {
    let max = f64::from(scores.max());
    let mut probabilities = vec![0.0; vocab_size];
    for candidate in scores.iter() {
        probabilities[candidate.id as usize] = (f64::from(candidate.score) - max).exp();
    }
    let sum: f64 = probabilities.iter().sum();
    probabilities.iter().map(|p| p / sum).collect()
}

fn possible(scores: &Scores) -> Vec<u32> {
    scores.iter().filter(|c| c.score > f32::NEG_INFINITY).map(|c| c.id).collect()
}

#[test]
fn probabilities_are_those_of_transformers() {
    let golden = json("processors.json");
    let vocab_size = golden["vocab"].as_u64().unwrap() as usize;
    let cases = list(&golden, "cases");
    // One value for all cases: nothing may stay behind from the case before.
    let mut scores = Scores::new();
    let mut open = 0;
    for case in cases {
        let name = text(case, "name");
        let mut options = options(case["options"].as_object().unwrap(), vocab_size);
        options.do_sample = true;
        options.eos_token_ids = ids(&case["eos_token_id"]);
        let logits: Vec<f32> = list(&golden["logits"], text(case, "logits"))
            .iter()
            .map(|logit| logit.as_f64().unwrap() as f32)
            .collect();

        let mut processors = Processors::new(&options);
        assert_eq!(processors.references(), list(case, "processors"), "{name}");
        let prompt_length = case["prompt_length"].as_u64().unwrap() as usize;
        let context = Context { ids: &ids(&case["ids"]), prompt_length };
        scores.load(&logits);
        processors.process(&context, &mut scores);

        let Some(expected) = case["probs"].as_array() else {
            assert_eq!(draw(&mut scores, 0.5), None, "{name}");
            continue;
        };
        assert_eq!(possible(&scores).len() as u64, case["kept"].as_u64().unwrap(), "{name}");
        let mut ours = probabilities(&scores, vocab_size);
        let mut theirs: Vec<f64> = expected.iter().map(|p| p.as_f64().unwrap()).collect();
        if case["tie_dependent"].as_bool().unwrap() {
            // Which of several equal tokens survives is left open by torch, whose sort is not a
            // stable one; how many of them do is not.
            ours.sort_by(f64::total_cmp);
            theirs.sort_by(f64::total_cmp);
            open += 1;
        }
        for (id, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            assert!((ours - theirs).abs() < 1e-6, "{name}: token {id}: {ours}, not {theirs}");
        }
    }
    assert!(cases.len() > 400 && open < cases.len() / 20, "{open} of {}", cases.len());
}

/// The ids left of these logits. What is expected was seen in transformers 5.24.
fn left(logits: &[f32], options: GenerationOptions) -> Vec<u32> {
    let options = GenerationOptions { do_sample: true, ..options };
    let mut scores = Scores::new();
    scores.load(logits);
    let context = Context { ids: &[0], prompt_length: 1 };
    Processors::new(&options).process(&context, &mut scores);
    possible(&scores)
}

#[test]
fn a_sum_that_meets_its_limit_is_cut_as_in_transformers() {
    let typical = |typical_p| GenerationOptions { typical_p, ..GenerationOptions::default() };
    let top = |top_p| GenerationOptions { top_p, ..GenerationOptions::default() };
    // Probabilities 1/2, 1/4, 1/8, 1/8; the second is the most typical, then the first.
    let halves = [2, 1, 0, 0].map(|n| n as f32 * std::f32::consts::LN_2);
    assert_eq!(left(&halves, typical(0.25)), [1]);
    assert_eq!(left(&halves, typical(0.26)), [0, 1]);
    assert_eq!(left(&halves, typical(0.75)), [0, 1]);
    assert_eq!(left(&halves, typical(0.76)), [0, 1, 2, 3]);
    assert_eq!(left(&halves, top(0.75)), [0, 1]);
    assert_eq!(left(&halves, top(0.76)), [0, 1, 3]);
    assert_eq!(left(&halves, top(0.5)), [0]);
    assert_eq!(left(&halves, top(0.0)), [0]);
    // torch leaves open which of equal tokens go. Zeros of both signs are equal.
    assert_eq!(left(&[0.0, -0.0, 0.0, -0.0], top(0.5)), [2, 3]);
}

/// Logits 4, 2, 0, -2, -4 have the deviation √8 ≈ 2.83. By llama.cpp's formula.
#[test]
fn top_n_sigma_keeps_what_stands_out() {
    let sigma = |top_n_sigma| GenerationOptions { top_n_sigma, top_k: 0, ..Default::default() };
    let logits = [4.0, 0.0, 2.0, -4.0, -2.0];
    assert_eq!(left(&logits, sigma(0.5)), [0]);
    assert_eq!(left(&logits, sigma(0.8)), [0, 2]);
    assert_eq!(left(&logits, sigma(1.5)), [0, 1, 2]);
    assert_eq!(left(&logits, sigma(3.0)), [0, 1, 2, 3, 4]);
    assert_eq!(left(&logits, sigma(0.0)), [0, 1, 2, 3, 4]);
    // The temperature does not matter, and forbidden tokens do not count.
    let hot = GenerationOptions { temperature: 2.5, ..sigma(0.8) };
    assert_eq!(left(&logits, hot), [0, 2]);
    let forbidden = [4.0, 0.0, 2.0, -4.0, -2.0, f32::NEG_INFINITY];
    assert_eq!(left(&forbidden, sigma(0.8)), [0, 2]);
    assert_eq!(left(&[1.0, 1.0], sigma(0.1)), [0, 1]);
}

#[test]
fn a_cut_carries_no_forbidden_token_on() {
    let options = GenerationOptions { do_sample: true, top_k: 3, ..GenerationOptions::default() };
    let mut scores = Scores::new();
    scores.load(&[1.0, f32::NEG_INFINITY, f32::NEG_INFINITY, 0.0]);
    let context = Context { ids: &[0], prompt_length: 1 };
    Processors::new(&options).process(&context, &mut scores);
    assert_eq!(scores.len(), 2);
    // A processor behind the cut still finds its tokens, and none that is gone.
    scores.forbid(1);
    scores.update(3, |score| score + 7.0);
    scores.update(9, |_| 7.0);
    let left: Vec<(u32, f32)> = scores.iter().map(|c| (c.id, c.score)).collect();
    assert_eq!(left, [(0, 1.0), (3, 7.0)]);
}

/// Each processor by its definition, on a full row with a full sort, as transformers writes it.
mod naive {
    use super::GenerationOptions;

    pub fn process(options: &GenerationOptions, row: &mut [f32]) {
        row.iter_mut().for_each(|score| *score /= options.temperature as f32);
        if options.top_n_sigma > 0.0 {
            let least = least_of_top_n_sigma(options, row);
            mask(row, |_, score| score < least);
        }
        if options.top_k > 0 {
            let mut sorted = row.to_vec();
            sorted.sort_by(|a, b| b.partial_cmp(a).unwrap());
            let least = sorted[options.top_k.min(row.len()) - 1];
            mask(row, |_, score| score < least);
        }
        if options.top_p < 1.0 {
            let softmax = softmax(row);
            let order = order(row);
            let mut removed = Vec::new();
            let mut sum = 0.0;
            for &id in &order[..order.len() - 1] {
                sum += f64::from(softmax[id]);
                if sum as f32 <= (1.0 - options.top_p) as f32 {
                    removed.push(id);
                }
            }
            mask(row, |id, _| removed.contains(&id));
        }
        if let Some(min_p) = options.min_p {
            let softmax = softmax(row);
            let most = softmax.iter().copied().fold(0.0, f32::max);
            mask(row, |id, _| softmax[id] < min_p as f32 * most);
        }
        if options.typical_p < 1.0 {
            let softmax = softmax(row);
            let (max, sum) = sum(row);
            let logs: Vec<f32> = row.iter().map(|score| score - max - sum.ln()).collect();
            let entropy = logs
                .iter()
                .map(|&log| -f64::from(log) * f64::from(log.exp()))
                .filter(|term| !term.is_nan())
                .sum::<f64>() as f32;
            let distance: Vec<f32> = logs.iter().map(|log| (-log - entropy).abs()).collect();
            let order = order(&distance);
            let mut sum = 0.0;
            let below = order
                .iter()
                .map(|&id| {
                    sum += f64::from(softmax[id]);
                    sum as f32
                })
                .filter(|&sum| sum < options.typical_p as f32)
                .count();
            let limit = distance[order[below.min(order.len() - 1)]];
            mask(row, |id, _| distance[id] > limit);
        }
    }

    fn least_of_top_n_sigma(options: &GenerationOptions, row: &[f32]) -> f32 {
        let possible = row.iter().filter(|score| score.is_finite());
        let possible: Vec<f64> = possible.map(|&score| f64::from(score)).collect();
        let mean = possible.iter().sum::<f64>() / possible.len() as f64;
        let variance =
            possible.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / possible.len() as f64;
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        max - options.top_n_sigma as f32 * variance.sqrt() as f32
    }

    fn mask(row: &mut [f32], remove: impl Fn(usize, f32) -> bool) {
        for (id, score) in row.iter_mut().enumerate() {
            if remove(id, *score) {
                *score = f32::NEG_INFINITY;
            }
        }
    }

    fn order(keys: &[f32]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by(|&a, &b| keys[a].partial_cmp(&keys[b]).unwrap());
        order
    }

    fn sum(row: &[f32]) -> (f32, f32) {
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = row.iter().map(|score| f64::from((score - max).exp())).sum();
        (max, sum as f32)
    }

    fn softmax(row: &[f32]) -> Vec<f32> {
        let (max, sum) = sum(row);
        row.iter().map(|score| (score - max).exp() / sum).collect()
    }
}

/// Logits with many ties, zeros of both signs and forbidden tokens among them, at least one token
/// possible; more than the selection's buffer holds at times.
fn logits() -> impl Strategy<Value = Vec<f32>> {
    let logit = prop_oneof![
        12 => (-20i32..20).prop_map(|n| n as f32 * 0.5),
        4 => -12.0f32..12.0,
        1 => Just(-0.0),
        1 => Just(f32::NEG_INFINITY),
    ];
    let short = proptest::collection::vec(logit.clone(), 0..40);
    let long = proptest::collection::vec(logit, 1000..5000);
    let row = prop_oneof![3 => short, 1 => long];
    (row, -9.0f32..9.0, -2i32..3).prop_map(|(mut row, last, shift)| {
        row.push(last);
        row.iter_mut().for_each(|logit| *logit += 10.0 * shift as f32);
        row
    })
}

prop_compose! {
    fn warpers()(
        temperature in prop_oneof![Just(1.0), 0.1f64..3.0],
        top_n_sigma in prop_oneof![3 => Just(0.0), 1 => 0.0f64..4.0],
        top_k in prop_oneof![Just(0usize), Just(1), 1usize..60, 1usize..3000],
        top_p in prop_oneof![Just(1.0), Just(0.0), 0.0f64..1.0, 0.99f64..1.0],
        min_p in prop_oneof![Just(None), (0.0f64..1.0).prop_map(Some), Just(Some(1.0))],
        typical_p in prop_oneof![Just(1.0), 0.01f64..1.0],
    ) -> GenerationOptions {
        GenerationOptions {
            do_sample: true, temperature, top_n_sigma, top_k, top_p, min_p, typical_p,
            ..GenerationOptions::default()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn selections_equal_full_sorts(logits in logits(), options in warpers()) {
        let mut expected = logits.clone();
        naive::process(&options, &mut expected);

        let mut scores = Scores::new();
        scores.load(&logits);
        let context = Context { ids: &[0], prompt_length: 1 };
        Processors::new(&options).process(&context, &mut scores);

        let mut row = vec![f32::NEG_INFINITY; logits.len()];
        scores.iter().for_each(|candidate| row[candidate.id as usize] = candidate.score);
        prop_assert_eq!(row, expected);
        prop_assert!(scores.iter().zip(scores.iter().skip(1)).all(|(a, b)| a.id < b.id));
        if (1..logits.len()).contains(&options.top_k) {
            prop_assert_eq!(scores.len(), possible(&scores).len(), "forbidden tokens are carried on");
        }
    }

    /// By the formula of OpenAI's API, `logit + bias - count * frequency - (count > 0) * presence`, with
    /// the repetition penalty between bias and counts as in vLLM. The same with and without drawing.
    #[test]
    fn penalties_and_biases_equal_their_formula(
        tokens in proptest::collection::vec(0u32..8, 1..40),
        logits in proptest::collection::vec(-9.0f32..9.0, 8),
        (frequency_penalty, presence_penalty, repetition_penalty) in (
            prop_oneof![Just(0.0), -2.0f64..2.0],
            prop_oneof![Just(0.0), -2.0f64..2.0],
            prop_oneof![Just(1.0), 0.5f64..2.0],
        ),
        logit_bias in proptest::collection::vec((0u32..8, -100.0f64..100.0), 0..2),
        prompt_length in 1usize..20,
        do_sample: bool,
    ) {
        let options = GenerationOptions {
            frequency_penalty, presence_penalty, repetition_penalty, do_sample, top_k: 0,
            logit_bias: logit_bias.clone(),
            ..GenerationOptions::default()
        };
        options.validate(8).unwrap();
        let prompt_length = prompt_length.min(tokens.len());
        let mut growing = Processors::new(&options);
        let mut scores = Scores::new();
        for length in prompt_length..=tokens.len() {
            let ids = &tokens[..length];
            scores.load(&logits);
            growing.process(&Context { ids, prompt_length }, &mut scores);
            for candidate in scores.iter() {
                let id = candidate.id;
                let bias: f32 =
                    logit_bias.iter().filter(|(to, _)| *to == id).map(|(_, bias)| *bias as f32).sum();
                let mut score = logits[id as usize] + bias;
                if ids.contains(&id) {
                    let penalty = repetition_penalty as f32;
                    score = if score < 0.0 { score * penalty } else { score / penalty };
                }
                let count = ids[prompt_length..].iter().filter(|&&other| other == id).count();
                score -= count as f32 * frequency_penalty as f32;
                score -= if count > 0 { presence_penalty as f32 } else { 0.0 };
                prop_assert!((candidate.score - score).abs() < 1e-4, "{} {}", candidate.score, score);
            }
        }
    }

    /// The context grows by a token a step; a processor that remembers must not be told apart from
    /// a fresh one.
    #[test]
    fn steps_equal_fresh_starts(
        tokens in proptest::collection::vec(0u32..8, 1..30),
        logits in proptest::collection::vec(-9.0f32..9.0, 8),
        penalty in 0.5f64..2.0,
        ngram in 0usize..4,
        min_new_tokens in 0usize..12,
        prompt_length in 1usize..6,
    ) {
        let options = GenerationOptions {
            repetition_penalty: penalty,
            no_repeat_ngram_size: ngram,
            bad_words_ids: vec![vec![3], vec![1, 2], vec![5, 5, 0]],
            min_new_tokens,
            eos_token_ids: vec![7],
            ..GenerationOptions::default()
        };
        let mut growing = Processors::new(&options);
        let mut scores = Scores::new();
        for length in prompt_length.min(tokens.len())..=tokens.len() {
            let ids = &tokens[..length];
            let context = Context { ids, prompt_length: prompt_length.min(tokens.len()) };
            scores.load(&logits);
            growing.process(&context, &mut scores);
            let grown: Vec<f32> = scores.iter().map(|candidate| candidate.score).collect();

            let expected: Vec<f32> = (0u32..8).zip(&logits).map(|(id, &logit)| {
                let repeats = |n: usize| {
                    let next: Vec<u32> = ids.iter().copied().chain([id]).collect();
                    n > 0 && next.len() > n
                        && ids.windows(n).any(|window| window == &next[next.len() - n..])
                };
                let forbidden = id == 3
                    || id == 2 && ids.ends_with(&[1])
                    || id == 0 && ids.ends_with(&[5, 5])
                    || id == 7 && context.generated() < min_new_tokens
                    || repeats(ngram);
                match logit {
                    _ if forbidden => f32::NEG_INFINITY,
                    logit if !ids.contains(&id) => logit,
                    logit if logit < 0.0 => logit * penalty as f32,
                    logit => logit / penalty as f32,
                }
            }).collect();
            prop_assert_eq!(grown, expected);
        }
    }
}
