//! What an error is about, as data beside its message.

use std::path::Path;

use super::Error;

/// A value that a program may want to read off an error.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    Text(String),
    Number(f64),
    List(Vec<&'static str>),
}

impl Error {
    /// The facts of this error by their names; options stand there by the core's names.
    pub fn facts(&self) -> Vec<(&'static str, Fact)> {
        let text = |text: &str| Fact::Text(text.to_owned());
        let path = |path: &Path| Fact::Text(path.to_string_lossy().into_owned());
        let number = |n: usize| Fact::Number(n as f64);
        match self {
            Error::Io { path: file, .. } | Error::Write { path: file, .. } => {
                vec![("file", path(file))]
            }
            Error::InvalidConfig { file, key, .. } => {
                vec![("file", path(file)), ("key", text(key))]
            }
            Error::InvalidWeights { file, tensor, .. } => {
                vec![("file", path(file)), ("tensor", text(tensor))]
            }
            Error::InvalidFile { file, .. } => vec![("file", path(file))],
            Error::InvalidOption { option, .. } | Error::InvalidGrammar { option, .. } => {
                vec![("option", text(option))]
            }
            Error::NoTokenLeft { options } => {
                let first = options.first().copied().unwrap_or_default();
                vec![("option", text(first)), ("options", Fact::List(options.clone()))]
            }
            Error::DeviceUnavailable { device, .. } | Error::DeviceFailed { device, .. } => {
                vec![("device", text(device))]
            }
            Error::NotEnoughMemory { need, have, .. } => {
                let have = have.map(|have| ("have", Fact::Number(have.number() as f64)));
                let need_and_unit =
                    [("need", Fact::Number(need.number() as f64)), ("unit", text(need.unit()))];
                need_and_unit.into_iter().chain(have).collect()
            }
            Error::QueueFull { calls } => vec![("calls", number(*calls))],
            Error::EmptyPrompt { index } => vec![("index", number(*index))],
            Error::PromptTooLong { index, tokens, most, .. } => {
                vec![
                    ("index", number(*index)),
                    ("tokens", number(*tokens)),
                    ("most", number(*most)),
                ]
            }
            Error::InvalidToken { id, vocab_size } => {
                vec![("token", Fact::Number(f64::from(*id))), ("vocabSize", number(*vocab_size))]
            }
            Error::NonFiniteLogits { position, .. } => vec![("position", number(*position))],
            Error::Diverged { step, .. } => vec![("step", Fact::Number(*step as f64))],
            Error::NoChatTemplate { path: file } | Error::TemplateLimit { path: file, .. } => {
                vec![("file", path(file))]
            }
            Error::InvalidPrompt { .. }
            | Error::UnusableTokens { .. }
            | Error::Cancelled
            | Error::Disposed
            | Error::Internal(_) => Vec::new(),
        }
    }
}
