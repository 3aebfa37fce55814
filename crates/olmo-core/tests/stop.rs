//! Stop strings against transformers and against their definition.

mod support;

use olmo_core::text::{Detokenizer, StopMatcher};
use proptest::prelude::*;
use support::{ids, json, list, text, tokenizer};

#[test]
fn generation_stops_where_transformers_stops() {
    let tokenizer = tokenizer("tiny-mha-f32");
    let golden = json("generate.json");
    let (mut stopped_cases, mut other_cases) = (0, 0);
    for case in list(&golden, "cases") {
        let Some(stop_strings) = case["options"]["stop_strings"].as_array() else { continue };
        let name = format!("{} {}", text(case, "model"), text(case, "name"));
        let stop_strings: Vec<String> =
            stop_strings.iter().map(|stop| stop.as_str().unwrap().to_owned()).collect();
        let prompt = tokenizer.decode(&ids(&case["prompt_ids"]), false).unwrap();
        let mut matcher = StopMatcher::new(&stop_strings, &prompt);
        let mut detokenizer = Detokenizer::new(tokenizer.clone(), true);

        let generated = ids(&case["ids"]);
        let mut answer = String::new();
        let mut stopped_at = None;
        for (at, &id) in generated.iter().enumerate() {
            let certain = detokenizer.push(id).unwrap();
            let matched = match tokenizer.is_special(id) {
                true => matcher.push_hidden(&tokenizer.token_text(id).unwrap()),
                false => matcher.push(&certain),
            };
            answer += &matched.emit;
            if matched.stopped {
                stopped_at = Some(at);
                break;
            }
        }
        match case["text_before_stop"].as_str() {
            Some(expected) => {
                assert_eq!(stopped_at, Some(generated.len() - 1), "{name}");
                assert_eq!(answer, expected, "{name}");
                stopped_cases += 1;
            }
            None => {
                assert_eq!(stopped_at, None, "{name}");
                let rest = matcher.push(&detokenizer.finish().unwrap());
                assert!(!rest.stopped, "{name}");
                answer = answer + &rest.emit + &matcher.finish();
                assert_eq!(answer, text(case, "text"), "{name}");
                other_cases += 1;
            }
        }
    }
    assert!(stopped_cases > 50 && other_cases > 10, "{stopped_cases}, {other_cases}");
}

#[test]
fn a_stop_string_in_one_piece_is_cut_with_all_behind_it() {
    let mut matcher = StopMatcher::new(&["###".to_owned()], "");
    let matched = matcher.push("text ### more");
    assert_eq!((matched.emit.as_str(), matched.stopped), ("text ", true));
    let after = matcher.push("even more");
    assert_eq!((after.emit.as_str(), after.stopped), ("", true));
    assert_eq!(matcher.finish(), "");
}

#[test]
fn what_could_begin_a_stop_string_waits_and_comes_out_at_the_end() {
    let stops = ["\n\nUser:".to_owned()];
    let mut matcher = StopMatcher::new(&stops, "");
    assert_eq!(matcher.push("Yes.\n").emit, "Yes.");
    assert_eq!(matcher.push("\n").emit, "");
    assert_eq!(matcher.push("Us").emit, "");
    assert_eq!(matcher.push("ually").emit, "\n\nUsually");
    assert_eq!(matcher.push("\n").emit, "");
    assert_eq!(matcher.finish(), "\n");
}

#[test]
fn without_stop_strings_everything_passes() {
    let mut matcher = StopMatcher::new(&[], "prompt");
    let matched = matcher.push("ünïcode");
    assert_eq!((matched.emit.as_str(), matched.stopped), ("ünïcode", false));
    assert_eq!(matcher.finish(), "");
}

/// The answer up to the first end of a stop string, the longest that ends there cut off; or all.
fn naive(prompt: &str, answer: &[(char, bool)], stops: &[String]) -> (String, Option<usize>) {
    let mut whole: Vec<char> = prompt.chars().collect();
    let shown = |length: usize| {
        answer[..length].iter().filter(|piece| piece.1).map(|piece| piece.0).collect()
    };
    for (at, &(char, _)) in answer.iter().enumerate() {
        whole.push(char);
        let longest = stops
            .iter()
            .map(|stop| stop.chars().collect::<Vec<char>>())
            .filter(|stop| whole.ends_with(stop))
            .map(|stop| stop.len())
            .max();
        if let Some(longest) = longest {
            return (shown((at + 1).saturating_sub(longest)), Some(at));
        }
    }
    (shown(answer.len()), None)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn pieces_make_no_difference(
        prompt in "[abé]{0,4}",
        pieces in proptest::collection::vec(("[abé😀]{0,5}", proptest::bool::weighted(0.85)), 0..8),
        stops in proptest::collection::vec("[abé]{1,4}", 0..4),
    ) {
        let answer: Vec<(char, bool)> = pieces
            .iter()
            .flat_map(|(text, shown)| text.chars().map(|char| (char, *shown)))
            .collect();
        let (expected, end) = naive(&prompt, &answer, &stops);

        let mut matcher = StopMatcher::new(&stops, &prompt);
        let mut emitted = String::new();
        let mut taken = 0;
        for (text, shown) in &pieces {
            let matched = match shown {
                true => matcher.push(text),
                false => matcher.push_hidden(text),
            };
            emitted += &matched.emit;
            taken += text.chars().count();
            prop_assert_eq!(matched.stopped, end.is_some_and(|end| end < taken));
            if !matched.stopped {
                // What waits is the longest end that a stop string begins with, and no more.
                let whole: String =
                    prompt.chars().chain(answer[..taken].iter().map(|piece| piece.0)).collect();
                let waits = (0..=whole.len())
                    .filter(|&at| whole.is_char_boundary(at))
                    .map(|at| &whole[at..])
                    .find(|end| {
                        end.is_empty()
                            || stops.iter().any(|stop| stop.starts_with(end) && stop != end)
                    })
                    .unwrap();
                let certain = taken.saturating_sub(waits.chars().count());
                let shown: String =
                    answer[..certain].iter().filter(|piece| piece.1).map(|piece| piece.0).collect();
                prop_assert_eq!(&emitted, &shown);
            }
        }
        emitted += &matcher.finish();
        prop_assert_eq!(emitted, expected);
    }
}
