//! What the cache keeps, in a file and back.

use std::fs;

use olmo_core::cache::{CacheDType, BLOCK_TOKENS};
use olmo_core::dtype::DType;

use super::*;

/// Answers to prompts, one after the other, and how many tokens of each prompt were in the cache.
fn answers(engine: &Engine, prompts: &[Vec<u32>]) -> (Vec<Answer>, Vec<usize>) {
    let options = GenerationOptions { logprobs: true, ..greedy(40) };
    let answers: Vec<Answer> = prompts.iter().map(|ids| one(engine, ids, &options)).collect();
    let cached = answers.iter().map(|answer| answer.end.expect("an end").1.cached_tokens).collect();
    (answers, cached)
}

fn prompts() -> Vec<Vec<u32>> {
    let text = |seed: u32| (0..100).map(|i| (i * 7 + seed * 31) % 400).collect::<Vec<u32>>();
    // The last begins as the first does.
    let shared = [&text(1)[..64], &text(3)[..30]].concat();
    vec![text(1), text(2), shared]
}

#[test]
fn what_was_kept_is_there_after_a_restart_and_changes_no_answer() {
    let dir = TempDir::new();
    for cache_dtype in [None, Some(CacheDType::Float(DType::F16))] {
        let options = LoadOptions { cache_dtype, ..options(&golden("tiny-mha-f32")) };
        let file = dir.path().join("deep/kept");
        let engine = load(&options);
        let (cold, cached) = answers(&engine, &prompts());
        assert_eq!(cached, [0, 0, 64]);
        let used = block_on(engine.cache_use()).expect("runs");
        assert_eq!(used.in_use, 0);
        let saved = engine.save_cache(&file).expect("saves");
        assert_eq!((saved.tokens, saved.bytes), (used.kept, fs::metadata(&file).unwrap().len()));
        assert!(saved.tokens >= 6 * BLOCK_TOKENS, "the whole blocks of two prompts: {saved:?}");

        let other = load(&options);
        assert_eq!(block_on(other.cache_use()).unwrap().kept, 0);
        assert_eq!(other.load_cache(&file).expect("loads"), saved);
        assert_eq!(block_on(other.cache_use()).unwrap(), used);
        let (warm, cached) = answers(&other, &prompts());
        assert_same(&warm, &cold);
        // Of each prompt the whole blocks in front of its last token.
        assert_eq!(cached, [96, 96, 64]);
        // Again: nothing is there twice.
        other.load_cache(&file).expect("loads");
        assert_eq!(block_on(other.cache_use()).unwrap().in_use, 0);
        assert_eq!(block_on(other.cache_use()).unwrap().kept, used.kept);
    }
}

#[test]
fn a_cache_that_is_too_small_takes_what_it_has_room_for() {
    let dir = TempDir::new();
    let file = dir.path().join("kept");
    let engine = engine();
    let (cold, _) = answers(&engine, &prompts());
    engine.save_cache(&file).expect("saves");
    let options = options(&golden("tiny-mha-f32"));
    let small = load(&LoadOptions { cache_tokens: Some(5 * BLOCK_TOKENS), ..options });
    let loaded = small.load_cache(&file).expect("loads");
    assert_eq!(loaded.tokens, 5 * BLOCK_TOKENS);
    let used = block_on(small.cache_use()).unwrap();
    assert_eq!((used.tokens, used.kept, used.in_use), (loaded.tokens, loaded.tokens, 0));
    let (warm, cached) = answers(&small, &prompts()[..1]);
    assert_same(&warm, &cold[..1]);
    assert_eq!(cached, [96]);
}

#[test]
fn a_file_that_is_another_models_or_damaged_is_refused_before_anything_is_kept() {
    let dir = TempDir::new();
    let file = dir.path().join("kept");
    let engine = engine();
    answers(&engine, &prompts());
    engine.save_cache(&file).expect("saves");
    let whole = fs::read(&file).unwrap();

    let fresh = super::engine();
    let refused = |engine: &Engine, bytes: &[u8], expected: &str| {
        let file = dir.path().join("hostile");
        fs::write(&file, bytes).unwrap();
        let error = engine.load_cache(&file).expect_err(expected);
        assert_eq!(error.code(), "INVALID_FILE", "{error}");
        assert!(error.to_string().contains(expected), "{error}, not {expected}");
        assert_eq!(block_on(engine.cache_use()).unwrap().kept, 0);
    };
    // The weights are hashed where they lie.
    let folder = checkpoint("tiny-odd-f32");
    let other = load(&options(folder.path()));
    refused(&other, &whole, "another model");
    let form = LoadOptions {
        cache_dtype: Some(CacheDType::Float(DType::F16)),
        ..options(&golden("tiny-mha-f32"))
    };
    refused(&load(&form), &whole, "in another form");

    refused(&fresh, b"", "cut off");
    refused(&fresh, b"GGUF, and then some more bytes", "not a saved cache");
    refused(&fresh, &whole[..whole.len() - 1], "cut off, or is damaged");
    let changed = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        bytes
    };
    refused(&fresh, &changed(11, 0xff), "too long");
    refused(&fresh, &changed(12, b'!'), "head cannot be read");
    for at in [whole.len() / 2, whole.len() - 40, whole.len() - 1] {
        refused(&fresh, &changed(at, whole[at] ^ 1), "its hash is another");
    }
    // Hostile, with a hash that fits.
    let head = 12 + u32::from_le_bytes(whole[8..12].try_into().unwrap()) as usize;
    let forged = |at: usize, number: u32| {
        let mut bytes = whole[..whole.len() - 32].to_vec();
        bytes[head + at..][..4].copy_from_slice(&number.to_le_bytes());
        let hash = olmo_core::files::hashed::sha256(&bytes);
        let hash = (0..32).map(|i| u8::from_str_radix(&hash[2 * i..][..2], 16).unwrap());
        bytes.extend(hash.collect::<Vec<u8>>());
        bytes
    };
    refused(&fresh, &forged(0, 1), "follows one that comes after it");
    refused(&fresh, &forged(0, u32::MAX), "follows one that comes after it");
    refused(&fresh, &forged(4, VOCAB as u32), "does not know");
    let missing = fresh.load_cache(&dir.path().join("none")).unwrap_err();
    assert_eq!(missing.code(), "IO");
    fresh.load_cache(&file).expect("the file as it was");
}
