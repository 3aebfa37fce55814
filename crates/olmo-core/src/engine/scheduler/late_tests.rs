//! Answers whose masks come late, from a thread that is held up.

use std::sync::Arc;

use super::test_support::{drain, Bench};
use crate::engine::call::Goal;
use crate::engine::Generation;
use crate::sampling::{GenerationOptions, Grammar, GrammarSource, Vocabulary};

const TOKENS: usize = 8;

fn grammar(bench: &Bench) -> Arc<Grammar> {
    let vocabulary = Vocabulary::new(&bench.tokenizer, super::test_support::VOCAB, "regex");
    let vocabulary = Arc::new(vocabulary.expect("a vocabulary"));
    let source = GrammarSource::Regex("[ab]{200}");
    Arc::new(Grammar::new(&vocabulary, source).expect("an expression"))
}

fn formed(bench: &mut Bench, grammar: &Arc<Grammar>) -> Generation {
    let options = GenerationOptions { max_new_tokens: TOKENS, ..GenerationOptions::default() };
    let goal = Goal::Generate(options.into());
    bench.formed(vec![vec![1; 5]], goal, 0, Some(grammar.clone()))
}

#[test]
fn an_answer_that_waits_for_its_mask_holds_up_nobody() {
    let mut bench = Bench::new(64);
    let grammar = grammar(&bench);
    let gate = grammar.hold();
    let held = formed(&mut bench, &grammar);
    let free = bench.add(vec![2; 5], TOKENS);
    for _ in 0..TOKENS {
        assert!(bench.scheduler.step());
    }
    assert_eq!((drain(&free), drain(&held)), (TOKENS, 0));
    drop(gate);
    bench.run();
    assert_eq!(drain(&held), TOKENS);
    assert_eq!(bench.scheduler.pool.available(), bench.scheduler.pool.len());
}

#[test]
fn an_answer_that_waits_for_its_mask_can_be_taken_back() {
    let mut bench = Bench::new(64);
    let grammar = grammar(&bench);
    let gate = grammar.hold();
    let held = formed(&mut bench, &grammar);
    let free = bench.add(vec![2; 5], TOKENS);
    assert!(bench.scheduler.step());
    drop(held);
    bench.run();
    assert_eq!(drain(&free), TOKENS);
    assert_eq!(bench.scheduler.pool.available(), bench.scheduler.pool.len());
    drop(gate);
}

#[test]
fn an_answer_whose_room_is_needed_while_it_waits_is_computed_again() {
    // Two blocks are all: the text that is older takes both.
    let mut bench = Bench::new(2);
    let grammar = grammar(&bench);
    let older = bench.add(vec![2; 20], 40);
    assert!(bench.scheduler.step());
    let gate = grammar.hold();
    let held = formed(&mut bench, &grammar);
    for _ in 0..39 {
        assert!(bench.scheduler.step());
    }
    assert_eq!(drain(&older), 40);
    drop(gate);
    bench.run();
    assert_eq!(drain(&held), TOKENS);
    assert_eq!(bench.scheduler.pool.available(), bench.scheduler.pool.len());
}
