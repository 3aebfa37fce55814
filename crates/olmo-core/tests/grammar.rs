//! Answers of a given form: any choice among the tokens that are allowed leads to one, and hostile forms
//! are refused.

mod support;

use std::sync::{Arc, OnceLock};

use olmo_core::checkpoint::LoadOptions;
use olmo_core::engine::{Engine, Event, FinishReason};
use olmo_core::sampling::{
    Constraint, Context, Draws, GenerationOptions, Grammar, GrammarSource, JsonSchema, Sampler,
    Scores, Vocabulary,
};
use olmo_core::tokenizer::Tokenizer;
use olmo_core::{Error, Result};
use proptest::prelude::*;
use regex::Regex;
use serde_json::{json, Value};
use support::{device, golden};

const EOS: u32 = 496;
const VOCAB: usize = 517;

fn tokenizer() -> Tokenizer {
    Tokenizer::from_dir(&golden("tiny-mha-f32")).unwrap()
}

fn vocabulary() -> Arc<Vocabulary> {
    static MADE: OnceLock<Arc<Vocabulary>> = OnceLock::new();
    let make = || Arc::new(Vocabulary::new(&tokenizer(), VOCAB, "schema").unwrap());
    MADE.get_or_init(make).clone()
}

fn compile(source: GrammarSource) -> Result<Arc<Grammar>> {
    Grammar::new(&vocabulary(), source).map(Arc::new)
}

/// An answer of tokens drawn from those that are allowed, shorter ones the likelier to end; None if it is
/// still not complete after `most`.
fn drawn(grammar: &Arc<Grammar>, seed: u64, most: usize) -> Option<String> {
    let tokenizer = tokenizer();
    let mut draws = Draws::new(seed, 0);
    let mut constraint = Constraint::new(grammar);
    let mut ids = Vec::new();
    while ids.len() < most {
        let mask = constraint.mask().unwrap();
        let allowed: Vec<u32> = mask.iter().collect();
        assert_eq!(allowed.len(), mask.len());
        assert!(allowed.iter().all(|&id| mask.allows(id) && (id as usize) < VOCAB));
        assert!(!mask.allows(VOCAB as u32) && !mask.allows(u32::MAX));
        assert!(mask.may_end || !mask.is_empty());
        if mask.may_end && (mask.is_empty() || draws.next() < 0.5) {
            return Some(tokenizer.decode(&ids, false).unwrap());
        }
        let id = allowed[(draws.next() * allowed.len() as f64) as usize];
        ids.push(id);
        if constraint.accept(id).unwrap() {
            return Some(tokenizer.decode(&ids, false).unwrap());
        }
    }
    None
}

fn person() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "maxLength": 6 },
            "age": { "type": "integer", "minimum": 0, "maximum": 150 },
            "tags": { "type": "array", "items": { "enum": ["a", "ä", "👍"] }, "maxItems": 2 }
        },
        "required": ["name", "age"],
        "additionalProperties": false
    })
}

fn is_person(value: &Value) -> bool {
    let Some(entries) = value.as_object() else { return false };
    let tags = value.get("tags").map_or(Some(&[][..]), |tags| tags.as_array().map(Vec::as_slice));
    entries.keys().all(|key| ["name", "age", "tags"].contains(&key.as_str()))
        && value["name"].as_str().is_some_and(|name| name.chars().count() <= 6)
        && value["age"].as_u64().is_some_and(|age| age <= 150)
        && tags.is_some_and(|tags| {
            tags.len() <= 2
                && tags.iter().all(|tag| ["a", "ä", "👍"].contains(&tag.as_str().unwrap()))
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_drawn_fits_the_schema(seed: u64) {
        let schema = person().to_string();
        if let Some(text) = drawn(&compile(GrammarSource::Schema(&schema)).unwrap(), seed, 400) {
            let value: Value = serde_json::from_str(&text).unwrap();
            prop_assert!(is_person(&value), "{}", text);
        }
    }

    #[test]
    fn whatever_is_drawn_matches_the_expression(seed: u64, which in 0usize..6) {
        let expressions = [
            r"(yes|no) [0-9]{3}", r"[a-c]*d?", r"\d+-(ä|👍){1,3}", r"a/b\n\\c", r"(?i)hello|[^a-z ]{2}", "",
        ];
        let whole = Regex::new(&format!("^(?:{})$", expressions[which])).unwrap();
        let grammar = compile(GrammarSource::Regex(expressions[which])).unwrap();
        if let Some(text) = drawn(&grammar, seed, 200) {
            prop_assert!(whole.is_match(&text), "{text:?} for {}", expressions[which]);
        }
    }

    #[test]
    fn whatever_is_drawn_is_of_the_grammar(seed: u64) {
        let grammar = compile(GrammarSource::Lark("start: \"(\" start \")\" | \"x\"\n")).unwrap();
        if let Some(text) = drawn(&grammar, seed, 100) {
            let depth = text.len() / 2;
            prop_assert_eq!(text, format!("{}x{}", "(".repeat(depth), ")".repeat(depth)));
        }
    }

    /// No text of any kind ends the process, or takes long.
    #[test]
    fn any_text_is_compiled_or_refused(text in r#"[(){}\[\]|*+?.,:"/\\a-c0-9A-C\n%&~<> ]{0,60}"#) {
        for source in [GrammarSource::Regex(&text), GrammarSource::Lark(&text), GrammarSource::Schema(&text)] {
            match compile(source) {
                // What is compiled has a mask, or says why not.
                Ok(grammar) => drop(Constraint::new(&grammar).mask().map(|mask| mask.len())),
                Err(error) => prop_assert_eq!(error.code(), "INVALID_GRAMMAR"),
            }
        }
    }

    /// A few scores and all of them are two ways to the same token.
    #[test]
    fn a_token_is_chosen_as_if_the_others_were_forbidden(
        logits in prop::collection::vec(-9f32..9.0, VOCAB), seed: u64, do_sample: bool, top_k in 0usize..9,
    ) {
        for pattern in ["[a-m]", "(?s:.)*", r"\d\d|x"] {
            let grammar = compile(GrammarSource::Regex(pattern)).unwrap();
            let mut constraint = Constraint::new(&grammar);
            let mask = constraint.mask().unwrap();
            let mut forbidden: Vec<Vec<u32>> = Vec::new();
            let allowed = |id: u32| if id == EOS { mask.may_end } else { mask.allows(id) };
            forbidden.extend((0..VOCAB as u32).filter(|&id| !allowed(id)).map(|id| vec![id]));
            let options = GenerationOptions {
                do_sample, top_k, temperature: 0.7, top_n_sigma: 2.0, repetition_penalty: 1.3,
                eos_token_ids: vec![EOS], ..GenerationOptions::default()
            };
            let context = Context { ids: &[1, 2, 3], prompt_length: 1 };
            let mut scores = Scores::new();
            let constrained = Constraint::new(&grammar);
            let mut one = Sampler::new(&options, seed, 0).constrained(Some(constrained));
            let one = one.next(&context, &logits, &mut scores).unwrap();
            // `bad_words_ids` leaves end tokens alone, so here none is named.
            let eos_token_ids = Vec::new();
            let options = GenerationOptions { bad_words_ids: forbidden, eos_token_ids, ..options };
            let two = Sampler::new(&options, seed, 0).next(&context, &logits, &mut scores).unwrap();
            prop_assert_eq!(one, two, "{}", pattern);
        }
    }
}

#[test]
fn what_is_wrong_is_said() {
    let said = |source| match compile(source) {
        Err(error @ Error::InvalidGrammar { .. }) => error.to_string(),
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("{source:?} is compiled"),
    };
    let nested = "(".repeat(300) + &")".repeat(300);
    let deep = "[".repeat(200);
    let long = format!("\"{}\"", "x".repeat(2 << 20));
    let divided = json!({ "items": { "type": "integer", "multipleOf": 99991 } }).to_string();
    let patterns: serde_json::Map<String, Value> =
        (0..1500).map(|n| (format!("^k{n}x$"), json!(true))).collect();
    let patterns = json!({ "patternProperties": patterns }).to_string();
    let within = format!("start: %json {patterns}\n");
    let names: Vec<String> = (0..5000).map(|n| format!("k{n}")).collect();
    let required = json!({ "items": { "required": names } }).to_string();
    let cases = [
        (GrammarSource::Schema(&patterns), "1500 patternProperties in one place"),
        (GrammarSource::Lark(&within), "1500 patternProperties in one place"),
        (GrammarSource::Schema(&required), "5000 required in one place"),
        (GrammarSource::Regex("("), "unclosed group"),
        (GrammarSource::Regex("(?=a)"), "look-around"),
        (
            GrammarSource::Regex(&nested),
            "option `regex` cannot be used: its brackets nest more than 200 deep",
        ),
        (
            GrammarSource::Lark("start: foo"),
            "option `grammar` cannot be used: at 1(8): unknown name",
        ),
        (GrammarSource::Lark(&nested), "nest more than"),
        (GrammarSource::Schema("{"), "option `schema` cannot be used: it is not JSON: EOF"),
        (GrammarSource::Schema(&deep), "recursion limit"),
        (GrammarSource::Schema(&long), "at most are read"),
        (GrammarSource::Schema(&divided), "multipleOf 99991 has too many digits, or is too large"),
        (GrammarSource::Schema(r#"{"type": "foo"}"#), "Invalid type: foo"),
        (GrammarSource::Schema(r#"{"$ref": "https://a.b/c"}"#), "$ref"),
        (GrammarSource::Schema(r#"{"not": {"type": "string"}}"#), "not"),
        (GrammarSource::Schema("false"), "Unsatisfiable"),
        (GrammarSource::Schema("5"), ""),
    ];
    for (source, words) in cases {
        let said = said(source);
        assert!(said.contains(words), "{said}");
        assert!(said.len() < 1000 && !said.contains("backtrace"), "{said}");
    }
}

#[test]
fn a_model_without_byte_level_tokens_is_refused() {
    let json = r#"{"added_tokens": [], "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}"#;
    let words = Tokenizer::from_json(json.as_bytes(), "tokenizer.json".as_ref()).unwrap();
    let error = Vocabulary::new(&words, 1, "regex").err().unwrap();
    assert!(error.to_string().contains("not ByteLevel"), "{error}");
}

fn engine(cache_tokens: Option<usize>) -> Engine {
    let options = LoadOptions {
        path: golden("tiny-mha-f32"),
        device: device(),
        threads: Some(2),
        cache_tokens,
        ..LoadOptions::default()
    };
    Engine::load(&options, &mut |_| Ok(())).unwrap()
}

fn of_schema(schema: &Value) -> GenerationOptions {
    GenerationOptions {
        schema: Some(JsonSchema(schema.to_string())),
        max_new_tokens: 120,
        eos_token_ids: vec![EOS],
        ..GenerationOptions::default()
    }
}

/// The answers with their ends.
fn answers(
    engine: &Engine,
    prompts: Vec<Vec<u32>>,
    options: GenerationOptions,
) -> Vec<(String, FinishReason)> {
    let generation = engine.generate(prompts, options).unwrap();
    let mut answers: Vec<(String, FinishReason)> = Vec::new();
    let at = |answers: &mut Vec<_>, index: usize| {
        if answers.len() <= index {
            answers.resize(index + 1, (String::new(), FinishReason::Abort));
        }
    };
    while let Some(events) = generation.next_blocking() {
        for event in events.unwrap() {
            match event {
                Event::Token { index, text, .. } => {
                    at(&mut answers, index);
                    answers[index].0 += &text;
                }
                Event::Done { index, finish_reason, .. } => {
                    at(&mut answers, index);
                    answers[index].1 = finish_reason;
                }
                Event::Prompt { .. } => {}
            }
        }
    }
    answers
}

#[test]
fn answers_fit_and_end_where_nothing_may_follow() {
    let engine = engine(None);
    let drawn = GenerationOptions {
        do_sample: true,
        top_k: 0,
        seed: Some(5),
        num_return_sequences: 8,
        ..of_schema(&person())
    };
    let all = answers(&engine, vec![vec![1, 2], vec![3]], drawn.clone());
    assert_eq!(all.len(), 16);
    let mut complete = 0;
    for (text, finish) in &all {
        match finish {
            FinishReason::Eos => assert!(is_person(&serde_json::from_str(text).unwrap()), "{text}"),
            finish => assert_eq!(*finish, FinishReason::Length, "{text}"),
        }
        complete += usize::from(*finish == FinishReason::Eos);
    }
    assert!(complete > 4, "{all:?}");
    // Each is what it is alone.
    let alone = answers(&engine, vec![vec![3]], drawn);
    assert_eq!(alone, all[8..]);
    // Nothing may follow, so no end token is waited for, and none is needed.
    let yes = GenerationOptions {
        regex: Some("yes".into()),
        min_new_tokens: 50,
        max_new_tokens: 100,
        ..GenerationOptions::default()
    };
    assert_eq!(answers(&engine, vec![vec![1]], yes), [("yes".to_owned(), FinishReason::Eos)]);
}

/// Guesses, preempted sequences and a schema together change no text.
#[test]
fn texts_depend_on_nothing_else_that_runs() {
    let roomy = engine(None);
    let schema =
        json!({ "type": "array", "items": { "enum": ["abab", "ab", "ba"] }, "minItems": 30 });
    let plain = of_schema(&schema);
    let prompts: Vec<Vec<u32>> = (1..7).map(|id| vec![id; 20]).collect();
    let one_by_one: Vec<_> = prompts
        .iter()
        .flat_map(|prompt| answers(&roomy, vec![prompt.clone()], plain.clone()))
        .collect();
    assert_eq!(answers(&roomy, prompts.clone(), plain.clone()), one_by_one);
    let guessing = GenerationOptions { prompt_lookup_num_tokens: 10, ..plain.clone() };
    assert_eq!(answers(&roomy, prompts.clone(), guessing.clone()), one_by_one);
    let tight = engine(Some(256));
    for options in [plain, guessing] {
        assert_eq!(answers(&tight, prompts.clone(), options), one_by_one);
    }
}

#[test]
fn other_options_keep_their_meaning() {
    let engine = engine(None);
    let of_regex = |regex: &str| GenerationOptions {
        regex: Some(regex.to_owned()),
        eos_token_ids: vec![EOS],
        max_new_tokens: 40,
        ..GenerationOptions::default()
    };
    let one = |options| answers(&engine, vec![vec![1, 2]], options).remove(0);
    // A stop string ends an answer anywhere.
    let stopped = GenerationOptions { stop_strings: vec!["b".into()], ..of_regex("a{3}b{3}") };
    assert_eq!(one(stopped), ("aaa".to_owned(), FinishReason::Stop));
    // An end token waits for `min_new_tokens` where more may follow.
    let long = GenerationOptions { min_new_tokens: 10, ..of_regex("(ab)*") };
    let (text, _) = one(long);
    assert!(text.len() >= 10 && text.replace("ab", "").is_empty(), "{text}");
    let forbidden = GenerationOptions {
        bad_words_ids: (0..VOCAB as u32).map(|id| vec![id]).collect(),
        ..of_regex("a")
    };
    let generation = engine.generate(vec![vec![1]], forbidden).unwrap();
    let error = generation.next_blocking().unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "bad_words_ids and regex together leave no token that may come next; loosen one of them"
    );
    let two = GenerationOptions { grammar: Some("start: \"a\"".into()), ..of_regex("a") };
    let error = engine.generate(vec![vec![1]], two).err().unwrap();
    assert_eq!(
        error.to_string(),
        "option `grammar` is given, but an answer has one form: leave out regex"
    );
    let never = GenerationOptions {
        schema: Some(JsonSchema(r##"{"$ref": "#"}"##.into())),
        ..of_schema(&json!(true))
    };
    let error =
        engine.generate(vec![vec![1]], never).unwrap().next_blocking().unwrap().unwrap_err();
    assert_eq!(error.code(), "INVALID_GRAMMAR");
}
