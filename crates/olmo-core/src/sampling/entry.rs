//! Entries of the table of options, and the types that an option can have.

use super::options::OPTIONS;
use crate::error::Message;
use crate::{Error, Result};

/// One option of a generation, with everything that any surface needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptionEntry {
    /// The name, that of transformers if it has the option.
    pub name: &'static str,
    /// The first line is the summary; names of options are in backticks.
    pub docs: &'static [&'static str],
    pub kind: Kind,
    pub range: Range,
    /// The range in a checkpoint's files, if it differs.
    pub range_in_files: Option<Range>,
    /// Its name in Hugging Face; None if Hugging Face lacks it.
    pub hugging_face: Option<&'static str>,
    /// The default there, if it differs.
    pub default_there: Option<&'static str>,
    /// Whether `generation_config.json` can set it, under its name.
    pub in_config: bool,
    /// The key of a GGUF file that sets it, as llama.cpp has it.
    pub gguf: Option<&'static str>,
    /// The flag without which it has no effect.
    pub needs: Option<&'static str>,
    /// The end of the range to which a checkpoint's value is clamped, as in transformers.
    pub clamped: Option<End>,
    /// The flag to switch off instead of setting this to 0.
    pub instead_of_zero: Option<&'static str>,
    /// How to describe the default, if not by its value.
    pub default_is: Option<&'static str>,
    /// Whether it produces several answers to one prompt.
    pub makes_many: bool,
}

impl OptionEntry {
    pub(super) const PLAIN: OptionEntry = OptionEntry {
        name: "",
        docs: &[],
        kind: Kind::Flag,
        range: Range::Any,
        range_in_files: None,
        hugging_face: None,
        default_there: None,
        in_config: false,
        gguf: None,
        needs: None,
        clamped: None,
        instead_of_zero: None,
        default_is: None,
        makes_many: false,
    };

    /// This entry with its range in a checkpoint's files.
    pub(super) fn in_files(&self) -> OptionEntry {
        OptionEntry { range: self.range_in_files.unwrap_or(self.range), ..*self }
    }

    /// The entry of this name.
    pub fn of(name: &str) -> Option<&'static OptionEntry> {
        OPTIONS.iter().find(|entry| entry.name == name)
    }
}

/// The kind of an option's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Flag,
    Count,
    Number,
    Seed,
    Ids,
    IdLists,
    Texts,
    /// Biases of some tokens' logits.
    Biases,
    Text,
    /// A JSON schema.
    Schema,
}

/// The values that an option can have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Range {
    Any,
    /// At least this.
    From(usize),
    /// At most this.
    UpTo(usize),
    /// From the one to the other.
    Within(f64, f64),
    /// Above the one, and at most the other.
    Above(f64, f64),
}

/// An end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Zero,
    One,
}

/// The value of an option, whichever it is.
#[derive(Debug, Clone, PartialEq)]
pub enum OptionValue {
    /// Off, for an option without an off value.
    Off,
    Flag(bool),
    Count(usize),
    Number(f64),
    Seed(u64),
    Ids(Vec<u32>),
    IdLists(Vec<Vec<u32>>),
    Texts(Vec<String>),
    Biases(Vec<(u32, f64)>),
    Text(String),
    Schema(JsonSchema),
}

/// A JSON schema as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonSchema(pub String);

/// A type that an option can have in [`GenerationOptions`](super::GenerationOptions).
pub(super) trait Setting: Sized {
    const KIND: Kind;

    /// None if the value is of another kind.
    fn from_value(value: OptionValue) -> Option<Self>;

    fn to_value(&self) -> OptionValue;

    /// Fails if the value is out of the range, or names a token that the model lacks.
    fn check(&self, entry: &OptionEntry, vocab_size: usize) -> Result<()>;
}

macro_rules! setting {
    ($type:ty, $kind:ident, $check:expr) => {
        impl Setting for $type {
            const KIND: Kind = Kind::$kind;

            fn from_value(value: OptionValue) -> Option<Self> {
                match value {
                    OptionValue::$kind(value) => Some(value),
                    _ => None,
                }
            }

            fn to_value(&self) -> OptionValue {
                OptionValue::$kind(self.clone())
            }

            fn check(&self, entry: &OptionEntry, vocab_size: usize) -> Result<()> {
                $check(self, entry, vocab_size)
            }
        }
    };
}

setting!(bool, Flag, |_: &bool, _: &OptionEntry, _: usize| Ok(()));
setting!(u64, Seed, |_: &u64, _: &OptionEntry, _: usize| Ok(()));
setting!(usize, Count, check_count);
setting!(f64, Number, check_number);
setting!(Vec<u32>, Ids, check_ids);
setting!(Vec<Vec<u32>>, IdLists, check_words);
setting!(Vec<String>, Texts, check_texts);
setting!(Vec<(u32, f64)>, Biases, check_biases);
// What they say is checked when it is compiled.
setting!(String, Text, |_: &String, _: &OptionEntry, _: usize| Ok(()));
setting!(JsonSchema, Schema, |_: &JsonSchema, _: &OptionEntry, _: usize| Ok(()));

/// An option that nothing but its absence switches off.
impl<T: Setting> Setting for Option<T> {
    const KIND: Kind = T::KIND;

    fn from_value(value: OptionValue) -> Option<Self> {
        match value {
            OptionValue::Off => Some(None),
            value => T::from_value(value).map(Some),
        }
    }

    fn to_value(&self) -> OptionValue {
        self.as_ref().map_or(OptionValue::Off, T::to_value)
    }

    fn check(&self, entry: &OptionEntry, vocab_size: usize) -> Result<()> {
        self.as_ref().map_or(Ok(()), |value| value.check(entry, vocab_size))
    }
}

fn check_count(value: &usize, entry: &OptionEntry, _: usize) -> Result<()> {
    let expected = match entry.range {
        Range::From(least) if *value < least => format!("it must be {least} at least"),
        Range::UpTo(most) if *value > most => format!("it must be {most} at most"),
        _ => return Ok(()),
    };
    Err(Error::option(entry.name, value, expected))
}

fn check_number(value: &f64, entry: &OptionEntry, _: usize) -> Result<()> {
    let (fits, range) = match entry.range {
        Range::Within(least, most) => {
            ((least..=most).contains(value), format!("it must be from {least} to {most}"))
        }
        Range::Above(least, most) => (
            *value > least && *value <= most,
            format!("it must be above {least}, and at most {most}"),
        ),
        _ => (value.is_finite(), "it must be a number".to_owned()),
    };
    if fits {
        return Ok(());
    }
    let expected = match entry.instead_of_zero {
        Some(flag) if *value == 0.0 => Message::from(range)
            .words("; for the likeliest token each time set ")
            .setting(flag, "false"),
        _ => range.into(),
    };
    Err(Error::option(entry.name, value, expected))
}

fn check_ids(ids: &[u32], entry: &OptionEntry, vocab_size: usize) -> Result<()> {
    match ids.iter().find(|&&id| id as usize >= vocab_size) {
        None => Ok(()),
        Some(id) => {
            let expected = format!("the model's ids go from 0 to {}", vocab_size - 1);
            Err(Error::option(entry.name, id, expected))
        }
    }
}

fn check_words(words: &Vec<Vec<u32>>, entry: &OptionEntry, vocab_size: usize) -> Result<()> {
    for word in words {
        if word.is_empty() {
            let expected = "each of its words needs one token id at least";
            return Err(Error::option(entry.name, format!("{words:?}"), expected));
        }
        check_ids(word, entry, vocab_size)?;
    }
    Ok(())
}

fn check_texts(texts: &Vec<String>, entry: &OptionEntry, _: usize) -> Result<()> {
    if texts.iter().any(String::is_empty) {
        let expected = "each stop string needs one character at least";
        return Err(Error::option(entry.name, format!("{texts:?}"), expected));
    }
    Ok(())
}

fn check_biases(biases: &Vec<(u32, f64)>, entry: &OptionEntry, vocab_size: usize) -> Result<()> {
    for (id, bias) in biases {
        check_ids(&[*id], entry, vocab_size)?;
        check_number(bias, entry, vocab_size)?;
    }
    Ok(())
}
