//! Tokens chosen by the largest logits alone are those that all logits give, or are left undecided.

use olmo_core::sampling::{
    Candidate, Context, GenerationOptions, Sampler, Scores, TopLogits, TopWanted, MOST_TOP_LOGITS,
};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// How far a device may be from the sum of the exponentials, relatively.
const DEVICE_ERROR: f32 = 1e-5;

fn sampling() -> GenerationOptions {
    GenerationOptions { do_sample: true, top_k: 0, ..GenerationOptions::default() }
}

fn sampler(options: &GenerationOptions) -> Sampler {
    Sampler::new(options, 11, 0)
}

fn temperature(options: &GenerationOptions) -> f32 {
    if options.do_sample {
        options.temperature as f32
    } else {
        1.0
    }
}

/// Numbers as spread as logits are, from integers.
fn spread(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut number = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..count).map(|_| 3.0 * (number() + number() + number() + number() - 2.0)).collect()
}

#[test]
fn the_definition_puts_the_first_of_equals_first() {
    let logits = [1.0, 3.0, -0.0, 3.0, f32::NEG_INFINITY, 0.0];
    let candidate = |(id, score)| Candidate { id, score };
    let top = TopLogits::of(&logits, 4, 0.5);
    let expected = [(1, 3.0), (3, 3.0), (0, 1.0), (2, 0.0)].map(candidate);
    assert_eq!(top.candidates, expected);
    // Differences of 0, 0, 2 and twice 3, halved temperature.
    let sum = 2.0 + (-4.0f32).exp() + 2.0 * (-6.0f32).exp();
    assert!((top.sum - sum).abs() < 1e-6 && top.vocab_size == 6 && top.are_sound());
    for broken in [f32::NAN, -f32::NAN, f32::INFINITY] {
        assert!(!TopLogits::of(&[1.0, broken, 2.0], 1, 1.0).are_sound());
    }
    assert!(!TopLogits::of(&[f32::NEG_INFINITY; 3], 2, 1.0).are_sound());
}

#[test]
fn options_say_how_much_is_wanted() {
    let wanted = |options: GenerationOptions| sampler(&options).wanted();
    let likeliest = Some(TopWanted { count: 1, temperature: 1.0 });
    let many = |temperature| Some(TopWanted { count: MOST_TOP_LOGITS, temperature });
    assert_eq!(wanted(GenerationOptions::default()), likeliest);
    // Of a draw alone.
    let cold = GenerationOptions { temperature: 0.5, top_p: 0.5, ..GenerationOptions::default() };
    assert_eq!(wanted(cold), likeliest);
    let words = GenerationOptions { bad_words_ids: vec![vec![1]], ..GenerationOptions::default() };
    assert_eq!(wanted(words), many(1.0));
    assert_eq!(wanted(GenerationOptions { top_k: 50, ..sampling() }), many(1.0));
    assert_eq!(wanted(GenerationOptions { top_p: 0.9, temperature: 0.5, ..sampling() }), many(0.5));
    assert_eq!(wanted(GenerationOptions { min_p: Some(0.1), ..sampling() }), many(1.0));
    assert_eq!(wanted(sampling()), None);
    assert_eq!(wanted(GenerationOptions { top_k: MOST_TOP_LOGITS, ..sampling() }), None);
    assert_eq!(wanted(GenerationOptions { typical_p: 0.5, ..sampling() }), None);
    assert_eq!(wanted(GenerationOptions { top_n_sigma: 1.0, top_k: 5, ..sampling() }), None);
}

/// The fewest likeliest tokens that make up so much of the probability.
fn fewest(logits: &[f32], temperature: f64, mass: f64) -> usize {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut weights: Vec<f64> =
        logits.iter().map(|&x| (f64::from(x - max) / temperature).exp()).collect();
    weights.sort_by(|a, b| b.total_cmp(a));
    let mut left = mass * weights.iter().sum::<f64>();
    let is_short = |weight: &f64| {
        left -= weight;
        left > 0.0
    };
    weights.iter().copied().take_while(is_short).count() + 1
}

/// The largest logits are enough exactly where the tokens that may be drawn are among them.
#[test]
fn a_draw_is_decided_where_its_tokens_are_known() {
    let (top_p, ratio, cold) = (0.9, 0.2, 0.3);
    let draws = [
        GenerationOptions { top_k: 50, ..sampling() },
        GenerationOptions { top_k: 50, top_p, repetition_penalty: 1.2, ..sampling() },
        GenerationOptions { top_p, temperature: cold, ..sampling() },
        GenerationOptions { min_p: Some(ratio), presence_penalty: 0.5, ..sampling() },
        GenerationOptions { no_repeat_ngram_size: 2, ..GenerationOptions::default() },
    ];
    let mut decided = [0; 5];
    for seed in 0..40 {
        // From flat to peaked.
        let scale = (1 + seed % 8) as f32;
        let logits: Vec<f32> = spread(seed, 20_000).iter().map(|x| scale * x).collect();
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let likely = logits.iter().filter(|&&x| f64::from(x - max).exp() >= ratio).count();
        let [fewest, most] = [-1e-4, 1e-4].map(|error| fewest(&logits, cold, top_p + error));
        let is_known = |count: usize| Some(count < MOST_TOP_LOGITS);
        // If it turns on what a device cannot tell, nothing is expected.
        let by_mass = if fewest == most { is_known(fewest) } else { None };
        let known = [Some(true), Some(true), by_mass, is_known(likely), Some(true)];
        for (i, (options, known)) in draws.iter().zip(known).enumerate() {
            let context = Context { ids: &[1, 2, 3, 1, 2], prompt_length: 2 };
            let top = TopLogits::of(&logits, MOST_TOP_LOGITS, temperature(options));
            let mut scores = Scores::new();
            let chosen = sampler(options).next_from_top(&context, &top, &mut scores);
            let expected = sampler(options).next(&context, &logits, &mut scores).unwrap();
            assert!(chosen.is_none_or(|id| id == expected), "{options:?}");
            assert!(known.is_none_or(|known| known == chosen.is_some()), "{options:?}");
            decided[i] += usize::from(chosen.is_some());
        }
    }
    // Both come about.
    assert!([2, 3].iter().all(|&i| (1..40).contains(&decided[i])), "{decided:?}");
}

/// After a row that takes all of its logits the next ones are asked for whole, for a while.
#[test]
fn flat_rows_are_wanted_whole() {
    let options = GenerationOptions { top_p: 0.9, ..sampling() };
    let logits = vec![0.0; 1000];
    let context = Context { ids: &[1], prompt_length: 1 };
    let (mut scores, mut sampler) = (Scores::new(), sampler(&options));
    let mut misses = 0;
    for _ in 0..1000 {
        if sampler.wanted().is_some() {
            let top = TopLogits::of(&logits, MOST_TOP_LOGITS, 1.0);
            assert_eq!(sampler.next_from_top(&context, &top, &mut scores), None);
            misses += 1;
        }
        sampler.next(&context, &logits, &mut scores).unwrap();
    }
    assert!((2..200).contains(&misses), "{misses}");
    // One that is not flat ends it.
    let mut peaked = logits;
    peaked[7] = 50.0;
    let top = TopLogits::of(&peaked, MOST_TOP_LOGITS, 1.0);
    assert_eq!(sampler.next_from_top(&context, &top, &mut scores), Some(7));
    assert!(sampler.wanted().is_some());
}

/// Rows of few different logits, so that many are equal, and of many.
fn rows() -> impl Strategy<Value = Vec<f32>> {
    let coarse = prop_oneof![
        20 => (-20i32..20).prop_map(|x| x as f32 / 2.0),
        1 => Just(f32::NEG_INFINITY),
        1 => Just(-0.0f32),
        1 => Just(-3e38f32),
    ];
    prop_oneof![
        prop::collection::vec(coarse, 1..200),
        (any::<u64>(), 1usize..400, select(vec![0.01f32, 1.0, 5.0, 1000.0])).prop_map(
            |(seed, count, scale)| spread(seed, count).iter().map(|x| x * scale).collect()
        ),
    ]
}

fn all_options() -> impl Strategy<Value = GenerationOptions> {
    let draw = (
        any::<bool>(),
        select(vec![1.0, 0.7, 1.5, 0.01, 1e-6, 1e6]),
        select(vec![0usize, 0, 1, 5, 50, 90]),
        select(vec![1.0, 1.0, 0.95, 0.9, 0.5, 0.1, 0.0]),
        select(vec![None, None, Some(0.05), Some(0.5), Some(1.0), Some(0.0)]),
        select(vec![1.0, 1.0, 1.0, 0.6]),
        select(vec![0.0, 0.0, 0.0, 1.0]),
    );
    let change = (
        select(vec![1.0, 1.3, 0.8]),
        select(vec![0.0, 0.7, -1.0]),
        subsequence(vec![(3u32, 2.0), (7, -100.0), (9, 50.0)], 0..=3),
        select(vec![0usize, 1, 2]),
        subsequence(vec![vec![4u32], vec![5, 0], vec![2]], 0..=3),
        select(vec![0usize, 3]),
    );
    (draw, change).prop_map(|(draw, change)| {
        let (do_sample, temperature, top_k, top_p, min_p, typical_p, top_n_sigma) = draw;
        let (repetition, penalty, bias, ngram, words, least) = change;
        GenerationOptions {
            do_sample,
            temperature,
            top_k,
            top_p,
            min_p,
            typical_p,
            top_n_sigma,
            repetition_penalty: repetition,
            frequency_penalty: penalty,
            presence_penalty: penalty / 2.0,
            logit_bias: bias,
            no_repeat_ngram_size: ngram,
            bad_words_ids: words,
            min_new_tokens: least,
            eos_token_ids: vec![1, 6],
            ..GenerationOptions::default()
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Token by token, whatever the options: one sampler is given the largest logits, and all where these are not
    /// enough, the other always all. The device's sum is off as far as it may be.
    #[test]
    fn the_largest_logits_give_what_all_give(
        rows in prop::collection::vec(rows(), 1..4),
        options in all_options(),
        count in select(vec![1usize, 8, MOST_TOP_LOGITS]),
        error in -DEVICE_ERROR..DEVICE_ERROR,
        prompt in prop::collection::vec(0u32..12, 1..6),
    ) {
        let (mut from_top, mut from_all) = (sampler(&options), sampler(&options));
        let (mut scores, mut ids) = (Scores::new(), prompt.clone());
        for logits in rows {
            let context = Context { ids: &ids, prompt_length: prompt.len() };
            let mut top = TopLogits::of(&logits, count, temperature(&options));
            top.sum *= 1.0 + error;
            let expected = from_all.next(&context, &logits, &mut scores).ok();
            let chosen = from_top.next_from_top(&context, &top, &mut scores);
            let found = chosen.or_else(|| from_top.next(&context, &logits, &mut scores).ok());
            prop_assert_eq!(found, expected, "decided by the largest: {}", chosen.is_some());
            let Some(id) = expected else { break };
            ids.push(id);
        }
    }
}
