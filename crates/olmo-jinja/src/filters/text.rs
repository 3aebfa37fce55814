//! Filters of texts.

use crate::eval::Values;
use crate::fault::{Fault, Outcome};
use crate::lexer::is_space;
use crate::render::Renderer;
use crate::value::Value;

impl Renderer {
    pub(super) fn text_filter(
        &mut self,
        name: &str,
        value: &Value,
        values: &Values,
    ) -> Outcome<Value> {
        if name == "pprint" {
            let value = self.in_order(value)?;
            return self.repr(&value).map(Value::text);
        }
        if name == "urlencode" {
            return self.url_encode(value);
        }
        let text = self.str(value)?;
        let text = match name {
            "capitalize" => capitalized(&text),
            "center" => {
                let [width] = values.bind("center", ["width"])?;
                let width = self.whole("width", width.as_ref(), 80)?;
                let method = Values { positional: vec![Value::Int(width)], named: Vec::new() };
                return self.method(&Value::text(text), "center", &method);
            }
            "e" | "escape" | "forceescape" => {
                self.budget.text(text.len() * 6)?;
                escape(&text)
            }
            "format" => return self.format_filter(&text, values),
            "lower" => text.to_lowercase(),
            "upper" => text.to_uppercase(),
            "safe" | "string" => text,
            "striptags" => strip_tags(&text),
            "title" => title(&text),
            "trim" => {
                let [chars] = values.bind("trim", ["chars"])?;
                let positional = chars.into_iter().collect();
                let method = Values { positional, named: Vec::new() };
                return self.method(&Value::text(text), "strip", &method);
            }
            "replace" => {
                let [old, new, count] = values.bind("replace", ["old", "new", "count"])?;
                let old = Value::text(self.text_or(old.as_ref(), "")?);
                let new = Value::text(self.text_or(new.as_ref(), "")?);
                let count = count.filter(|count| !matches!(count, Value::None));
                let positional = [old, new].into_iter().chain(count).collect();
                let method = Values { positional, named: Vec::new() };
                return self.method(&Value::text(text), "replace", &method);
            }
            "wordcount" => {
                let words = text.split(|char: char| !(char == '_' || char.is_alphanumeric()));
                return Ok(Value::Int(words.filter(|word| !word.is_empty()).count() as i128));
            }
            _ => return Err(Fault::render(format!("No filter named '{name}'."))),
        };
        self.budget.text(text.len())?;
        Ok(Value::text(text))
    }

    /// The same with the entries of dicts in the order of their keys.
    fn in_order(&self, value: &Value) -> Outcome<Value> {
        self.budget.step(1)?;
        let all = |items: &[Value]| items.iter().map(|item| self.in_order(item)).collect();
        match value {
            Value::List(seq) => {
                let items: Outcome<Vec<Value>> = all(&seq.items);
                Value::list(items?, &self.budget)
            }
            Value::Tuple(seq) => {
                let items: Outcome<Vec<Value>> = all(&seq.items);
                Value::tuple(items?, &self.budget)
            }
            Value::Dict(dict) => {
                let mut entries = Vec::new();
                for (key, value) in &dict.entries {
                    entries.push((self.repr(key)?, key.clone(), self.in_order(value)?));
                }
                entries.sort_by(|one, other| one.0.cmp(&other.0));
                let entries = entries.into_iter().map(|(_, key, value)| (key, value));
                Value::dict(entries.collect(), &self.budget)
            }
            other => Ok(other.clone()),
        }
    }

    fn format_filter(&mut self, text: &str, values: &Values) -> Outcome<Value> {
        match (values.positional.is_empty(), values.named.is_empty()) {
            (false, false) => {
                Err(Fault::render("can't handle positional and keyword arguments at the same time"))
            }
            (true, false) => {
                let named = values.named.iter();
                let entries = named.map(|(name, value)| (Value::Text(name.clone()), value.clone()));
                let dict = Value::dict(entries.collect(), &self.budget)?;
                self.printf(text, &dict)
            }
            _ => {
                let arguments = Value::tuple(values.positional.clone(), &self.budget)?;
                self.printf(text, &arguments)
            }
        }
    }

    fn url_encode(&self, value: &Value) -> Outcome<Value> {
        let pairs = match value {
            Value::Dict(_) => self.pairs(value)?,
            Value::List(seq) | Value::Tuple(seq) => seq.items.clone(),
            other => {
                let text = self.str(other)?;
                self.budget.text(text.len() * 3)?;
                return Ok(Value::text(quoted(&text, "/")));
            }
        };
        let mut out = Vec::new();
        for pair in &pairs {
            let pair = self.iterate(pair)?;
            let [key, value] = pair.items.as_slice() else {
                return Err(Fault::render("a pair of two is needed"));
            };
            let (key, value) = (self.str(key)?, self.str(value)?);
            self.budget.text((key.len() + value.len()) * 3)?;
            let quoted = |text: &str| quoted(text, "").replace("%20", "+");
            out.push(format!("{}={}", quoted(&key), quoted(&value)));
        }
        Ok(Value::text(out.join("&")))
    }
}

/// `urllib.parse.quote`
fn quoted(text: &str, safe: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => {
                out.push(char::from(byte));
            }
            byte if safe.as_bytes().contains(&byte) => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// `markupsafe.escape`
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            char => out.push(char),
        }
    }
    out
}

/// Without comments and tags, each run of blanks one, and the commonest entities read.
fn strip_tags(text: &str) -> String {
    let mut text = text.to_owned();
    for (begin, end) in [("<!--", "-->"), ("<", ">")] {
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(start) = rest.find(begin) {
            let Some(length) = rest[start..].find(end) else { break };
            out.push_str(&rest[..start]);
            rest = &rest[start + length + end.len()..];
        }
        out.push_str(rest);
        text = out;
    }
    let words: Vec<&str> = text.split(is_space).filter(|word| !word.is_empty()).collect();
    let text = words.join(" ");
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&#34;", "\""), ("&quot;", "\""), ("&#39;", "'")];
    let plain = entities.iter().fold(text, |text, (entity, char)| text.replace(entity, char));
    plain.replace("&nbsp;", "\u{A0}").replace("&amp;", "&")
}

/// `str.capitalize`
pub fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars.as_str().to_lowercase().chars()).collect(),
        None => String::new(),
    }
}

/// jinja2's own `title`: a word begins after a blank, a hyphen or an opening bracket.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut begins = true;
    for char in text.chars() {
        let breaks = is_space(char) || matches!(char, '-' | '(' | '{' | '[' | '<');
        match begins && !breaks {
            true => out.extend(char.to_uppercase()),
            false => out.extend(char.to_lowercase()),
        }
        begins = breaks;
    }
    out
}
