//! Methods of Python's values. Those that would change one are not there, as in jinja2's
//! `ImmutableSandboxedEnvironment`.

use super::eval::Values;
use super::fault::{Fault, Outcome};
use super::render::Renderer;
use super::value::{Object, Seq, Value};

const TEXT: [&str; 44] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "upper",
    "zfill",
];
const LIST: [&str; 3] = ["copy", "count", "index"];
const DICT: [&str; 6] = ["copy", "fromkeys", "get", "items", "keys", "values"];
const CHANGES_LIST: [&str; 8] =
    ["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"];
const CHANGES_DICT: [&str; 5] = ["clear", "pop", "popitem", "setdefault", "update"];

/// Whether values like this one have a method of this name.
pub fn has(value: &Value, name: &str) -> bool {
    match value {
        Value::Text(_) => TEXT.contains(&name),
        Value::List(_) => LIST.contains(&name),
        Value::Tuple(_) | Value::Range(..) => matches!(name, "count" | "index"),
        Value::Dict(_) => DICT.contains(&name),
        Value::Int(_) | Value::Bool(_) => matches!(name, "bit_length" | "is_integer"),
        Value::Float(_) => name == "is_integer",
        Value::Loop(_) => matches!(name, "cycle" | "changed"),
        // A namespace may have an entry of that name; only a cycler is asked for these.
        Value::Object(_) => false,
        Value::Function(function) => *function == "dict" && name == "fromkeys",
        _ => false,
    }
}

/// Whether Python has a method of this name that changes such a value.
pub fn mutates(value: &Value, name: &str) -> bool {
    match value {
        Value::List(_) => CHANGES_LIST.contains(&name),
        Value::Dict(_) => CHANGES_DICT.contains(&name),
        _ => false,
    }
}

impl Renderer {
    pub fn method(&mut self, of: &Value, name: &str, values: &Values) -> Outcome<Value> {
        self.budget.step(1)?;
        match of {
            Value::Text(text) => self.text_method(text, name, values),
            Value::Dict(_) => self.dict_method(of, name, values),
            Value::Loop(state) if name == "changed" => self.loop_changed(state, &values.positional),
            Value::Loop(state) => match values.positional.len() {
                0 => Err(Fault::render("no items for cycling given")),
                count => Ok(values.positional[state.at.get() % count].clone()),
            },
            Value::Object(number) if name == "next" => self.cycle(*number),
            Value::Object(number) => {
                self.reset(*number);
                Ok(Value::None)
            }
            Value::Int(_) | Value::Bool(_) if name == "bit_length" => {
                let value = of.as_int().unwrap_or(0);
                Ok(Value::Int(i128::from(128 - value.unsigned_abs().leading_zeros())))
            }
            Value::Float(value) => Ok(Value::Bool(value.fract() == 0.0)),
            Value::Int(_) | Value::Bool(_) => Ok(Value::Bool(true)),
            Value::Function(_) => self.dict_of_keys(values),
            _ if name == "copy" => Ok(of.clone()),
            _ => self.look_up(of, name, values),
        }
    }

    /// `count` and `index` of a list.
    fn look_up(&self, of: &Value, name: &str, values: &Values) -> Outcome<Value> {
        let Some(wanted) = values.positional.first() else {
            return Err(Fault::render(format!("{name}() takes one argument")));
        };
        let items = self.iterate(of)?;
        let mut count = 0;
        for (at, item) in items.items.iter().enumerate() {
            if self.equal(item, wanted)? {
                if name == "index" {
                    return Ok(Value::Int(at as i128));
                }
                count += 1;
            }
        }
        match name {
            "index" => {
                let shown = self.repr(wanted)?;
                Err(Fault::render(format!("{shown} is not in {}", of.type_name())))
            }
            _ => Ok(Value::Int(count)),
        }
    }

    fn dict_method(&mut self, of: &Value, name: &str, values: &Values) -> Outcome<Value> {
        let Value::Dict(dict) = of else { return Ok(Value::None) };
        match name {
            "get" => {
                let [key, default] = values.bind("get", ["key", "default"])?;
                let key =
                    key.ok_or_else(|| Fault::render("get expected at least 1 argument, got 0"))?;
                let found = dict.get(&key.key(&self.budget)?).cloned();
                Ok(found.or(default).unwrap_or(Value::None))
            }
            "keys" => {
                let keys = dict.entries.iter().map(|(key, _)| key.clone()).collect();
                Ok(Value::View("dict_keys", Seq::new(keys, &self.budget)?))
            }
            "values" => {
                let all = dict.entries.iter().map(|(_, value)| value.clone()).collect();
                Ok(Value::View("dict_values", Seq::new(all, &self.budget)?))
            }
            "items" => {
                let pairs = self.pairs(of)?;
                Ok(Value::View("dict_items", Seq::new(pairs, &self.budget)?))
            }
            "fromkeys" => self.dict_of_keys(values),
            _ => Ok(of.clone()),
        }
    }

    fn dict_of_keys(&self, values: &Values) -> Outcome<Value> {
        let [keys, value] = values.bind("fromkeys", ["iterable", "value"])?;
        let value = value.unwrap_or(Value::None);
        let keys = self.iterate(&keys.unwrap_or(Value::None))?;
        let entries = keys.items.iter().map(|key| (key.clone(), value.clone())).collect();
        Value::dict(entries, &self.budget)
    }

    /// Whether an object is a cycler, which alone has `next` and `reset`.
    pub fn is_cycler(&self, number: usize) -> bool {
        matches!(self.objects[number], Object::Cycler { .. })
    }
}

/// Whether a text has letters of the one case and none of the other.
pub fn cased(text: &str, is: fn(char) -> bool, is_other: fn(char) -> bool) -> bool {
    text.chars().any(is) && !text.chars().any(is_other)
}

/// `str.splitlines`
pub fn lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    let ends = |char: char| {
        matches!(
            char,
            '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    while !rest.is_empty() {
        let Some(at) = rest.find(ends) else {
            lines.push(rest);
            break;
        };
        let end = match rest[at..].starts_with("\r\n") {
            true => at + 2,
            false => at + rest[at..].chars().next().map_or(1, char::len_utf8),
        };
        lines.push(&rest[..if keep_ends { end } else { at }]);
        rest = &rest[end..];
    }
    lines
}
