//! What a `tokenizer.json` may hold, looked at before the tokenizers crate builds anything of it.
//!
//! The crate takes every kind of part in any number: a few rules that each write ten letters for one fill
//! the memory with a single word, and some patterns take seconds for a line. Here a file passes whose parts
//! are of known kinds, whose texts grow by a bounded factor, and whose patterns run in linear time.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::bounded::{insert, Bounded, Entries, Text, LONGEST_TOKEN};
use super::patterns;

/// Values that all parts but the vocabulary may have together.
const MOST_VALUES: usize = 1 << 16;
/// Bytes of what goes before or after the parts of words.
const LONGEST_AFFIX: usize = 64;
/// Tokens that are found before words are split, and the bytes of all of them.
const MOST_ADDED: (usize, usize) = (1 << 16, 1 << 20);
/// Steps that a text may go through on its way in, and tokens on their way out.
const MOST_STEPS: usize = 32;
/// The most bytes that such a way may make of one. Real files stay below 80.
const MOST_GROWTH: usize = 256;
/// Tokens that may be put around a text.
const MOST_AROUND: usize = 256;

/// Says what a file holds that no tokenizer needs, and in which part.
pub(crate) fn check(json: &[u8]) -> Result<(), String> {
    let budget = Cell::new(MOST_VALUES);
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let parts = File(&budget).deserialize(&mut deserializer);
    let parts = parts.and_then(|parts| deserializer.end().map(|()| parts));
    let parts = parts.map_err(|error| format!("this is not a tokenizer: {error}"))?;
    check_added(parts.get("added_tokens"))?;
    let mut steps = Steps::new("normalizer");
    steps.add(parts.get("normalizer"), "normalizers", normalizer)?;
    steps.part = "pre_tokenizer";
    steps.add(parts.get("pre_tokenizer"), "pretokenizers", pre_tokenizer)?;
    Steps::new("decoder").add(parts.get("decoder"), "decoders", decoder)?;
    let mut steps = Steps { limit: MOST_AROUND, ..Steps::new("post_processor") };
    steps.add(parts.get("post_processor"), "processors", post_processor)
}

/// The steps of one way through the tokenizer.
struct Steps {
    part: &'static str,
    count: usize,
    /// The product of what each makes of a byte.
    growth: usize,
    limit: usize,
}

impl Steps {
    fn new(part: &'static str) -> Steps {
        Steps { part, count: 0, growth: 1, limit: MOST_GROWTH }
    }

    /// Adds a part, which may be a sequence of others under the key `several`.
    fn add(
        &mut self,
        part: Option<&Value>,
        several: &str,
        growth: fn(&str, &Map<String, Value>) -> Result<usize, String>,
    ) -> Result<(), String> {
        let Some(part) = part.filter(|part| !part.is_null()) else { return Ok(()) };
        let name = self.part;
        let object = part.as_object().ok_or_else(|| format!("its {name} is not an object"))?;
        let Some(kind) = object.get("type").and_then(Value::as_str) else {
            return Err(format!("its {name} has a part without a type"));
        };
        if kind == "Sequence" {
            let parts = object.get(several).and_then(Value::as_array);
            let parts =
                parts.ok_or_else(|| format!("its {name} is a Sequence without {several}"))?;
            return parts.iter().try_for_each(|part| self.add(Some(part), several, growth));
        }
        self.count += 1;
        let factor = growth(kind, object).map_err(|problem| format!("its {name} {problem}"))?;
        self.growth = self.growth.saturating_mul(factor);
        if self.count > MOST_STEPS {
            return Err(format!("its {name} has more than {MOST_STEPS} steps"));
        }
        if self.growth > self.limit {
            let limit = self.limit;
            return Err(format!("its {name} can make texts more than {limit} times as long"));
        }
        Ok(())
    }
}

fn unknown(kind: &str) -> Result<usize, String> {
    Err(format!("is of the kind {kind}, which no OLMo tokenizer has"))
}

/// Bytes that each makes of one at most; for Unicode's forms see UAX #15.
fn normalizer(kind: &str, json: &Map<String, Value>) -> Result<usize, String> {
    match kind {
        "NFC" | "NFD" => Ok(4),
        "NFKC" | "NFKD" => Ok(12),
        "Lowercase" => Ok(2),
        "Strip" | "StripAccents" => Ok(1),
        "ByteLevel" => Ok(2),
        "Prepend" => Ok(1 + text(json, "prepend")?.len()),
        "Replace" => replace(json),
        _ => unknown(kind),
    }
}

fn pre_tokenizer(kind: &str, json: &Map<String, Value>) -> Result<usize, String> {
    match kind {
        // A blank can come before each piece, and two bytes stand for one.
        "ByteLevel" => Ok(4),
        "Metaspace" => Ok(2 * text(json, "replacement")?.len().max(1)),
        "Split" => pattern(json).map(|_| 1),
        "Whitespace" | "WhitespaceSplit" | "Digits" | "Punctuation" | "CharDelimiterSplit"
        | "UnicodeScripts" => Ok(1),
        _ => unknown(kind),
    }
}

fn decoder(kind: &str, json: &Map<String, Value>) -> Result<usize, String> {
    match kind {
        "ByteLevel" | "ByteFallback" | "Fuse" | "BPEDecoder" => Ok(1),
        // The crate panics where it strips the end of a short token.
        "Strip" if json.get("stop").and_then(Value::as_u64) == Some(0) => Ok(1),
        // Invalid bytes become U+FFFD, and a blank can come before each token.
        "WordPiece" | "Metaspace" => Ok(4),
        "Replace" => replace(json),
        _ => unknown(kind),
    }
}

/// One more than the tokens that are put around a text.
fn post_processor(kind: &str, json: &Map<String, Value>) -> Result<usize, String> {
    match kind {
        "ByteLevel" => Ok(1),
        "BertProcessing" | "RobertaProcessing" => Ok(3),
        "TemplateProcessing" => {
            let ids = |name: &str| json.get("special_tokens")?.get(name)?.get("ids")?.as_array();
            let mut around = 0;
            for key in ["single", "pair"] {
                let pieces = json.get(key).and_then(Value::as_array);
                let pieces = pieces.map_or(&[][..], Vec::as_slice);
                let texts = pieces.iter().filter(|piece| piece.get("Sequence").is_some()).count();
                if texts > if key == "single" { 1 } else { 2 } {
                    return Err(format!("repeats the text in `{key}`"));
                }
                let names = pieces.iter().filter_map(|piece| piece["SpecialToken"]["id"].as_str());
                let tokens = names.filter_map(ids).map(Vec::len).sum::<usize>();
                around = around.max(tokens);
            }
            Ok(1 + around)
        }
        _ => unknown(kind),
    }
}

fn text<'a>(json: &'a Map<String, Value>, key: &str) -> Result<&'a str, String> {
    match json.get(key) {
        None => Ok(""),
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(format!("has {other} as {key}, no text")),
    }
}

fn replace(json: &Map<String, Value>) -> Result<usize, String> {
    let content = text(json, "content")?.len();
    Ok(match pattern(json)? {
        // A pattern may match nothing, between any two bytes.
        None => 1 + content,
        Some(0) => return Err("replaces an empty text".to_owned()),
        Some(length) => content.div_ceil(length).max(1),
    })
}

/// The length of a pattern that is a text; of one that is an expression nothing is known.
fn pattern(json: &Map<String, Value>) -> Result<Option<usize>, String> {
    let pattern = json.get("pattern").and_then(Value::as_object);
    let of_kind = |kind: &str| pattern?.get(kind)?.as_str();
    match (of_kind("String"), of_kind("Regex")) {
        (Some(text), None) => Ok(Some(text.len())),
        (None, Some(regex)) => patterns::check(regex).map(|()| None),
        _ => Err("has no pattern".to_owned()),
    }
}

fn check_added(tokens: Option<&Value>) -> Result<(), String> {
    let tokens = tokens.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let lengths = || tokens.iter().map(|token| token["content"].as_str().map_or(0, str::len));
    let (most, bytes) = MOST_ADDED;
    if tokens.len() > most || lengths().sum::<usize>() > bytes {
        return Err(format!("its added_tokens are more than {most}, or longer than {bytes} bytes"));
    }
    match lengths().find(|length| *length > LONGEST_TOKEN) {
        Some(length) => Err(format!("its added_tokens hold one of {length} bytes")),
        None => Ok(()),
    }
}

/// The file's parts, without the model, which is only counted.
struct File<'a>(&'a Cell<usize>);

impl<'de> DeserializeSeed<'de> for File<'_> {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for File<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object with a model")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut parts = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = match key.as_str() {
                "model" => map.next_value::<Model>().map(|_| Value::Null)?,
                "added_tokens" => {
                    // Each has a name and six flags, and that many there may be.
                    let budget = Cell::new(8 * MOST_ADDED.0);
                    map.next_value_seed(Bounded(&budget))?
                }
                _ => map.next_value_seed(Bounded(self.0))?,
            };
            insert(&mut parts, key, value)?;
        }
        Ok(parts)
    }
}

/// The model, of which only kind and size are looked at.
#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type")]
    _kind: Kind,
    #[serde(rename = "vocab", default)]
    _vocab: Option<Entries>,
    #[serde(rename = "merges", default)]
    _merges: Option<Entries>,
    // Goes before each letter of a word.
    #[serde(rename = "continuing_subword_prefix", default)]
    _prefix: Option<Text<LONGEST_AFFIX>>,
    #[serde(rename = "end_of_word_suffix", default)]
    _suffix: Option<Text<LONGEST_AFFIX>>,
    #[serde(rename = "unk_token", default)]
    _unknown: Option<Text<LONGEST_TOKEN>>,
}

#[derive(Deserialize)]
enum Kind {
    #[serde(rename = "BPE")]
    Bpe,
    WordLevel,
}
