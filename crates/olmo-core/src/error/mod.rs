//! Every way this crate can fail, each with a stable code.
//!
//! A message says what is wrong, where, and what to do. The codes are public interface: the
//! library over this crate maps each to an error class. What a program may want to know stands in
//! [`Error::facts`], and [`Error::message`] keeps option names apart from words: no surface has to
//! look for either in English.

mod facts;
mod hint;
mod message;

pub use facts::Fact;
pub use hint::{human_bytes, Amount, Hint};
pub use message::{Message, Part};

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
    #[error("{}", out_of_range(option, value, expected))]
    InvalidOption { option: &'static str, value: String, expected: Message },

    /// The schema, expression or grammar that an answer is to fit cannot be used.
    #[error("{}", unusable_grammar(option, problem))]
    InvalidGrammar { option: &'static str, problem: String },

    /// The options, each fine by itself, leave no token that may come next.
    #[error("{}", none_left(options))]
    NoTokenLeft { options: Vec<&'static str> },

    /// A stream of tokens that nothing can be learnt from.
    #[error("the {tokens} tokens {problem}")]
    UnusableTokens { tokens: usize, problem: &'static str },

    /// The device asked for is not in this build or not in this machine.
    #[error("{}", unavailable(device, reason))]
    DeviceUnavailable { device: String, reason: Message },

    /// A GPU or its driver gave up while it ran the model.
    #[error("{device} failed: {reason}; load the model again, or use another device")]
    DeviceFailed { device: String, reason: String },

    /// Loading or running would need more memory than there is.
    ///
    /// `have` is None where the system said no without a number.
    #[error("{}", short_of_memory(what, *need, *have, *hint))]
    NotEnoughMemory { what: String, need: Amount, have: Option<Amount>, hint: Hint },

    /// The engine holds as many calls as it may.
    #[error("{}", queue_full(*calls))]
    QueueFull { calls: usize },

    /// There is nothing to continue.
    #[error(
        "prompt {index} is empty; OLMo 2 adds no start token, so a prompt needs one token at least"
    )]
    EmptyPrompt { index: usize },

    /// The prompt leaves no room for what is asked.
    #[error("prompt {index} has {tokens} tokens, but {most} fit, as the model's context holds {context}; shorten it")]
    PromptTooLong { index: usize, tokens: usize, most: usize, context: usize },

    /// The messages of a conversation are not what the chat template takes.
    #[error("{problem}")]
    InvalidPrompt { problem: String },

    /// The checkpoint was not made to chat.
    #[error("the checkpoint in {} has no chat template, so it was not trained to chat: use generate with a plain prompt, or an Instruct checkpoint", path.display())]
    NoChatTemplate { path: PathBuf },

    /// A chat template would take too much time or memory.
    #[error("the chat template of {} takes too much: {problem}", path.display())]
    TemplateLimit { path: PathBuf, problem: String },

    /// A token id outside the vocabulary.
    #[error("token id {id} is outside the vocabulary of {vocab_size}")]
    InvalidToken { id: u32, vocab_size: usize },

    /// The forward pass gave NaN or infinity: broken weights, or a dtype too narrow for them.
    #[error("{}", not_finite(*position, dtype))]
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
            Error::InvalidFile { .. } | Error::UnusableTokens { .. } => "INVALID_FILE",
            Error::InvalidOption { .. } => "INVALID_OPTION",
            Error::InvalidGrammar { .. } => "INVALID_GRAMMAR",
            Error::NoTokenLeft { .. } => "NO_TOKEN_LEFT",
            Error::DeviceUnavailable { .. } => "DEVICE_UNAVAILABLE",
            Error::DeviceFailed { .. } => "DEVICE_FAILED",
            Error::NotEnoughMemory { .. } => "NOT_ENOUGH_MEMORY",
            Error::QueueFull { .. } => "QUEUE_FULL",
            Error::EmptyPrompt { .. } => "EMPTY_PROMPT",
            Error::PromptTooLong { .. } => "PROMPT_TOO_LONG",
            Error::InvalidPrompt { .. } => "INVALID_PROMPT",
            Error::NoChatTemplate { .. } => "NO_CHAT_TEMPLATE",
            Error::TemplateLimit { .. } => "TEMPLATE_LIMIT",
            Error::InvalidToken { .. } => "INVALID_TOKEN",
            Error::NonFiniteLogits { .. } => "NON_FINITE_LOGITS",
            Error::Diverged { .. } => "DIVERGED",
            Error::Cancelled => "CANCELLED",
            Error::Disposed => "DISPOSED",
            Error::Internal(_) => "INTERNAL",
        }
    }

    /// The message with its option names as data.
    pub fn message(&self) -> Message {
        match self {
            Error::InvalidOption { option, value, expected } => {
                out_of_range(option, value, expected)
            }
            Error::InvalidGrammar { option, problem } => unusable_grammar(option, problem),
            Error::NoTokenLeft { options } => none_left(options),
            Error::DeviceUnavailable { device, reason } => unavailable(device, reason),
            Error::NotEnoughMemory { what, need, have, hint } => {
                short_of_memory(what, *need, *have, *hint)
            }
            Error::QueueFull { calls } => queue_full(*calls),
            Error::NonFiniteLogits { position, dtype } => not_finite(*position, dtype),
            other => other.to_string().into(),
        }
    }

    /// Fails with [`Error::Cancelled`] if the flag is set: what long work asks between two of its parts.
    pub fn if_cancelled(flag: &AtomicBool) -> Result<()> {
        match flag.load(Ordering::Relaxed) {
            true => Err(Error::Cancelled),
            false => Ok(()),
        }
    }

    pub fn io(path: impl AsRef<Path>, reason: impl std::fmt::Display) -> Self {
        Error::Io { path: path.as_ref().to_owned(), reason: reason.to_string() }
    }

    pub fn write(path: impl AsRef<Path>, reason: impl std::fmt::Display) -> Self {
        Error::Write { path: path.as_ref().to_owned(), reason: reason.to_string() }
    }

    pub fn option(
        option: &'static str,
        value: impl std::fmt::Display,
        expected: impl Into<Message>,
    ) -> Self {
        Error::InvalidOption { option, value: value.to_string(), expected: expected.into() }
    }
}

fn out_of_range(option: &'static str, value: &str, expected: &Message) -> Message {
    Message::from("option ")
        .subject(option)
        .words(format!(" is {value}, but "))
        .then(expected.clone())
}

fn unusable_grammar(option: &'static str, problem: &str) -> Message {
    let problem = format!(" cannot be used: {problem}");
    Message::from("option ").subject(option).words(problem)
}

fn none_left(options: &[&'static str]) -> Message {
    let mut message = Message::new();
    for (index, &option) in options.iter().enumerate() {
        message = match index {
            0 => message,
            index if index + 1 == options.len() => message.words(" and "),
            _ => message.words(", "),
        }
        .option(option);
    }
    message.words(match options {
        [_] => " leaves no token that may come next; loosen it",
        _ => " together leave no token that may come next; loosen one of them",
    })
}

fn unavailable(device: &str, reason: &Message) -> Message {
    Message::from(format!("device `{device}` is not available: ")).then(reason.clone())
}

fn short_of_memory(what: &str, need: Amount, have: Option<Amount>, hint: Hint) -> Message {
    let have = have.map_or("less".to_owned(), |have| have.to_string());
    Message::from(format!("not enough memory for {what}: {need} needed, {have} free; "))
        .then(hint.message())
}

fn queue_full(calls: usize) -> Message {
    Message::from(format!(
        "{calls} calls wait or run already; try again when one has ended, or load the model with a larger "
    ))
    .option("max_queue")
}

fn not_finite(position: usize, dtype: &str) -> Message {
    Message::from(format!(
        "the logits at position {position} are not finite; the weights are damaged or overflow in {dtype}: try "
    ))
    .setting("dtype", "f32")
}
