//! The choice of a token, and what is reported of it.

use olmo_core::sampling::{
    are_sound, draw, fresh_seed, Context, Draws, GenerationOptions, LogSoftmax, Sampler, Scores,
};
use proptest::prelude::*;

const CONTEXT: Context = Context { ids: &[0], prompt_length: 1 };

fn sampling() -> GenerationOptions {
    GenerationOptions { do_sample: true, top_k: 0, ..GenerationOptions::default() }
}

fn choose(options: &GenerationOptions, logits: &[f32]) -> u32 {
    let mut scores = Scores::new();
    Sampler::new(options, 7, 0).next(&CONTEXT, logits, &mut scores).unwrap()
}

fn loaded(logits: &[f32]) -> Scores {
    let mut scores = Scores::new();
    scores.load(logits);
    scores
}

/// As torch.argmax.
#[test]
fn greedy_takes_the_first_of_the_greatest() {
    let greedy = GenerationOptions::default();
    // With and without processors, which take two ways.
    let processed = GenerationOptions { bad_words_ids: vec![vec![0]], ..greedy.clone() };
    for options in [&greedy, &processed] {
        assert_eq!(choose(options, &[1.0, 3.0, 2.0, 3.0]), 1);
        assert_eq!(choose(options, &[-9.0, -3.0, -2.0, -5.0]), 2);
        assert_eq!(choose(options, &[f32::NEG_INFINITY, f32::NEG_INFINITY, -1e38, -3e38]), 2);
        assert_eq!(choose(options, &[-1.0, -0.0, 0.0]), 1);
    }
    assert_eq!(choose(&greedy, &[4.0, 3.0]), 0);
    assert_eq!(choose(&processed, &[4.0, 3.0]), 1);
    // Warpers are for draws only.
    let cold = GenerationOptions { min_p: Some(1.0), top_p: 0.0, typical_p: 0.01, ..greedy };
    assert_eq!(choose(&cold, &[1.0, 5.0, 4.9, 4.8]), 1);
}

#[test]
fn forbidding_every_token_is_an_error() {
    let words = vec![vec![0], vec![1]];
    for do_sample in [false, true] {
        let options =
            GenerationOptions { bad_words_ids: words.clone(), do_sample, ..Default::default() };
        let error = Sampler::new(&options, 7, 0)
            .next(&CONTEXT, &[1.0, 2.0], &mut Scores::new())
            .unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.code()),
            ("bad_words_ids leaves no token that may come next; loosen it", "NO_TOKEN_LEFT")
        );
        let options = GenerationOptions {
            no_repeat_ngram_size: 1,
            min_new_tokens: 1,
            eos_token_ids: vec![1],
            ..Default::default()
        };
        let error = Sampler::new(&options, 7, 0)
            .next(&CONTEXT, &[1.0, 2.0], &mut Scores::new())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "no_repeat_ngram_size and min_new_tokens together leave no token that may come next; \
             loosen one of them"
        );
    }
}

/// Made with an implementation of ChaCha8 of its own in Python: the numbers are the same on every
/// machine and with every version of the crate.
#[test]
fn draws_are_a_function_of_seed_and_index() {
    let first = |seed, index| {
        let mut draws = Draws::new(seed, index);
        [draws.next(), draws.next(), draws.next()]
    };
    assert_eq!(first(0, 0), [0.8369197568826472, 0.6314244940665231, 0.23241584346674848]);
    assert_eq!(first(0, 1), [0.7891618892784164, 0.8176048583089404, 0.2594260428567652]);
    assert_eq!(first(7, 0), [0.764109042047738, 0.4659376151199609, 0.005674514325306634]);
    assert_eq!(first(u64::MAX, 3), [0.4698473522591886, 0.9292539641977421, 0.8411140676315717]);
    // In the fifth block of the generator, past its first buffer.
    let mut draws = Draws::new(7, 0);
    assert_eq!((0..40).map(|_| draws.next()).last(), Some(0.20558033651862706));
}

#[test]
fn draws_are_from_zero_to_below_one() {
    let mut draws = Draws::new(1, 0);
    let all: Vec<f64> = (0..100_000).map(|_| draws.next()).collect();
    assert!(all.iter().all(|draw| (0.0..1.0).contains(draw)));
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    // Five standard deviations of the mean.
    assert!((mean - 0.5).abs() < 5.0 * (1.0f64 / 12.0 / 100_000.0).sqrt(), "{mean}");
}

#[test]
fn fresh_seeds_differ() {
    assert_ne!(fresh_seed(), fresh_seed());
}

#[test]
fn tokens_lie_on_the_line_in_the_order_of_their_ids() {
    // Probabilities 0.5, 0, 0.25, 0.25.
    let mut scores = loaded(&[2.0f32.ln(), f32::NEG_INFINITY, 0.0, 0.0]);
    for (at, id) in [(0.0, 0), (0.499, 0), (0.501, 2), (0.749, 2), (0.751, 3), (0.999, 3)] {
        assert_eq!(draw(&mut scores, at), Some(id), "{at}");
    }
    assert_eq!(draw(&mut loaded(&[f32::NEG_INFINITY; 3]), 0.3), None);
    // One that overflowed takes all; one that underflowed gets nothing, not even the end.
    assert_eq!(draw(&mut loaded(&[1.0, f32::INFINITY, 2.0]), 0.9), Some(1));
    let end = f64::from_bits(1.0f64.to_bits() - 1);
    assert_eq!(draw(&mut loaded(&[-2000.0, 0.0]), 0.0), Some(1));
    // In some of these rows rounding carries the last draw past the end.
    for row in 0..1000 {
        let logits = [1, 2, 3, 4, 5].map(|n| ((row * n) as f32).sin());
        let with_end: Vec<f32> = logits.into_iter().chain([-2000.0]).collect();
        assert_eq!(draw(&mut loaded(&with_end), end), Some(4), "{logits:?}");
    }
}

/// The distribution of draws is the softmax: Pearson's test at a fixed seed.
#[test]
fn tokens_come_as_often_as_they_are_likely() {
    let logits = [1.0f32, -0.5, 0.3, 2.0, -3.0, 0.0];
    let total: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
    let mut sampler = Sampler::new(&sampling(), 42, 3);
    let mut scores = Scores::new();
    let rounds = 200_000;
    let mut counts = [0f64; 6];
    for _ in 0..rounds {
        counts[sampler.next(&CONTEXT, &logits, &mut scores).unwrap() as usize] += 1.0;
    }
    let chi_square: f64 = counts
        .iter()
        .zip(logits)
        .map(|(count, logit)| {
            let expected = f64::from(rounds) * f64::from(logit).exp() / total;
            (count - expected).powi(2) / expected
        })
        .sum();
    // With 5 degrees of freedom one value in a thousand is above this.
    assert!(chi_square < 20.52, "{chi_square}");
}

#[test]
fn a_sequence_does_not_depend_on_those_beside_it() {
    let logits: Vec<f32> = (0..50).map(|id| (id as f32 * 0.7).sin()).collect();
    let texts = |indices: &[usize], seed| -> Vec<Vec<u32>> {
        let mut scores = Scores::new();
        let mut samplers: Vec<Sampler> =
            indices.iter().map(|&index| Sampler::new(&sampling(), seed, index)).collect();
        let mut texts = vec![Vec::new(); indices.len()];
        for _ in 0..20 {
            for (sampler, text) in samplers.iter_mut().zip(&mut texts) {
                text.push(sampler.next(&CONTEXT, &logits, &mut scores).unwrap());
            }
        }
        texts
    };
    let together = texts(&[0, 1, 2], 5);
    assert_eq!(texts(&[2], 5)[0], together[2]);
    assert_eq!(texts(&[1, 0], 5), [together[1].clone(), together[0].clone()]);
    assert_ne!(together[0], together[1]);
    assert_ne!(texts(&[0], 6)[0], together[0]);
}

#[test]
fn broken_logits_are_found_anywhere() {
    for length in [1, 3, 4096, 5000] {
        let sound = vec![-1.5f32; length];
        assert!(are_sound(&sound));
        for at in [0, length / 2, length - 1] {
            for broken in [f32::NAN, -f32::NAN, f32::INFINITY] {
                let mut logits = sound.clone();
                logits[at] = broken;
                assert!(!are_sound(&logits), "{broken} at {at} of {length}");
            }
        }
        assert!(!are_sound(&vec![f32::NEG_INFINITY; length]));
    }
    assert!(are_sound(&[f32::NEG_INFINITY, f32::MAX, f32::MIN]));
    assert!(!are_sound(&[]));
}

#[test]
fn the_likeliest_come_in_order_and_ties_by_id() {
    let logits = [-0.0, 2.0, f32::NEG_INFINITY, 2.0, 0.0, 1.0];
    let softmax = LogSoftmax::new(&logits);
    let top =
        |n| -> Vec<u32> { softmax.top(n, &mut Vec::new()).into_iter().map(|(id, _)| id).collect() };
    assert!(top(0).is_empty());
    assert_eq!(top(1), [1]);
    assert_eq!(top(4), [1, 3, 5, 0]);
    assert_eq!(top(100), [1, 3, 5, 0, 4]);
    assert_eq!(softmax.of(2), f32::NEG_INFINITY);

    let token = softmax.token(5, 2, &mut Vec::new());
    assert_eq!((token.id, token.logprob), (5, Some(softmax.of(5))));
    assert_eq!(token.top, [(1, softmax.of(1)), (3, softmax.of(3))]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn draws_invert_the_cumulated_softmax(
        logits in proptest::collection::vec(-8.0f32..8.0, 1..200),
        at in 0.0f64..1.0,
    ) {
        let total: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
        let id = draw(&mut loaded(&logits), at).unwrap() as usize;
        let before: f64 = logits[..id].iter().map(|&x| f64::from(x).exp() / total).sum();
        let with = before + f64::from(logits[id]).exp() / total;
        // f32 differences from the maximum are what is exponentiated.
        prop_assert!(before - 1e-5 <= at && at < with + 1e-5, "{before} {at} {with}");
    }

    #[test]
    fn log_probabilities_equal_the_definition(
        mut logits in proptest::collection::vec(
            prop_oneof![9 => -30.0f32..30.0, 9 => (-9i32..9).prop_map(|n| n as f32),
                        1 => Just(f32::NEG_INFINITY)],
            0..3000,
        ),
        shift in prop_oneof![Just(0.0), -60.0f32..60.0],
        n in prop_oneof![0usize..30, 0usize..4000],
    ) {
        logits.push(1.0);
        logits.iter_mut().for_each(|logit| *logit += shift);
        let softmax = LogSoftmax::new(&logits);
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|&x| (f64::from(x) - f64::from(max)).exp()).sum();
        let expected: Vec<f64> =
            logits.iter().map(|&x| f64::from(x) - f64::from(max) - sum.ln()).collect();
        for (id, &expected) in expected.iter().enumerate() {
            let ours = f64::from(softmax.of(id as u32));
            prop_assert!(ours == expected || (ours - expected).abs() < 4e-6, "{ours} {expected}");
        }

        let mut order: Vec<u32> = (0..logits.len() as u32).collect();
        order.retain(|&id| logits[id as usize] > f32::NEG_INFINITY);
        order.sort_by(|&a, &b| logits[b as usize].partial_cmp(&logits[a as usize]).unwrap());
        order.truncate(n);
        let expected: Vec<(u32, f32)> = order.iter().map(|&id| (id, softmax.of(id))).collect();
        prop_assert_eq!(softmax.top(n, &mut vec![1.0; 7]), expected);
    }
}
