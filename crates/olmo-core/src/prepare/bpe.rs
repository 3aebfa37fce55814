//! A byte-level BPE tokenizer in dolma2's arrangement, learnt from text.

use std::path::Path;
use std::str::FromStr;

use serde_json::{json, Value};
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{BpeTrainer, BPE};
use tokenizers::normalizer::SplitDelimiterBehavior;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, Trainer};

use super::documents::END_OF_TEXT;
use super::pieces::pieces;
use crate::files::hashed::write_file;
use crate::tokenizer::{Tokenizer, GPT4_WORDS};
use crate::{Error, Result};

/// dolma2's added tokens in its order, and whether decoding may leave them out.
const ADDED: [(&str, bool); 22] = [
    ("<|extra_id_0|>", false),
    (END_OF_TEXT, true),
    ("<|fim_prefix|>", true),
    ("<|fim_middle|>", true),
    ("<|fim_suffix|>", true),
    ("|||PHONE_NUMBER|||", false),
    ("|||EMAIL_ADDRESS|||", false),
    ("|||IP_ADDRESS|||", false),
    ("<|im_start|>", true),
    ("<|im_end|>", true),
    ("<|extra_id_1|>", false),
    ("<|extra_id_2|>", false),
    ("<|extra_id_3|>", false),
    ("<|extra_id_4|>", false),
    ("<|extra_id_5|>", false),
    ("<|extra_id_6|>", false),
    ("<|extra_id_7|>", false),
    ("<|extra_id_8|>", false),
    ("<|extra_id_9|>", false),
    ("<|extra_id_10|>", false),
    ("<|endofprompt|>", true),
    (PAD, true),
];

/// The token that fills short rows up.
pub(super) const PAD: &str = "<|pad|>";

/// Every byte has a token, and the added ones come on top.
const SMALLEST: usize = 256 + ADDED.len();
/// Ids are stored in 16 bits.
const LARGEST: usize = 1 << 16;

/// Renders as the template of OLMo-2-1124-7B-Instruct does.
const CHAT_TEMPLATE: &str = concat!(
    "{{ bos_token }}",
    "{% for message in messages %}",
    "{% if message['role'] in ['system', 'user'] %}",
    r"{{ '<|' + message['role'] + '|>\n' + message['content'] + '\n' }}",
    "{% elif message['role'] == 'assistant' %}",
    r"{{ '<|assistant|>\n' + message['content'] + eos_token }}",
    r"{% if not loop.last %}{{ '\n' }}{% endif %}",
    "{% endif %}",
    r"{% if loop.last and add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
    "{% endfor %}",
);

/// What [`train`] learnt: the contents of `tokenizer.json`.
pub struct Bpe {
    json: String,
}

/// Learns `vocab_size` tokens, dolma2's 22 added ones among them, from texts.
///
/// The outcome depends on the texts alone: not on their order, the threads or the run. It is the
/// same as with the Python package of the same name.
pub fn train<'a>(texts: impl Iterator<Item = &'a str> + Send, vocab_size: usize) -> Result<Bpe> {
    if !(SMALLEST..=LARGEST).contains(&vocab_size) {
        let expected = format!("a vocabulary has {SMALLEST} to {LARGEST} tokens");
        return Err(Error::option("vocab_size", vocab_size, expected));
    }
    let pattern = SplitPattern::Regex(GPT4_WORDS.to_owned());
    let words = Split::new(pattern, SplitDelimiterBehavior::Removed, true).map_err(failed)?;
    let bytes = ByteLevel::new(false, true, false);
    let words = Sequence::new(vec![words.into(), bytes.into()]);
    // Not `Tokenizer::train`, which has the trainers of all kinds of models in it.
    let mut trainer = BpeTrainer::builder()
        .vocab_size(vocab_size - ADDED.len())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .show_progress(false)
        .build();
    let texts = texts.flat_map(|text| pieces(text, 1 << 14));
    trainer.feed(texts, |text| words_of(&words, text)).map_err(failed)?;
    let mut model = BPE::default();
    trainer.train(&mut model).map_err(failed)?;
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(words));
    tokenizer.with_decoder(Some(ByteLevel::default()));

    let learnt = tokenizer.get_vocab_size(false);
    if learnt + ADDED.len() < vocab_size {
        let most = learnt + ADDED.len();
        let expected = format!("this little text gives {most} tokens at most");
        return Err(Error::option("vocab_size", vocab_size, expected));
    }
    let json = with_added_tokens(&tokenizer.to_string(false).map_err(failed)?, learnt)?;
    Ok(Bpe { json })
}

fn words_of(words: &Sequence, text: &str) -> Result<Vec<String>, tokenizers::Error> {
    let mut text = PreTokenizedString::from(text);
    words.pre_tokenize(&mut text)?;
    let words = text.get_splits(OffsetReferential::Original, OffsetType::Byte);
    Ok(words.into_iter().map(|(word, ..)| word.to_owned()).collect())
}

impl Bpe {
    /// The contents of `tokenizer.json`.
    pub fn json(&self) -> &str {
        &self.json
    }

    pub fn tokenizer(&self) -> Result<Tokenizer> {
        Tokenizer::from_json(self.json.as_bytes(), Path::new("tokenizer.json"))
    }

    /// Writes `tokenizer.json` and `tokenizer_config.json`, the second with a chat template and
    /// the model's context. Returns the SHA-256 of the first.
    pub fn write(&self, folder: &Path, context: usize) -> Result<String> {
        let config = serde_json::to_string_pretty(&self.config(context)?).expect("plain JSON");
        write_file(&folder.join("tokenizer_config.json"), (config + "\n").as_bytes())?;
        write_file(&folder.join("tokenizer.json"), self.json.as_bytes())
    }

    fn config(&self, context: usize) -> Result<Value> {
        let json: Value = serde_json::from_str(&self.json).map_err(failed)?;
        let mut added = serde_json::Map::new();
        for token in json["added_tokens"].as_array().into_iter().flatten() {
            let mut token = token.as_object().cloned().unwrap_or_default();
            if let Some(id) = token.remove("id") {
                added.insert(id.to_string(), Value::Object(token));
            }
        }
        Ok(json!({
            "add_prefix_space": false,
            "added_tokens_decoder": added,
            "bos_token": END_OF_TEXT,
            "chat_template": CHAT_TEMPLATE,
            "clean_up_tokenization_spaces": false,
            "eos_token": END_OF_TEXT,
            "extra_special_tokens": {},
            "model_max_length": context,
            "pad_token": PAD,
            "tokenizer_class": TOKENIZER_CLASS,
            "unk_token": END_OF_TEXT,
        }))
    }
}

/// OLMo 2's releases say GPT2Tokenizer, upon which transformers 5 puts GPT-2's own pre-tokenizer
/// in place of the file's and gives other ids. This class takes the file as it is, in 4 and 5.
const TOKENIZER_CLASS: &str = "PreTrainedTokenizerFast";

/// As in dolma2 the added tokens come last, and stand in the vocabulary too.
///
/// The trainer would put them first, and calls all of them special.
fn with_added_tokens(json: &str, learnt: usize) -> Result<String> {
    let mut json: Value = serde_json::from_str(json).map_err(failed)?;
    let mut added = Vec::new();
    for (i, (content, special)) in ADDED.into_iter().enumerate() {
        let id = learnt + i;
        json["model"]["vocab"][content] = id.into();
        added.push(json!({
            "id": id, "content": content, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": special,
        }));
    }
    json["added_tokens"] = added.into();
    // Read and written again it has the crate's own order of keys, and tokens in that of their ids.
    let tokenizer = tokenizers::Tokenizer::from_str(&json.to_string()).map_err(failed)?;
    tokenizer.to_string(false).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("training the tokenizer: {error}"))
}
