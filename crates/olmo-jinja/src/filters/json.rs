//! `tojson`, as transformers has it: Python's `json.dumps`, without escapes for HTML.

use crate::eval::Values;
use crate::fault::{Fault, Outcome};
use crate::print::float;
use crate::render::Renderer;
use crate::value::Value;

struct Layout {
    ascii: bool,
    indent: Option<String>,
    between: String,
    colon: String,
    sort_keys: bool,
}

impl Renderer {
    pub(super) fn tojson(&self, value: &Value, values: &Values) -> Outcome<Value> {
        let names = ["ensure_ascii", "indent", "separators", "sort_keys"];
        let [ascii, indent, separators, sort] = values.bind("tojson", names)?;
        let indent = match indent {
            Some(Value::None) | None => None,
            Some(Value::Text(text)) => Some(text.to_string()),
            Some(width) => {
                let width = usize::try_from(self.whole("indent", Some(&width), 0)?).unwrap_or(0);
                self.budget.text(width)?;
                Some(" ".repeat(width))
            }
        };
        let between = if indent.is_some() { "," } else { ", " };
        let (mut between, mut colon) = (between.to_owned(), ": ".to_owned());
        if let Some(separators) = separators.filter(|given| !matches!(given, Value::None)) {
            match self.iterate(&separators)?.items.as_slice() {
                [one, other] => (between, colon) = (self.str(one)?, self.str(other)?),
                _ => return Err(Fault::render("separators are two texts")),
            }
        }
        let truth = |value: Option<Value>| value.is_some_and(|value| self.truth(&value));
        let layout = Layout { ascii: truth(ascii), indent, between, colon, sort_keys: truth(sort) };
        let mut out = String::new();
        self.write_json(value, &layout, &mut out, 0)?;
        Ok(Value::text(out))
    }

    fn write_json(
        &self,
        value: &Value,
        layout: &Layout,
        out: &mut String,
        level: usize,
    ) -> Outcome<()> {
        let start = out.len();
        match value {
            Value::None => out.push_str("null"),
            Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Value::Int(value) => out.push_str(&value.to_string()),
            Value::Float(value) => out.push_str(&json_float(*value)),
            Value::Text(text) => quote_json(text, layout.ascii, out),
            Value::List(seq) | Value::Tuple(seq) => {
                out.push('[');
                for (at, item) in seq.items.iter().enumerate() {
                    self.separate(layout, out, at, level + 1)?;
                    self.write_json(item, layout, out, level + 1)?;
                }
                self.close(layout, out, seq.items.is_empty(), level)?;
                out.push(']');
            }
            Value::Dict(dict) => {
                let mut entries: Vec<(String, &Value)> = Vec::new();
                for (key, value) in &dict.entries {
                    entries.push((json_key(key)?, value));
                }
                if layout.sort_keys {
                    entries.sort_by(|one, other| one.0.cmp(&other.0));
                }
                out.push('{');
                for (at, (key, value)) in entries.iter().enumerate() {
                    self.separate(layout, out, at, level + 1)?;
                    quote_json(key, layout.ascii, out);
                    out.push_str(&layout.colon);
                    self.write_json(value, layout, out, level + 1)?;
                }
                self.close(layout, out, entries.is_empty(), level)?;
                out.push('}');
            }
            other => {
                let kind = other.type_name();
                let problem = format!("Object of type {kind} is not JSON serializable");
                return Err(Fault::render(problem));
            }
        }
        self.budget.step(1)?;
        self.budget.fits(out.len())?;
        match value {
            // What is within was counted already.
            Value::List(_) | Value::Tuple(_) | Value::Dict(_) => Ok(()),
            _ => self.budget.text(out.len() - start),
        }
    }

    fn separate(&self, layout: &Layout, out: &mut String, at: usize, level: usize) -> Outcome<()> {
        if at > 0 {
            self.budget.text(layout.between.len())?;
            out.push_str(&layout.between);
        }
        self.new_line(layout, out, level)
    }

    fn close(&self, layout: &Layout, out: &mut String, empty: bool, level: usize) -> Outcome<()> {
        if empty {
            Ok(())
        } else {
            self.new_line(layout, out, level)
        }
    }

    fn new_line(&self, layout: &Layout, out: &mut String, level: usize) -> Outcome<()> {
        if let Some(indent) = &layout.indent {
            self.budget.text(indent.len().saturating_mul(level))?;
            out.push('\n');
            out.push_str(&indent.repeat(level));
            self.budget.fits(out.len())?;
        }
        Ok(())
    }
}

fn json_float(value: f64) -> String {
    match value {
        value if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        value => float(value),
    }
}

fn json_key(key: &Value) -> Outcome<String> {
    Ok(match key {
        Value::Text(text) => text.to_string(),
        Value::None => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => json_float(*value),
        other => {
            let kind = other.type_name();
            let problem = format!("keys must be str, int, float, bool or None, not {kind}");
            return Err(Fault::render(problem));
        }
    })
}

/// A text as `json.dumps` writes it; with `ascii` everything else as `\uXXXX`.
pub fn quote_json(text: &str, ascii: bool, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{C}' => out.push_str("\\f"),
            char if char < ' ' || ascii && !(' '..='~').contains(&char) => {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            char => out.push(char),
        }
    }
    out.push('"');
}
