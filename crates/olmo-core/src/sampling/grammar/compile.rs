//! From a caller's schema, expression or grammar to what masks are computed from, within bounds.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use llguidance::api::{ParserLimits, TopLevelGrammar};
use llguidance::Matcher;
use serde_json::Value;

use super::vocabulary::Vocabulary;
use crate::panics;
use crate::{Error, Result};

/// The longest text of a grammar. The largest schemas of JSONSchemaBench have a quarter of that.
const MOST_BYTES: usize = 1 << 20;

/// Brackets within brackets, in a grammar or an expression: each is a call within a call when it is read.
const MOST_DEPTH: usize = 200;

/// Definitions in a Lark grammar: one that names another is a call within a call.
const MOST_RULES: usize = 10_000;

/// The largest `multipleOf`, its decimal point aside: the automaton that divides has a state for each
/// remainder, and for each new one all that can follow are searched.
const MOST_REMAINDERS: f64 = 10_000.0;

/// Pairs of properties and the like that may be compared, in all: a second or two.
const MOST_EFFORT: f64 = 2e7;

/// Pairs of properties that take as long as one of patterns, whose intersection is computed.
const PATTERN: f64 = 500.0;

/// Stack of the thread that compiles. Only what is used of it takes memory.
const STACK: usize = 256 << 20;

/// Blanks that may stand between the parts of JSON: as in llama.cpp's grammars, a space, or a line's end
/// and an indentation. Without a bound a model can go on with blanks for ever.
const BLANKS: &str = r"\x20|\n[\x20\t]{0,20}";

/// What one grammar may take. llguidance's own bounds where none is named.
pub(super) fn limits() -> ParserLimits {
    ParserLimits {
        // One to two kilobytes each.
        max_lexer_states: 50_000,
        verbose_errors: false,
        ..ParserLimits::default()
    }
}

/// The form of an answer, as a caller gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrammarSource<'a> {
    /// A JSON schema, in JSON.
    Schema(&'a str),
    /// A regular expression, in the syntax of Rust's.
    Regex(&'a str),
    /// A grammar in llguidance's dialect of Lark.
    Lark(&'a str),
}

impl<'a> GrammarSource<'a> {
    /// The option that gives it.
    pub fn option(self) -> &'static str {
        match self {
            GrammarSource::Schema(_) => "schema",
            GrammarSource::Regex(_) => "regex",
            GrammarSource::Lark(_) => "grammar",
        }
    }

    fn text(self) -> &'a str {
        match self {
            GrammarSource::Schema(text)
            | GrammarSource::Regex(text)
            | GrammarSource::Lark(text) => text,
        }
    }

    fn parse(self) -> Result<TopLevelGrammar> {
        let invalid = |problem: String| Error::InvalidGrammar { option: self.option(), problem };
        let text = self.text();
        if text.len() > MOST_BYTES {
            return Err(invalid(format!(
                "it has {} bytes, and {MOST_BYTES} at most are read",
                text.len()
            )));
        }
        match self {
            GrammarSource::Schema(_) => {
                let schema: Value = serde_json::from_str(text)
                    .map_err(|error| invalid(format!("it is not JSON: {error}")))?;
                check_effort(&schema, &mut 0.0).map_err(invalid)?;
                Ok(TopLevelGrammar::from_json_schema(with_blanks(schema)))
            }
            GrammarSource::Regex(_) => {
                check_depth(text).map_err(invalid)?;
                // llguidance puts it into a grammar, between two slashes on a line.
                Ok(TopLevelGrammar::from_regex(&text.replace('\0', r"\x00")))
            }
            GrammarSource::Lark(_) => {
                check_depth(text).map_err(invalid)?;
                check_schemas_in(text, &mut 0.0).map_err(invalid)?;
                let rules = text.lines().filter(|line| line.contains(':')).count();
                if rules > MOST_RULES {
                    return Err(invalid(format!(
                        "it has {rules} rules, and {MOST_RULES} at most are read"
                    )));
                }
                Ok(TopLevelGrammar::from_lark(text.to_owned()))
            }
        }
    }
}

/// Refuses schemas that take llguidance long: to compile, since it compares properties, patterns and
/// alternatives of one place with one another, or with each token. The depth of JSON is bounded.
fn check_effort(schema: &Value, effort: &mut f64) -> Result<(), String> {
    match schema {
        Value::Object(entries) => entries.iter().try_for_each(|(key, value)| {
            let count = match value {
                Value::Object(entries) => entries.len(),
                Value::Array(items) => items.len(),
                _ => 0,
            };
            let pairs = (count as f64).powi(2);
            *effort += match key.as_str() {
                "properties" | "required" | "allOf" | "oneOf" => pairs,
                "patternProperties" => PATTERN * pairs,
                _ => 0.0,
            };
            if *effort > MOST_EFFORT {
                return Err(format!("it is too large: there are {count} {key} in one place"));
            }
            match value.as_f64().filter(|_| key == "multipleOf") {
                Some(number) if remainders(number) > MOST_REMAINDERS => {
                    Err(format!("multipleOf {number} has too many digits, or is too large"))
                }
                _ => check_effort(value, effort),
            }
        }),
        Value::Array(items) => items.iter().try_for_each(|item| check_effort(item, effort)),
        _ => Ok(()),
    }
}

/// The same of the schemas in a Lark grammar.
fn check_schemas_in(grammar: &str, effort: &mut f64) -> Result<(), String> {
    grammar.split("%json").skip(1).try_for_each(|rest| {
        // What is no JSON is refused with its place, later.
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        values.next().and_then(Result::ok).map_or(Ok(()), |schema| check_effort(&schema, effort))
    })
}

/// A number without its decimal point.
fn remainders(number: f64) -> f64 {
    let digits = number.abs().to_string().replace('.', "");
    digits.parse().unwrap_or(f64::INFINITY)
}

/// A schema that says how blanks may stand, unless it does already.
fn with_blanks(schema: Value) -> Value {
    let mut schema = match schema {
        Value::Bool(true) => Value::Object(serde_json::Map::new()),
        schema => schema,
    };
    if let Value::Object(entries) = &mut schema {
        let blanks = || serde_json::json!({ "whitespace_pattern": BLANKS });
        entries.entry("x-guidance").or_insert_with(blanks);
    }
    schema
}

/// Counts brackets wherever they stand: too strict for a text full of them in quotes, and never too lax.
fn check_depth(text: &str) -> Result<(), String> {
    let (mut depth, mut escaped) = (0usize, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MOST_DEPTH {
            return Err(format!("its brackets nest more than {MOST_DEPTH} deep"));
        }
    }
    Ok(())
}

/// A compiled grammar: any number of answers can begin with it.
pub struct Grammar {
    /// The option it was given by.
    pub(super) option: &'static str,
    pub(super) vocabulary: Arc<Vocabulary>,
    /// As it is before any token.
    start: Mutex<Matcher>,
}

impl Grammar {
    /// Compiles a grammar; blocks, for a schema of some hundred lines for some milliseconds.
    ///
    /// Errors with [`Error::InvalidGrammar`] on one that is wrong, that asks for what llguidance cannot do,
    /// or that takes too much.
    pub fn new(vocabulary: &Arc<Vocabulary>, source: GrammarSource) -> Result<Grammar> {
        let option = source.option();
        let parsed = source.parse()?;
        let matcher = on_deep_stack(option, || {
            let matcher = Matcher::new(vocabulary.factory.create_parser(parsed));
            matcher.get_error().map_or(Ok(matcher), |error| Err(error.into()))
        })?;
        Ok(Grammar { option, vocabulary: vocabulary.clone(), start: Mutex::new(matcher) })
    }

    /// The grammar at its beginning, sharing nothing that changes.
    /// Keeps masks that are begun from now on from being computed, until what this gives is dropped.
    #[cfg(test)]
    pub(crate) fn hold(&self) -> std::sync::mpsc::Sender<()> {
        let (open, gate) = std::sync::mpsc::channel();
        self.vocabulary.masker.run(Box::new(move || {
            let _ = gate.recv();
        }));
        open
    }

    pub(super) fn start(&self) -> Matcher {
        self.start.lock().unwrap_or_else(PoisonError::into_inner).deep_clone()
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs work of llguidance on a thread with a stack for what is nested. What it fails on, or panics, is the
/// grammar's fault.
pub(super) fn on_deep_stack<T: Send>(
    option: &'static str,
    work: impl FnOnce() -> std::result::Result<T, Failure> + Send,
) -> Result<T> {
    let invalid = |problem: String| Error::InvalidGrammar { option, problem };
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("olmo2-grammar".into()).stack_size(STACK);
        let work = AssertUnwindSafe(work);
        let thread = builder
            .spawn_scoped(scope, move || panics::catch(move || work.0()))
            .map_err(|error| Error::Internal(format!("cannot start a thread: {error}")))?;
        match thread.join() {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(error))) => Err(invalid(said(&error.to_string()))),
            Ok(Err(panic)) => Err(invalid(said(&format!("panic: {panic}")))),
            Err(_) => Err(invalid(said("panic: "))),
        }
    })
}

/// What llguidance says, in one line and without what is for its own developers.
pub(super) fn said(error: &str) -> String {
    let text = error.replace("<non-verbose/>", "");
    let text = text.split("<backtrace>").next().unwrap_or_default();
    let text = text.split("<state>").next().unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let line = lines.join("; ");
    match line.strip_prefix("panic: ") {
        Some(panic) => format!("it makes the llguidance crate panic: {panic}"),
        None => shortened(line),
    }
}

/// A message quotes the grammar, which can be long.
fn shortened(line: String) -> String {
    const MOST: usize = 500;
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
