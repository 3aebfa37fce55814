//! Token files that say what they are, and configs whose parts fit each other.

mod support;
mod train_support;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use olmo_core::prepare::token_file::{TokenFile, TokenType};
use olmo_core::prepare::{prepare, Options};
use olmo_core::train::{TrainConfig, Trainer};
use serde_json::{json, Value};
use train_support::{finish, Folder};

fn bytes(ids: &[u64], size: usize) -> Vec<u8> {
    ids.iter().flat_map(|id| id.to_le_bytes()[..size].to_vec()).collect()
}

/// A file as `numpy.save` writes it.
fn npy(version: u8, dict: &str, ids: &[u8]) -> Vec<u8> {
    let length = match version {
        1 => (dict.len() as u16).to_le_bytes().to_vec(),
        _ => (dict.len() as u32).to_le_bytes().to_vec(),
    };
    [b"\x93NUMPY", &[version, 0][..], &length, dict.as_bytes(), ids].concat()
}

fn dict(descr: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}          \n")
}

fn open(
    content: &[u8],
    dtype: Option<TokenType>,
    vocab_size: usize,
) -> Result<(TokenType, Vec<u32>), String> {
    let folder = support::TempDir::new();
    let path = folder.path().join("ids.npy");
    std::fs::write(&path, content).unwrap();
    let file = TokenFile::open_for(&path, dtype, vocab_size).map_err(|error| {
        assert_eq!(error.code(), "INVALID_FILE");
        error.to_string()
    })?;
    let ids = file.read(0..file.len(), vocab_size).map_err(|error| error.to_string())?;
    Ok((file.dtype(), ids))
}

#[test]
fn every_type_is_read() {
    use TokenType::{Uint16, Uint32, Uint64, Uint8};
    let ids: Vec<u64> = (0..100).map(|n| n * 7 % 250 + 1).collect();
    let expected: Vec<u32> = ids.iter().map(|&id| id as u32).collect();
    let cases = [
        (Some(Uint8), 251, bytes(&ids, 1), Uint8),
        (Some(Uint16), 251, bytes(&ids, 2), Uint16),
        (Some(Uint32), 251, bytes(&ids, 4), Uint32),
        (Some(Uint64), 251, bytes(&ids, 8), Uint64),
        // What the vocabulary says.
        (None, 65_536, bytes(&ids, 2), Uint16),
        (None, 65_537, bytes(&ids, 4), Uint32),
        // What a header says.
        (None, 251, npy(1, &dict("|u1", "(100,)"), &bytes(&ids, 1)), Uint8),
        (None, 251, npy(1, &dict("<u2", "(100,)"), &bytes(&ids, 2)), Uint16),
        (None, 251, npy(1, &dict("<u4", "(100,)"), &bytes(&ids, 4)), Uint32),
        (Some(Uint32), 251, npy(2, &dict("<u4", "(10, 10)"), &bytes(&ids, 4)), Uint32),
        (None, 251, npy(3, &dict("<i8", "(100,)"), &bytes(&ids, 8)), Uint64),
        (None, 251, npy(1, &dict("<i4", "(100,)"), &bytes(&ids, 4)), Uint32),
    ];
    for (index, (dtype, vocab_size, content, found)) in cases.into_iter().enumerate() {
        let expected = Ok((found, expected.clone()));
        assert_eq!(open(&content, dtype, vocab_size), expected, "case {index}");
    }
    assert_eq!(open(&[], None, 300), Ok((Uint16, vec![])));
}

#[test]
fn what_cannot_be_is_refused() {
    use TokenType::{Uint16, Uint32, Uint64, Uint8};
    let small: Vec<u64> = (0..1000).map(|n| n * 31 % 300).collect();
    let large: Vec<u64> = (0..1000).map(|n| n * 97 % 70_000).collect();
    let cases: Vec<Case> = vec![
        // The example: 32-bit ids read as 16-bit ones.
        (
            None,
            400,
            bytes(&small, 4),
            "every second id is 0 if it is read as uint16; it looks like uint32",
        ),
        (Some(Uint16), 400, bytes(&small, 4), "it looks like uint32: set dtype: uint32"),
        (Some(Uint16), 65_536, bytes(&small, 4), "it looks like uint32"),
        (Some(Uint16), 400, bytes(&small, 8), "it looks like uint64: set dtype: uint64"),
        (Some(Uint32), 400, bytes(&small, 8), "it looks like uint64"),
        (
            Some(Uint16),
            70_000,
            bytes(&large, 4),
            "uint16 holds ids to 65535, but the vocabulary has 70000; it looks like uint32",
        ),
        (Some(Uint16), 70_000, bytes(&small, 2), "uint16 holds ids to 65535"),
        (Some(Uint8), 400, bytes(&small, 1), "uint8 holds ids to 255, but the vocabulary has 400"),
        (None, 70_000, bytes(&small, 2), "outside the vocabulary of 70000; it looks like uint16"),
        (Some(Uint32), 400, bytes(&small, 2), "it looks like uint16: set dtype: uint16"),
        (Some(Uint64), 400, bytes(&small, 4), "it looks like uint32"),
        (
            None,
            250,
            bytes(&small, 2),
            "token 9 is 279, outside the vocabulary of 250; check the dtype",
        ),
        (None, 400, vec![1, 0, 2], "3 bytes are no whole number of Uint16 tokens"),
        (Some(Uint64), 400, vec![0; 12], "12 bytes are no whole number of Uint64 tokens"),
    ];
    assert_refused(cases);
}

type Case = (Option<TokenType>, usize, Vec<u8>, &'static str);

fn assert_refused(cases: Vec<Case>) {
    for (index, (dtype, vocab_size, content, expected)) in cases.into_iter().enumerate() {
        let error = open(&content, dtype, vocab_size).unwrap_err();
        assert!(error.contains(expected), "case {index}: {error}\ndoes not say {expected}");
    }
}

#[test]
fn headers_that_cannot_be_are_refused() {
    let small: Vec<u64> = (0..1000).map(|n| n * 31 % 300).collect();
    let header = |descr: &str, shape: &str| npy(1, &dict(descr, shape), &bytes(&small, 2));
    let fortran = dict("<u2", "(1000,)").replace("False", "True");
    assert_refused(vec![
        (
            Some(TokenType::Uint32),
            400,
            header("<u2", "(1000,)"),
            "its .npy header says uint16, and not uint32",
        ),
        (
            None,
            400,
            header("<u2", "(1001,)"),
            "promises 1001 ids of 2 bytes, but 2000 bytes follow",
        ),
        (None, 400, header("<u2", "(99999999999999999999,)"), "header that cannot be read"),
        (None, 400, header("<u2", "(9999999999, 9999999999)"), "header that cannot be read"),
        (None, 400, header(">u2", "(1000,)"), "numpy stored it as >u2"),
        (None, 400, header("<f4", "(500,)"), "numpy stored it as <f4"),
        (None, 400, header("|O", "(500,)"), "numpy stored it as |O"),
        (None, 400, npy(1, &fortran, &bytes(&small, 2)), "column by column"),
        (None, 400, npy(9, &dict("<u2", "(1000,)"), &[]), "header that cannot be read"),
        (None, 400, b"\x93NUMPY\x01\0\xFF\xFF{".to_vec(), "header that cannot be read"),
        (None, 250, npy(1, &dict("<i4", "(1,)"), &[0xFF; 4]), "token 0 is 4294967295, outside"),
    ]);
}

/// One look takes as long however large a file is, and finds what is at its ends.
#[test]
fn a_large_file_is_looked_at_here_and_there() {
    let folder = support::TempDir::new();
    let path = folder.path().join("large.bin");
    let open = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        TokenFile::open_for(&path, None, 300).map(|file| file.len())
    };
    let mut content = [7, 0, 44, 0].repeat(20 << 20);
    assert_eq!(open(&content).unwrap(), 40 << 20);
    let last = content.len() - 1;
    content[last] = 9;
    let error = open(&content).unwrap_err().to_string();
    assert!(error.contains("token 41943039 is 2348, outside"), "{error}");
}

/// A folder that `prepare` wrote, and the config it wrote beside.
fn prepared(name: &str) -> (Folder, Value) {
    let folder = Folder::new(name);
    let text = folder.0.join("text");
    std::fs::create_dir(&text).unwrap();
    let story = |n: usize| format!("Story {n} of the little dog and the {n} birds by the river.");
    let stories: Vec<String> = (0..200).map(story).collect();
    std::fs::write(text.join("tales.txt"), stories.join("\n<|endoftext|>\n")).unwrap();
    let out = folder.0.join("data");
    let options = Options { vocab_size: 330, context: 64, ..Options::new(text, &out) };
    let manifest = prepare(&options, &AtomicBool::new(false), &mut |_| ()).unwrap();
    let json = json!({
        "model": {"vocab_size": 330, "hidden_size": 32, "intermediate_size": 64,
            "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 64,
            "eos_token_id": manifest.eos_token_id, "pad_token_id": 329},
        "output": "run", "tokenizer": "tokenizer", "sequence_length": 64, "batch_size": 2,
        "stage1": {"data": [{"name": "tales", "paths": ["train/tales.npy"]}], "steps": 2,
            "learning_rate": 0.01, "warmup_steps": 1},
        "validation": {"interval": 2, "sources": [
            {"name": "tales", "paths": ["validation/tales.npy"]}]},
        "threads": 1,
    });
    (folder, json)
}

fn begin(folder: &Path, json: &Value) -> Result<Trainer, (&'static str, String)> {
    let config =
        TrainConfig::from_json(&json.to_string(), &folder.join("data/train.yaml")).unwrap();
    Trainer::new(config).map_err(|error| (error.code(), error.to_string()))
}

type Change = fn(&mut Value, &Path);

/// Holds changed configs against a prepared folder, the last of which may spoil it.
fn assert_unfit(name: &str, cases: &[(Change, &str, &str)]) {
    let (folder, json) = prepared(name);
    finish(&mut begin(&folder.0, &json).unwrap_or_else(|(_, error)| panic!("{error}")));
    std::fs::remove_dir_all(folder.0.join("data/run")).unwrap();
    for (change, code, expected) in cases {
        let mut json = json.clone();
        change(&mut json, &folder.0.join("data"));
        let Err((found, error)) = begin(&folder.0, &json) else { panic!("no {expected}") };
        assert_eq!(found, *code, "{error}");
        assert!(error.contains(expected), "{error}\ndoes not say {expected}");
        assert!(!folder.0.join("data/run").exists(), "{expected}");
    }
}

#[test]
fn ids_and_sizes_are_held_against_the_tokenizer() {
    assert_unfit("ids_and_sizes_are_held_against_the_tokenizer", &[
        (
            |j, _| j["model"]["eos_token_id"] = 5.into(),
            "INVALID_CONFIG",
            "data/train.yaml: `model.eos_token_id` is 5 (\"&\"), but the tokenizer's eos_token is 309",
        ),
        (
            |j, _| {
                j["model"]["eos_token_id"] = 5.into();
                j.as_object_mut().unwrap().remove("tokenizer");
            },
            "INVALID_CONFIG",
            "`model.eos_token_id` is 5, but documents of the text in",
        ),
        (|j, _| j["model"]["pad_token_id"] = 3.into(), "INVALID_CONFIG", "`model.pad_token_id` is 3"),
        (
            |j, _| {
                j["model"]["vocab_size"] = 310.into();
                j["model"]["pad_token_id"] = 300.into();
            },
            "INVALID_CONFIG",
            "`model.vocab_size` is 310, but the tokenizer has 330 tokens",
        ),
        (
            |j, _| {
                j["model"]["max_position_embeddings"] = 128.into();
                j["sequence_length"] = 128.into();
            },
            "INVALID_CONFIG",
            "`sequence_length` is 128, but the tokenizer's model_max_length is 64",
        ),
    ]);
}

#[test]
fn bytes_and_types_are_held_against_the_manifest() {
    assert_unfit(
        "bytes_and_types_are_held_against_the_manifest",
        &[
            (
                |j, _| j["validation"]["sources"][0]["bytes"] = 77.into(),
                "INVALID_CONFIG",
                "`validation.sources` gives `tales` 77 bytes, but its manifest says",
            ),
            (
                |j, _| j["stage1"]["data"][0]["dtype"] = "uint32".into(),
                "INVALID_CONFIG",
                "`stage1.data` has dtype uint32, but",
            ),
            (
                |j, _| j["validation"]["sources"][0]["dtype"] = "uint8".into(),
                "INVALID_CONFIG",
                "`validation.sources` has dtype uint8, but",
            ),
            (
                |j, folder| {
                    std::fs::copy(folder.join("validation/tales.npy"), folder.join("other.bin"))
                        .unwrap();
                    j["validation"]["sources"][0]["paths"] = json!(["other.bin"]);
                },
                "INVALID_CONFIG",
                "gives `tales` no bytes, and no manifest.json of a preparation says them",
            ),
        ],
    );
}

#[test]
fn what_a_run_reads_is_looked_at_before_it_begins() {
    assert_unfit(
        "what_a_run_reads_is_looked_at_before_it_begins",
        &[
            (
                |j, folder| {
                    let other = folder.join("other");
                    std::fs::create_dir_all(&other).unwrap();
                    let json =
                        std::fs::read_to_string(folder.join("tokenizer/tokenizer.json")).unwrap();
                    std::fs::write(other.join("tokenizer.json"), json + " ").unwrap();
                    j["tokenizer"] = "other".into();
                },
                "INVALID_CONFIG",
                "`tokenizer` is another than the one that the text in",
            ),
            (
                |j, folder| {
                    std::fs::write(folder.join("broken/tokenizer.json"), "{").unwrap_or_else(
                        |_| {
                            std::fs::create_dir(folder.join("broken")).unwrap();
                            std::fs::write(folder.join("broken/tokenizer.json"), "{").unwrap();
                        },
                    );
                    j["tokenizer"] = "broken".into();
                },
                "INVALID_FILE",
                "broken/tokenizer.json",
            ),
            (
                |j, _| j["model"]["hidden_size"] = 65_536.into(),
                "NOT_ENOUGH_MEMORY",
                "training (weights",
            ),
            (
                |j, _| j["stage1"]["data"][0]["paths"] = json!(["train/none.npy"]),
                "IO",
                "train/none.npy",
            ),
            (
                |_, folder| {
                    let file = folder.join("train/tales.npy");
                    let bytes = std::fs::read(&file).unwrap();
                    std::fs::write(&file, &bytes[..bytes.len() - 2]).unwrap();
                },
                "INVALID_FILE",
                "prepare the text again",
            ),
        ],
    );
}

#[test]
fn a_checkpoint_of_a_run_has_the_tokenizer_s_end() {
    let (folder, mut json) = prepared("fit-shipped");
    json["validation"]["sources"][0]["dtype"] = "uint16".into();
    let (summary, _) = finish(&mut begin(&folder.0, &json).unwrap_or_else(|(_, e)| panic!("{e}")));
    let text = std::fs::read_to_string(summary.model.join("generation_config.json")).unwrap();
    let generation: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(generation["eos_token_id"], 308 + 1);
    let _: PathBuf = summary.model;
}
