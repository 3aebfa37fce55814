//! The files that AllenAI's own programs make, from `scripts/golden/make_finetune.py`, and those with exact labels by
//! its own rule.

mod support;

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use olmo_core::files::hashed::sha256;
use olmo_finetune::{Format, Labels, Options};
use serde_json::Value;
use support::{golden, prepare, root, tokenizer, Temporary};

fn expected() -> Value {
    let text = std::fs::read_to_string(golden().join("golden.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What Open Instruct's docs hold two outputs to: see the program that makes the data.
fn digest(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    if name.ends_with(".gz") {
        let mut unpacked = Vec::new();
        GzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked).unwrap();
        return sha256(&unpacked);
    }
    if name == "dataset_statistics.json" {
        let text = String::from_utf8(bytes).unwrap();
        let varies = |line: &&str| {
            !line.starts_with("  \"timestamp\"") && !line.starts_with("  \"output_directory\"")
        };
        return sha256(text.split('\n').filter(varies).collect::<Vec<_>>().join("\n").as_bytes());
    }
    sha256(&bytes)
}

fn options(format: Format, case: &Value, out: PathBuf) -> Options {
    let given = expected();
    let embedded = given["tokenizer"].as_str().unwrap();
    let name = case["tokenizer"].as_str().unwrap_or(embedded);
    let folder = if name == embedded { root() } else { out.parent().unwrap().to_owned() };
    let mut options = Options::new(format, out, folder.join(name));
    options.tokenizer_name = name.to_owned();
    options.max_seq_len =
        case["max_seq_len"].as_u64().map(|length| length as usize).or(options.max_seq_len);
    options.add_bos = case["add_bos"].as_bool().unwrap_or(false);
    options.chat_template = case["template"].as_str().map(str::to_owned);
    if let Some(seed) = case["seed"].as_u64() {
        options.shuffle_seed = Some(seed);
    }
    options
}

/// The tokenizer whose ids 16 bits do not hold, as `widened` makes it in the program that makes the data.
fn widen(folder: &Path, fillers: u64) {
    let read = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(tokenizer().join(name)).unwrap()).unwrap()
    };
    let mut json = read("tokenizer.json");
    let vocab = json["model"]["vocab"].as_object_mut().unwrap();
    vocab.values_mut().for_each(|id| *id = (id.as_u64().unwrap() + fillers).into());
    vocab.extend((0..fillers).map(|id| (format!("<|filler_{id}|>"), id.into())));
    for token in json["added_tokens"].as_array_mut().unwrap() {
        token["id"] = (token["id"].as_u64().unwrap() + fillers).into();
    }
    let mut config = read("tokenizer_config.json");
    config.as_object_mut().unwrap().remove("added_tokens_decoder");
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("tokenizer.json"), json.to_string()).unwrap();
    std::fs::write(folder.join("tokenizer_config.json"), config.to_string()).unwrap();
}

/// Names of data stand in the statistics, so the test is where the data is.
#[test]
fn files_are_those_of_allenais_programs() {
    std::env::set_current_dir(golden()).unwrap();
    let expected = expected();
    let temporary = Temporary::new("golden");
    widen(&temporary.join("models/olmo2-wide"), expected["fillers"].as_u64().unwrap());
    let cases = expected["olmo_core"].as_array().unwrap();
    assert!(cases.len() >= 25);
    let exact = expected["exact"].as_array().unwrap();
    let both = cases.iter().map(|case| (case, Labels::OpenInstruct));
    let both = both.chain(exact.iter().map(|case| (case, Labels::Exact)));
    for (index, (case, labels)) in both.enumerate() {
        let mut options = options(Format::OlmoCore, case, temporary.join(&index.to_string()));
        let data = case["data"].as_array().unwrap();
        options.data = data.iter().map(|data| data.as_str().unwrap().to_owned()).collect();
        options.labels = labels;
        let report = prepare(&options);
        assert!(report["examples"].as_u64().unwrap() > 0);
        check(case, &options);
    }
    for (index, case) in expected["olmo"].as_array().unwrap().iter().enumerate() {
        let mut options = options(Format::Olmo, case, temporary.join(&format!("olmo-{index}")));
        options.data = vec!["joined.jsonl".to_owned()];
        let report = prepare(&options);
        assert_eq!(report["examples"], case["rows"]);
        check(case, &options);
    }
}

fn check(case: &Value, options: &Options) {
    let files = case["files"].as_object().unwrap();
    assert!(files.len() >= 2);
    for (name, hash) in files {
        assert_eq!(digest(&options.out.join(name)), *hash, "{name} of {case}");
    }
}
