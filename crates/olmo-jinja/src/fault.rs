//! Why a template cannot be read or rendered.

use super::value::Value;

pub type Outcome<T> = Result<T, Fault>;

/// Whose fault it is decides what the caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The template is no Jinja.
    Syntax,
    /// The template does with these values what cannot be done.
    Render,
    /// The template itself called `raise_exception`.
    Raised,
    /// It would take too many steps or too much memory.
    Limit,
    /// The caller took the work back.
    Cancelled,
}

/// A failure and the line of the template it is on, counted from 1; 0 before that is known.
#[derive(Debug, Clone)]
pub struct Fault {
    pub kind: FaultKind,
    pub message: String,
    pub line: u32,
}

impl Fault {
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Fault {
        Fault { kind, message: message.into(), line: 0 }
    }

    pub fn syntax(line: u32, message: impl Into<String>) -> Fault {
        Fault { kind: FaultKind::Syntax, message: message.into(), line }
    }

    pub fn render(message: impl Into<String>) -> Fault {
        Fault::new(FaultKind::Render, message)
    }

    pub fn limit(message: impl Into<String>) -> Fault {
        Fault::new(FaultKind::Limit, message)
    }

    /// The same failure with a line, unless a place further in has given one.
    pub fn at(mut self, line: u32) -> Fault {
        if self.line == 0 {
            self.line = line;
        }
        self
    }
}

/// What Python says of a value that is not of a type it can use.
pub fn wrong_type<T>(what: &str, value: &Value) -> Outcome<T> {
    Err(Fault::render(format!("{what} '{}'", value.type_name())))
}
