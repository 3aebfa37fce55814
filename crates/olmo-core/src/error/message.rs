//! A message whose option names stay data, so that each surface can write them as its users do.

use std::borrow::Cow;
use std::fmt;

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Words(Cow<'static, str>),
    /// An option by the core's name, which is what the sentence is about.
    Subject(&'static str),
    /// An option that is mentioned by the core's name, as in `set do_sample`.
    Option(&'static str),
    /// An option with what it should be set to, as in `dtype f32`; a flag as `true` or `false`.
    Setting(&'static str, Cow<'static, str>),
}

/// Words with option names among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message(Vec<Part>);

impl Message {
    pub fn new() -> Message {
        Message::default()
    }

    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    pub fn words(self, words: impl Into<Cow<'static, str>>) -> Message {
        self.with(Part::Words(words.into()))
    }

    pub fn option(self, name: &'static str) -> Message {
        self.with(Part::Option(name))
    }

    pub fn setting(self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Message {
        self.with(Part::Setting(name, value.into()))
    }

    pub fn then(mut self, other: Message) -> Message {
        self.0.extend(other.0);
        self
    }

    pub(super) fn subject(self, name: &'static str) -> Message {
        self.with(Part::Subject(name))
    }

    fn with(mut self, part: Part) -> Message {
        self.0.push(part);
        self
    }
}

impl From<&'static str> for Message {
    fn from(words: &'static str) -> Message {
        Message::new().words(words)
    }
}

impl From<String> for Message {
    fn from(words: String) -> Message {
        Message::new().words(words)
    }
}

/// With the core's own names.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Words(words) => f.write_str(words),
            Part::Subject(name) => write!(f, "`{name}`"),
            Part::Option(name) => f.write_str(name),
            Part::Setting(name, value) => match value.as_ref() {
                "true" => f.write_str(name),
                value => write!(f, "{name} {value}"),
            },
        })
    }
}
