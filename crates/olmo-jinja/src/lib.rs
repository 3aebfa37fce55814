//! Jinja as Python's jinja2 has it, for chat templates: the language, the values and the limits.
//!
//! Templates come with checkpoints, from strangers, so a template here can take neither much time nor
//! much memory nor deep recursion, see [`budget`]. That is why this is no engine from elsewhere: none
//! bounds what a single operator makes of a text (`s ~ s`), and none has Python's values.
//!
//! `docs/chat.md` says where it differs.

mod access;
mod ast;
mod budget;
mod data;
mod escapes;
mod eval;
mod expressions;
pub mod fault;
mod filters;
mod functions;
mod lexer;
mod methods;
mod numerals;
mod ops;
mod parser;
mod postfix;
mod print;
mod printf;
pub mod python;
mod render;
mod str_format;
mod strings;
mod tests;
mod time;
mod value;

use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use budget::Budget;
use fault::{Fault, Outcome};
use render::Renderer;
use value::Value;

pub use data::{last_wins, Data};
pub use time::Now;

/// What trees and values of the greatest height need, with room to spare.
const STACK: usize = 64 << 20;

/// A template, read and ready to be rendered any number of times, on any thread.
#[derive(Debug, Clone)]
pub struct Template {
    body: Arc<ast::Body>,
    source: Arc<str>,
}

impl Template {
    /// Reads a template.
    pub fn new(source: &str) -> Outcome<Template> {
        let body = on_own_stack(|| parser::parse(source))?;
        Ok(Template { body: Arc::new(body), source: source.into() })
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text of the template with these variables.
    ///
    /// Blocks for seconds at most; sooner once `cancelled` is set.
    pub fn render(
        &self,
        variables: &[(String, Data)],
        now: Now,
        cancelled: Arc<AtomicBool>,
    ) -> Outcome<String> {
        on_own_stack(|| {
            let given = variables.iter().map(|(_, value)| value.size()).sum();
            let budget = Budget::new(given, cancelled);
            let mut names = Vec::new();
            for (name, value) in variables {
                names.push((Arc::from(name.as_str()), convert(value, &budget)?));
            }
            Renderer::new(budget, now).template(&self.body, names)
        })
    }
}

/// Runs something that may go deep, where there is room for that.
fn on_own_stack<T: Send>(work: impl FnOnce() -> Outcome<T> + Send) -> Outcome<T> {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(STACK).name("template".to_owned());
        let thread = builder
            .spawn_scoped(scope, work)
            .map_err(|error| Fault::limit(format!("the system has no thread for it: {error}")))?;
        thread.join().unwrap_or_else(|_| Err(Fault::render("the template engine failed")))
    })
}

fn convert(data: &Data, budget: &Budget) -> Outcome<Value> {
    Ok(match data {
        Data::Null => Value::None,
        Data::Bool(value) => Value::Bool(*value),
        Data::Int(value) => Value::Int((*value).into()),
        Data::Float(value) => Value::Float(*value),
        Data::Text(text) => Value::text(text.as_str()),
        Data::List(items) => {
            let items: Outcome<Vec<Value>> =
                items.iter().map(|item| convert(item, budget)).collect();
            Value::list(items?, budget)?
        }
        Data::Dict(entries) => {
            let mut converted = Vec::with_capacity(entries.len());
            for (key, value) in entries {
                converted.push((Value::text(key.as_str()), convert(value, budget)?));
            }
            Value::dict(converted, budget)?
        }
    })
}
