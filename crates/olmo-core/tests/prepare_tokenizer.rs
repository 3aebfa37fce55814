//! The tokenizer learnt here against the Python package's, and against transformers.

mod support;

use std::path::Path;

use olmo_core::prepare::bpe;
use olmo_core::tokenizer::Tokenizer;
use serde_json::Value;
use support::{ids, list, text, TempDir};

/// What the golden tiny tokenizer has learnt from.
const CORPUS: &str = include_str!("../../../scripts/golden/corpus.txt");

/// `make_models.py` makes this file with the Python package.
#[test]
fn the_python_package_learns_the_same() {
    let bpe = bpe::train([CORPUS].into_iter(), 517).unwrap();
    let got: Value = serde_json::from_str(bpe.json()).unwrap();
    let expected = support::json("tiny-mha-f32/tokenizer.json");
    // The order of merges is in a list; that of tokens and keys says nothing.
    assert!(got == expected, "{}", bpe.json());
    let order = |token: &str| bpe.json().find(token).unwrap();
    assert!(order("\"!\":0") < order("\"#\":2") && order("\"~\":93") < order("<|pad|>\":516"));
}

#[test]
fn it_is_arranged_as_dolma2() {
    let bpe = bpe::train([CORPUS].into_iter(), 400).unwrap();
    let mut got: Value = serde_json::from_str(bpe.json()).unwrap();
    let mut expected = support::json("dolma2-subset/tokenizer.json");
    assert_eq!(got["pre_tokenizer"], expected["pre_tokenizer"]);
    assert_eq!(got["decoder"], expected["decoder"]);
    assert_eq!(got["normalizer"], expected["normalizer"]);
    assert_eq!(got["post_processor"], expected["post_processor"]);
    let added = |json: &mut Value, first: u64| -> Value {
        let tokens = json["added_tokens"].as_array_mut().unwrap();
        for (i, token) in tokens.iter_mut().enumerate() {
            assert_eq!(token["id"], first + i as u64);
            token["id"].take();
        }
        json["added_tokens"].take()
    };
    assert_eq!(added(&mut got, 400 - 22), added(&mut expected, 100_256));
}

/// Neither threads nor the order of texts nor the run shows.
#[test]
fn it_learns_the_same_each_time() {
    let lines: Vec<&str> = CORPUS.split_inclusive("\n\n").collect();
    let expected = bpe::train(lines.iter().copied(), 450).unwrap();
    for _ in 0..5 {
        let again = bpe::train(lines.iter().copied().rev(), 450).unwrap();
        assert_eq!(again.json(), expected.json());
    }
    tokenizers::utils::parallelism::set_parallelism(false);
    let serial = bpe::train(lines.iter().copied(), 450).unwrap();
    tokenizers::utils::parallelism::set_parallelism(true);
    assert_eq!(serial.json(), expected.json());
}

#[test]
fn vocabularies_that_cannot_be_are_refused() {
    let error = |vocab| bpe::train([CORPUS].into_iter(), vocab).err().unwrap().to_string();
    let expected = "option `vocab_size` is 277, but a vocabulary has 278 to 65536 tokens";
    assert_eq!(error(277), expected);
    assert!(error(65_537).ends_with("but a vocabulary has 278 to 65536 tokens"));
    let expected = "option `vocab_size` is 5000, but this little text gives ";
    assert!(error(5000).starts_with(expected), "{}", error(5000));
    assert!(bpe::train([""].into_iter(), 278).is_ok(), "bytes alone");
}

#[test]
fn the_config_is_that_of_the_golden_tokenizer() {
    let folder = TempDir::new();
    let bpe = bpe::train([CORPUS].into_iter(), 517).unwrap();
    bpe.write(folder.path(), 128).unwrap();
    let written = std::fs::read(folder.path().join("tokenizer_config.json")).unwrap();
    let got: Value = serde_json::from_slice(&written).unwrap();
    let mut expected = support::json("tiny-mha-f32/tokenizer_config.json");
    // The class transformers takes the file's pre-tokenizer with.
    expected["tokenizer_class"] = "PreTrainedTokenizerFast".into();
    assert_eq!(got, expected);
    let tokenizer = Tokenizer::from_dir(folder.path()).unwrap();
    assert_eq!(tokenizer.vocab_size(), 517);
}

/// `make_ids.py` writes the ids that `AutoTokenizer` gives.
#[test]
fn transformers_gives_the_same_ids() {
    let golden: Value = serde_json::from_str(include_str!("prepare_golden/ids.json")).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let tokenizer = Tokenizer::from_dir(&root.join("models/recipe/tokenizer")).unwrap();
    let strings = list(&golden, "strings");
    for string in strings {
        let (text, expected) = (text(string, "text"), ids(&string["ids"]));
        assert_eq!(tokenizer.encode(text, false).unwrap(), expected, "{text:?}");
        assert_eq!(tokenizer.decode(&expected, false).unwrap(), text);
    }
    assert!(strings.len() >= 50);
}
