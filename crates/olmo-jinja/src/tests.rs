//! Tests: what comes after `is`. All of jinja2's.
//!
//! Source: `jinja2/tests.py` 3.1.6.

use super::ast::{Comparison, Operator};
use super::fault::{wrong_type, Fault, Outcome};
use super::methods::cased;
use super::render::Renderer;
use super::value::{Object, Value};

const NAMES: [&str; 39] = [
    "!=",
    "<",
    "<=",
    "==",
    ">",
    ">=",
    "boolean",
    "callable",
    "defined",
    "divisibleby",
    "eq",
    "equalto",
    "escaped",
    "even",
    "false",
    "filter",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sameas",
    "sequence",
    "string",
    "test",
    "true",
    "undefined",
    "upper",
];

pub fn is_known(name: &str) -> bool {
    NAMES.contains(&name)
}

impl Renderer {
    pub fn test(&self, name: &str, value: &Value, arguments: &[Value]) -> Outcome<bool> {
        self.budget.step(1)?;
        let comparison = match name {
            "==" | "eq" | "equalto" => Some(Comparison::Equal),
            "!=" | "ne" => Some(Comparison::NotEqual),
            "<" | "lt" | "lessthan" => Some(Comparison::Less),
            "<=" | "le" => Some(Comparison::LessOrEqual),
            ">" | "gt" | "greaterthan" => Some(Comparison::Greater),
            ">=" | "ge" => Some(Comparison::GreaterOrEqual),
            "in" => Some(Comparison::In),
            _ => None,
        };
        let wants = usize::from(comparison.is_some() || matches!(name, "divisibleby" | "sameas"));
        if is_known(name) && arguments.len() != wants {
            let given = arguments.len();
            return Err(Fault::render(format!(
                "test '{name}' takes {wants} argument(s), not {given}"
            )));
        }
        match (comparison, arguments.first()) {
            (Some(comparison), Some(other)) => self.compare(comparison, value, other),
            (_, Some(other)) if name == "divisibleby" => {
                let rest = self.binary(Operator::Remainder, value, other)?;
                self.equal(&rest, &Value::Int(0))
            }
            (_, Some(other)) if name == "sameas" => self.same(value, other),
            _ => self.plain_test(name, value),
        }
    }

    fn plain_test(&self, name: &str, value: &Value) -> Outcome<bool> {
        Ok(match name {
            "defined" => !value.is_undefined(),
            "undefined" => value.is_undefined(),
            "none" => matches!(value, Value::None),
            "true" => matches!(value, Value::Bool(true)),
            "false" => matches!(value, Value::Bool(false)),
            "boolean" => matches!(value, Value::Bool(_)),
            "integer" => matches!(value, Value::Int(_)),
            "float" => matches!(value, Value::Float(_)),
            "number" => value.as_float().is_some(),
            "string" => matches!(value, Value::Text(_)),
            "mapping" => matches!(value, Value::Dict(_)),
            // What has a length and items; Undefined has both.
            "sequence" => matches!(
                value,
                Value::Undefined(_)
                    | Value::Text(_)
                    | Value::List(_)
                    | Value::Tuple(_)
                    | Value::Dict(_)
                    | Value::Range(..)
            ),
            "iterable" => !matches!(
                value,
                Value::None
                    | Value::Bool(_)
                    | Value::Int(_)
                    | Value::Float(_)
                    | Value::Object(_)
                    | Value::Macro(_)
                    | Value::Method(_)
                    | Value::Function(_)
            ),
            "callable" => self.is_callable(value),
            "escaped" => false,
            "even" | "odd" => {
                let rest = self.binary(Operator::Remainder, value, &Value::Int(2))?;
                self.equal(&rest, &Value::Int(i128::from(name == "odd")))?
            }
            "lower" => cased(&self.str(value)?, char::is_lowercase, char::is_uppercase),
            "upper" => cased(&self.str(value)?, char::is_uppercase, char::is_lowercase),
            "filter" => match value {
                Value::Text(name) => super::filters::is_known(name),
                _ => false,
            },
            "test" => match value {
                Value::Text(name) => is_known(name),
                _ => false,
            },
            _ => return wrong_type(&format!("No test named '{name}' for"), value),
        })
    }

    fn is_callable(&self, value: &Value) -> bool {
        match value {
            Value::Object(number) => matches!(self.objects[*number], Object::Joiner { .. }),
            value => matches!(
                value,
                Value::Undefined(_)
                    | Value::Macro(_)
                    | Value::Method(_)
                    | Value::Function(_)
                    | Value::Loop(_)
            ),
        }
    }

    /// Python's `is`. Small numbers are one object there, and texts mostly.
    fn same(&self, one: &Value, other: &Value) -> Outcome<bool> {
        match (one, other) {
            (Value::List(one), Value::List(other)) => Ok(std::rc::Rc::ptr_eq(one, other)),
            (Value::Dict(one), Value::Dict(other)) => Ok(std::rc::Rc::ptr_eq(one, other)),
            (Value::Float(_), _) | (_, Value::Float(_)) => Ok(false),
            (one, other) if one.type_name() == other.type_name() => self.equal(one, other),
            _ => Ok(false),
        }
    }
}
