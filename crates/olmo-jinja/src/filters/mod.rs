//! Filters: all of jinja2's, with `tojson` as transformers has it.
//!
//! Source: `jinja2/filters.py` 3.1.6.

mod json;
mod number;
mod order;
mod sequence;
mod text;
mod wrap;

pub use json::quote_json;
pub use text::{capitalized, escape};

use super::eval::Values;
use super::fault::{Fault, Outcome};
use super::render::Renderer;
use super::value::Value;

const NAMES: [&str; 54] = [
    "abs",
    "attr",
    "batch",
    "capitalize",
    "center",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "filesizeformat",
    "first",
    "float",
    "forceescape",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "random",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "string",
    "striptags",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "urlize",
    "wordcount",
    "wordwrap",
    "xmlattr",
];

pub fn is_known(name: &str) -> bool {
    NAMES.contains(&name)
}

impl Renderer {
    pub fn filter(&mut self, name: &str, value: &Value, values: &Values) -> Outcome<Value> {
        self.budget.enter()?;
        let result = match name {
            "abs" | "float" | "int" | "round" | "filesizeformat" => {
                self.number_filter(name, value, values)
            }
            "sort" | "dictsort" | "unique" | "min" | "max" | "groupby" => {
                self.order_filter(name, value, values)
            }
            "attr" | "batch" | "count" | "length" | "first" | "last" | "items" | "join"
            | "list" | "map" | "random" | "reject" | "rejectattr" | "reverse" | "select"
            | "selectattr" | "slice" | "sum" => self.sequence_filter(name, value, values),
            "default" | "d" => self.default(value, values),
            "tojson" => self.tojson(value, values),
            "wordwrap" | "truncate" | "indent" | "urlize" | "xmlattr" => {
                self.layout_filter(name, value, values)
            }
            _ if is_known(name) => self.text_filter(name, value, values),
            _ => Err(Fault::render(format!("No filter named '{name}'."))),
        };
        self.budget.leave();
        result
    }

    fn default(&self, value: &Value, values: &Values) -> Outcome<Value> {
        let [default, boolean] = values.bind("default", ["default_value", "boolean"])?;
        let also_false = boolean.is_some_and(|boolean| self.truth(&boolean));
        match value.is_undefined() || also_false && !self.truth(value) {
            true => Ok(default.unwrap_or_else(|| Value::text(""))),
            false => Ok(value.clone()),
        }
    }

    /// An argument that is a whole number.
    fn whole(&self, what: &str, value: Option<&Value>, default: i128) -> Outcome<i128> {
        match value {
            None => Ok(default),
            Some(value) => self.defined(value)?.as_int().ok_or_else(|| {
                let kind = value.type_name();
                Fault::render(format!("{what} must be an integer, not '{kind}'"))
            }),
        }
    }

    /// `str` of an argument.
    fn text_or(&self, value: Option<&Value>, default: &str) -> Outcome<String> {
        value.map_or_else(|| Ok(default.to_owned()), |value| self.str(value))
    }
}
