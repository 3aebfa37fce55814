//! Token files and the manifest: what the trainer finds.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use olmo_core::evaluate::baseline::{measure, measure_all};
use olmo_core::prepare::tokens::{read_tokens, write_tokens};
use olmo_core::prepare::{bpe, prepare, Manifest, Options, TokenFile};
use olmo_core::tokenizer::Tokenizer;
use proptest::prelude::*;
use support::{tokenizer, TempDir};

const EOS: u16 = 496;

static NEVER: AtomicBool = AtomicBool::new(false);

/// Stories of a few sentences, no two alike.
fn stories(count: usize, hero: &str) -> String {
    let story = |i: usize| {
        let sentence = |j: usize| format!("The {hero} found {} stones by gate {j}.\n", i * 37 + j);
        (0..6).map(sentence).collect::<String>() + "<|endoftext|>\n"
    };
    (0..count).map(story).collect()
}

fn options(folder: &TempDir) -> Options {
    let text = folder.path().join("text");
    std::fs::create_dir(&text).unwrap();
    std::fs::write(text.join("foxes.txt"), stories(120, "fox")).unwrap();
    std::fs::write(text.join("crows.txt"), stories(40, "crow")).unwrap();
    Options { vocab_size: 330, seed: 9, ..Options::new(text, folder.path().join("out")) }
}

fn decode(tokenizer: &Tokenizer, ids: &[u16]) -> String {
    let ids: Vec<u32> = ids.iter().map(|&id| id.into()).collect();
    tokenizer.decode(&ids, false).unwrap()
}

/// Every file below a folder.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(contents(&path));
        } else {
            files.insert(path.clone(), std::fs::read(path).unwrap());
        }
    }
    files
}

#[test]
fn the_manifest_says_what_the_files_hold() {
    let folder = TempDir::new();
    let options = options(&folder);
    let manifest = prepare(&options, &NEVER, &mut |_| ()).unwrap();
    assert_eq!(Manifest::read(&options.out).unwrap(), manifest);
    assert_eq!((manifest.vocab_size, manifest.eos_token_id), (330, 309));
    let tokenizer = Tokenizer::from_dir(&options.out.join("tokenizer")).unwrap();
    let names: Vec<&str> = manifest.sources.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["crows", "foxes"]);

    for (source, documents) in manifest.sources.iter().zip([40, 120]) {
        let text = std::fs::read_to_string(options.text.join(&source.name).with_extension("txt"));
        let mut text: Vec<String> =
            text.unwrap().split("<|endoftext|>\n").map(|t| t.trim().to_owned()).collect();
        assert_eq!(text.pop().as_deref(), Some(""));
        let mut found = Vec::new();
        for part in [&source.train, &source.validation] {
            let tokens = read_tokens(&options.out.join(&part.file)).unwrap();
            assert_eq!(tokens.len() as u64, part.tokens);
            assert_eq!(tokens.last(), Some(&309));
            let texts: Vec<String> = tokens[..tokens.len() - 1]
                .split(|&id| id == 309)
                .map(|ids| decode(&tokenizer, ids))
                .collect();
            assert_eq!(texts.len() as u64, part.documents);
            assert_eq!(texts.iter().map(|text| text.len() as u64).sum::<u64>(), part.bytes);
            found.extend(texts);
        }
        assert!(source.validation.documents >= 3);
        assert_eq!(source.train.documents + source.validation.documents, documents);
        found.sort();
        text.sort();
        assert!(found == text, "nothing is lost, added or changed");
    }
}

#[test]
fn the_same_text_gives_the_same_bytes() {
    let folder = TempDir::new();
    let mut options = options(&folder);
    prepare(&options, &NEVER, &mut |_| ()).unwrap();
    let first = contents(&options.out);
    assert_eq!(first.len(), 2 + 4 + 2, "{:?}", first.keys());
    prepare(&options, &NEVER, &mut |_| ()).unwrap();
    assert!(first == contents(&options.out));
    options.seed += 1;
    prepare(&options, &NEVER, &mut |_| ()).unwrap();
    assert!(first != contents(&options.out));
}

/// What is held out must not have taught the tokenizer.
#[test]
fn the_tokenizer_learns_from_training_text_alone() {
    let folder = TempDir::new();
    let options = options(&folder);
    let manifest = prepare(&options, &NEVER, &mut |_| ()).unwrap();
    let learnt = std::fs::read_to_string(options.out.join("tokenizer/tokenizer.json")).unwrap();
    let texts = |validation: bool| -> Vec<String> {
        let tokenizer = Tokenizer::from_dir(&options.out.join("tokenizer")).unwrap();
        let files = manifest.sources.iter().flat_map(|source| {
            [Some(&source.train), validation.then_some(&source.validation)].into_iter().flatten()
        });
        let read = |part: &TokenFile| read_tokens(&options.out.join(&part.file)).unwrap();
        let documents = |tokens: Vec<u16>| -> Vec<String> {
            tokens.split(|&id| id == 309).map(|ids| decode(&tokenizer, ids)).collect()
        };
        files.map(read).flat_map(documents).collect()
    };
    let learn = |texts: Vec<String>| bpe::train(texts.iter().map(String::as_str), 330).unwrap();
    assert_eq!(learn(texts(false)).json(), learnt);
    assert_ne!(learn(texts(true)).json(), learnt, "else the test says nothing");
}

#[test]
fn tokens_are_little_endian_and_end_with_eos() {
    let folder = TempDir::new();
    let tokenizer = tokenizer("tiny-mha-f32");
    let file = Path::new("train/x.npy");
    let entry = write_tokens(folder.path(), file, &["!\"", "~"], &tokenizer, &NEVER).unwrap();
    let path = folder.path().join(file);
    assert_eq!(std::fs::read(&path).unwrap(), [0, 0, 1, 0, 0xF0, 1, 93, 0, 0xF0, 1]);
    assert_eq!(read_tokens(&path).unwrap(), [0, 1, EOS, 93, EOS]);
    assert_eq!((entry.documents, entry.bytes, entry.tokens), (2, 3, 5));
    // printf '\0\0\1\0\360\1]\0\360\1' | sha256sum
    let expected = "b4cd35dbdd6a18927e3001fd8ddd069da55f973e506a3e80c87169713d0513c5";
    assert_eq!(entry.sha256, expected);
    assert_eq!(contents(folder.path()).len(), 1);

    std::fs::write(&path, [1, 2, 3]).unwrap();
    let error = read_tokens(&path).unwrap_err().to_string();
    assert!(error.contains("x.npy: 3 bytes are no whole number of Uint16 tokens"), "{error}");
    // Its tokens' ids go beyond 16 bits.
    let dolma2 = support::tokenizer("dolma2-subset");
    assert!(write_tokens(folder.path(), file, &["text"], &dolma2, &NEVER).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), [1, 2, 3], "what failed leaves no trace");
    assert_eq!(contents(folder.path()).len(), 1);
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let folder = TempDir::new();
    let mut options = options(&folder);
    options.out = options.text.join("foxes.txt");
    let error = prepare(&options, &NEVER, &mut |_| ()).unwrap_err();
    assert_eq!(error.code(), "IO");
    assert!(error.to_string().starts_with("cannot write "), "{error}");
    assert!(error.to_string().contains("foxes.txt"), "{error}");
}

#[test]
fn called_off_it_leaves_whole_files_and_no_manifest() {
    let folder = TempDir::new();
    let options = options(&folder);
    let stop_at = |part: &str| {
        let cancelled = AtomicBool::new(false);
        let mut progress = |what: &str| cancelled.store(what == part, Ordering::Relaxed);
        prepare(&options, &cancelled, &mut progress).unwrap_err()
    };
    assert_eq!(stop_at("reading the text").code(), "CANCELLED");
    assert!(!options.out.exists());
    assert_eq!(stop_at("encoding foxes").code(), "CANCELLED");
    let written: Vec<PathBuf> = contents(&options.out).into_keys().collect();
    let whole = [
        "tokenizer/tokenizer.json",
        "tokenizer/tokenizer_config.json",
        "train/crows.npy",
        "validation/crows.npy",
    ];
    assert_eq!(written, whole.map(|file| options.out.join(file)));

    let file = Path::new("x.npy");
    let error = write_tokens(
        &options.out,
        file,
        &["text"],
        &tokenizer("tiny-mha-f32"),
        &AtomicBool::new(true),
    );
    assert_eq!(error.unwrap_err().code(), "CANCELLED");
    assert_eq!(contents(&options.out).len(), written.len(), "not even a temporary file");

    prepare(&options, &NEVER, &mut |_| ()).unwrap();
    let orders_left = measure_all(&options.out, &[1], &AtomicBool::new(true), &mut |_| ());
    assert_eq!(orders_left.unwrap_err().code(), "CANCELLED");
    assert!(!options.out.join("baseline.json").exists());
}

#[test]
fn a_folder_prepared_again_is_not_called_whole_meanwhile() {
    let folder = TempDir::new();
    let options = options(&folder);
    prepare(&options, &NEVER, &mut |_| ()).unwrap();
    measure_all(&options.out, &[1], &NEVER, &mut |_| ()).unwrap();
    let whole = contents(&options.out);
    let again = |vocab_size: usize, part: &str| {
        let cancelled = AtomicBool::new(false);
        let mut progress = |what: &str| cancelled.store(what == part, Ordering::Relaxed);
        let error = prepare(&Options { vocab_size, ..options.clone() }, &cancelled, &mut progress);
        error.unwrap_err().code()
    };
    assert_eq!(again(60_000, ""), "INVALID_OPTION");
    assert_eq!(again(330, "learning the tokenizer"), "CANCELLED");
    assert!(contents(&options.out) == whole, "nothing was begun, so nothing is lost");
    assert_eq!(again(330, "encoding foxes"), "CANCELLED");
    assert!(
        !options.out.join("manifest.json").exists() && !options.out.join("baseline.json").exists()
    );
}

#[test]
fn manifests_that_are_none_are_refused() {
    let folder = TempDir::new();
    let options = options(&folder);
    let file = options.out.join("manifest.json");
    assert_eq!(Manifest::read(&options.out).unwrap_err().code(), "IO");
    prepare(&options, &NEVER, &mut |_| ()).unwrap();
    let json = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, json.replace("uint16", "uint32")).unwrap();
    let error = Manifest::read(&options.out).unwrap_err().to_string();
    assert!(error.ends_with("manifest.json: its dtype is uint32, not uint16"), "{error}");
    std::fs::write(&file, &json[..json.len() / 2]).unwrap();
    let error = Manifest::read(&options.out).unwrap_err().to_string();
    assert!(error.contains("manifest.json: this is not a manifest of tokens"), "{error}");
}

/// The stories say nearly the same over and over: a model of five tokens knows that, one of single
/// tokens does not.
#[test]
fn a_baseline_is_measured_by_source() {
    let folder = TempDir::new();
    let options = options(&folder);
    let manifest = prepare(&options, &NEVER, &mut |_| ()).unwrap();
    let five = measure(&options.out, 5).unwrap();
    let one = measure(&options.out, 1).unwrap();
    let mut bits = 0.0;
    for ((five, one), source) in five.sources.iter().zip(&one.sources).zip(&manifest.sources) {
        assert_eq!((&five.source, five.tokens), (&source.name, source.validation.tokens));
        assert_eq!(five.bytes, source.validation.bytes);
        assert_eq!(five.bits_per_byte, five.bits / five.bytes as f64);
        assert!(five.bits_per_byte < one.bits_per_byte / 2.0, "{five:?} {one:?}");
        bits += five.bits;
    }
    assert_eq!(five.overall.bits_per_byte, bits / five.overall.bytes as f64);
    assert_eq!((five.ngrams.len(), one.ngrams.len()), (5, 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Long documents are encoded in pieces; their tokens are those of the whole.
    #[test]
    fn pieces_do_not_show(units in prop::collection::vec(
        prop::sample::select(vec![
            "\n", "\n", "\r\n", " ", "  ", "\t", "\u{3000}", "\u{85}", "a", "word", " the", "'s",
            "1234", "--", " ?!", ".", "é", "😀", "\u{301}", "<|pad|>", "|||IP_ADDRESS|||", "<|",
        ]),
        0..400,
    )) {
        let tokenizer = tokenizer("tiny-mha-f32");
        // Twice over 8 KiB, the size of a piece.
        let text = units.concat();
        let text = text.repeat(20_000 / text.len().max(1) + 1);
        let folder = TempDir::new();
        let file = Path::new("x.npy");
        write_tokens(folder.path(), file, &[&text], &tokenizer, &NEVER).unwrap();
        let got = read_tokens(&folder.path().join(file)).unwrap();
        let whole = tokenizer.encode(&text, false).unwrap();
        let expected: Vec<u16> = whole.into_iter().map(|id| id as u16).chain([EOS]).collect();
        prop_assert!(got == expected);
    }
}
