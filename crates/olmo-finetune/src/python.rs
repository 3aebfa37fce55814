//! What Python calls blank, and how it writes JSON.

use olmo_core::jinja::python::quote_json;
pub use olmo_core::jinja::python::{float, is_space};

/// `str.strip()`.
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `str.lstrip()`.
pub fn lstrip(text: &str) -> &str {
    text.trim_start_matches(is_space)
}

/// A value of what `json.dump` writes.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Int(u64),
    Float(f64),
    Text(String),
    List(Vec<Json>),
    Dict(Vec<(&'static str, Json)>),
}

impl Json {
    /// `json.dump(value, file, indent=2)`.
    pub fn write(&self) -> String {
        let mut out = String::new();
        self.write_to(&mut out, 0);
        out
    }

    fn write_to(&self, out: &mut String, depth: usize) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Json::Int(value) => out.push_str(&value.to_string()),
            Json::Float(value) => out.push_str(&float(*value)),
            Json::Text(text) => quote_json(text, true, out),
            Json::List(items) if items.is_empty() => out.push_str("[]"),
            Json::Dict(entries) if entries.is_empty() => out.push_str("{}"),
            Json::List(items) => {
                write_items(out, depth, ['[', ']'], items, |out, item, depth| {
                    item.write_to(out, depth);
                });
            }
            Json::Dict(entries) => {
                write_items(out, depth, ['{', '}'], entries, |out, (key, value), depth| {
                    quote_json(key, true, out);
                    out.push_str(": ");
                    value.write_to(out, depth);
                });
            }
        }
    }
}

fn write_items<T>(
    out: &mut String,
    depth: usize,
    [open, close]: [char; 2],
    items: &[T],
    write: impl Fn(&mut String, &T, usize),
) {
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        line(out, depth + 1);
        write(out, item, depth + 1);
    }
    line(out, depth);
    out.push(close);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every character of which `str.isspace` is true in Python 3.11.
    const SPACES: &str = "\t\n\u{b}\u{c}\r\u{1c}\u{1d}\u{1e}\u{1f} \u{85}\u{a0}\u{1680}\u{2000}\u{2001}\u{2002}\
        \u{2003}\u{2004}\u{2005}\u{2006}\u{2007}\u{2008}\u{2009}\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}";

    #[test]
    fn blanks_are_pythons() {
        let all: String = ('\0'..=char::MAX).filter(|&char| is_space(char)).collect();
        assert_eq!(all, SPACES);
        assert_eq!(strip("\u{1c}\u{85} a\u{feff} \u{3000}"), "a\u{feff}");
        assert_eq!(lstrip("\u{200b} a "), "\u{200b} a ");
    }

    #[test]
    fn floats_are_pythons() {
        for (value, text) in [
            (1.0, "1.0"),
            (0.0, "0.0"),
            (100.0 / 3.0, "33.333333333333336"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.25e-7, "1.25e-07"),
            (-2.5, "-2.5"),
        ] {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn json_is_pythons() {
        let text = "a\"\\\n\u{7f}é😀\u{1}";
        let value = Json::Dict(vec![
            ("a", Json::List(vec![Json::Int(1), Json::Null])),
            ("b", Json::List(vec![])),
            ("c", Json::Dict(vec![("d", Json::Text(text.to_owned()))])),
            ("e", Json::Bool(true)),
        ]);
        let expected =
            "{\n  \"a\": [\n    1,\n    null\n  ],\n  \"b\": [],\n  \"c\": {\n    \"d\": \
            \"a\\\"\\\\\\n\\u007f\\u00e9\\ud83d\\ude00\\u0001\"\n  },\n  \"e\": true\n}";
        assert_eq!(value.write(), expected);
    }
}
