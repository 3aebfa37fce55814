//! Every way this crate can fail, each with a stable code.
//!
//! A message says what is wrong, where, and what to do. The codes are public interface: the
//! TypeScript library maps each to an error class.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read.
    #[error("cannot read {}: {reason}", path.display())]
    Io { path: PathBuf, reason: String },

    /// A file or folder could not be written.
    #[error("cannot write {}: {reason}", path.display())]
    Write { path: PathBuf, reason: String },

    /// `config.json` or `generation_config.json` says something the engine cannot run.
    #[error("{}: `{key}` {problem}", file.display())]
    InvalidConfig { file: PathBuf, key: String, problem: String },

    /// A weight is missing, unexpected, misshapen or cut off.
    #[error("{}: tensor `{tensor}` {problem}", file.display())]
    InvalidWeights { file: PathBuf, tensor: String, problem: String },

    /// A checkpoint file as a whole is not what its name says.
    #[error("{}: {problem}", file.display())]
    InvalidFile { file: PathBuf, problem: String },

    /// A generation or load option is out of its range.
    #[error("option `{option}` is {value}, but {expected}")]
    InvalidOption { option: &'static str, value: String, expected: String },

    /// The device asked for is not in this build or not in this machine.
    #[error("device `{device}` is not available: {reason}")]
    DeviceUnavailable { device: String, reason: String },

    /// Loading or running would need more memory than there is.
    #[error("not enough memory for {what}: {needed} needed, {available} free; {hint}")]
    NotEnoughMemory { what: String, needed: String, available: String, hint: String },

    /// There is nothing to continue.
    #[error(
        "prompt {index} is empty; OLMo 2 adds no start token, so a prompt needs one token at least"
    )]
    EmptyPrompt { index: usize },

    /// The prompt leaves no room for what is asked.
    #[error("prompt {index} has {tokens} tokens, but {most} fit, as the model's context holds {context}; shorten it")]
    PromptTooLong { index: usize, tokens: usize, most: usize, context: usize },

    /// A token id outside the vocabulary.
    #[error("token id {id} is outside the vocabulary of {vocab_size}")]
    InvalidToken { id: u32, vocab_size: usize },

    /// The forward pass gave NaN or infinity: broken weights, or a dtype too narrow for them.
    #[error("the logits at position {position} are not finite; the weights are damaged or overflow in {dtype}: try dtype f32")]
    NonFiniteLogits { position: usize, dtype: &'static str },

    /// The loss or its gradient is no longer a number.
    #[error("training diverged at step {step}: the gradient's norm is {grad_norm}; lower the learning rate or warm up longer")]
    Diverged { step: u64, grad_norm: f64 },

    /// The caller took the request back.
    #[error("cancelled")]
    Cancelled,

    /// The model was disposed while, or before, the request ran.
    #[error("the model has been disposed; load it again")]
    Disposed,

    /// A bug: a panic or a failure of the tensor library, kept from ending the process.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// The stable name of this kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Io { .. } | Error::Write { .. } => "IO",
            Error::InvalidConfig { .. } => "INVALID_CONFIG",
            Error::InvalidWeights { .. } => "INVALID_WEIGHTS",
            Error::InvalidFile { .. } => "INVALID_FILE",
            Error::InvalidOption { .. } => "INVALID_OPTION",
            Error::DeviceUnavailable { .. } => "DEVICE_UNAVAILABLE",
            Error::NotEnoughMemory { .. } => "NOT_ENOUGH_MEMORY",
            Error::EmptyPrompt { .. } => "EMPTY_PROMPT",
            Error::PromptTooLong { .. } => "PROMPT_TOO_LONG",
            Error::InvalidToken { .. } => "INVALID_TOKEN",
            Error::NonFiniteLogits { .. } => "NON_FINITE_LOGITS",
            Error::Diverged { .. } => "DIVERGED",
            Error::Cancelled => "CANCELLED",
            Error::Disposed => "DISPOSED",
            Error::Internal(_) => "INTERNAL",
        }
    }

    /// Fails with [`Error::Cancelled`] if the flag is set: what long work asks between two of its parts.
    pub fn if_cancelled(flag: &AtomicBool) -> Result<()> {
        match flag.load(Ordering::Relaxed) {
            true => Err(Error::Cancelled),
            false => Ok(()),
        }
    }

    pub(crate) fn io(path: impl AsRef<Path>, reason: impl std::fmt::Display) -> Self {
        Error::Io { path: path.as_ref().to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn write(path: impl AsRef<Path>, reason: impl std::fmt::Display) -> Self {
        Error::Write { path: path.as_ref().to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn option(
        option: &'static str,
        value: impl std::fmt::Display,
        expected: impl Into<String>,
    ) -> Self {
        Error::InvalidOption { option, value: value.to_string(), expected: expected.into() }
    }
}

/// candle fails only where this crate passed it something wrong, or where a device gave up.
impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Error::Internal(format!("candle: {error}"))
    }
}
