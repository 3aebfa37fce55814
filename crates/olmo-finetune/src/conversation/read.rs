//! JSON as Python's `json` reads it: also with `NaN`, `Infinity`, and numbers too large for 64 bits, which are
//! infinite there too. People's data has them in columns that nobody looks at.

use olmo_core::jinja::{last_wins, Data};

/// Lists and objects within one another, as serde has it.
const DEEPEST: usize = 127;

/// Reads one value. Errors with what serde says is wrong with it.
pub fn read(text: &str) -> Result<Data, serde_json::Error> {
    serde_json::from_str(text).or_else(|error| lenient(text).ok_or(error))
}

/// What serde refuses; none if Python does too.
fn lenient(text: &str) -> Option<Data> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(0)?;
    parser.blanks();
    (parser.at == text.len()).then_some(value)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    /// Passes blanks and then the character, if it is there.
    fn passes(&mut self, char: char) -> bool {
        self.blanks();
        let is_there = self.rest().starts_with(char);
        self.at += usize::from(is_there);
        is_there
    }

    fn value(&mut self, depth: usize) -> Option<Data> {
        if depth > DEEPEST {
            return None;
        }
        if self.passes('{') {
            return self
                .items('}', |parser| {
                    let key = parser.passes('"').then(|| parser.string())??;
                    parser.passes(':').then(|| parser.value(depth + 1))?.map(|value| (key, value))
                })
                .map(|entries| Data::Dict(last_wins(entries)));
        }
        if self.passes('[') {
            return self.items(']', |parser| parser.value(depth + 1)).map(Data::List);
        }
        if self.passes('"') {
            return self.string().map(Data::Text);
        }
        self.word()
    }

    /// What stands between an opening bracket and the closing one, with commas between.
    fn items<T>(&mut self, close: char, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut items = Vec::new();
        if self.passes(close) {
            return Some(items);
        }
        loop {
            items.push(item(self)?);
            if self.passes(close) {
                return Some(items);
            }
            if !self.passes(',') {
                return None;
            }
        }
    }

    /// What follows a quotation mark, up to the one that closes it.
    fn string(&mut self) -> Option<String> {
        let start = self.at - 1;
        loop {
            let found = self.rest().find(['"', '\\'])?;
            let is_end = self.rest()[found..].starts_with('"');
            self.at += found + 1;
            if is_end {
                return serde_json::from_str(&self.text[start..self.at]).ok();
            }
            self.at += self.rest().chars().next()?.len_utf8();
        }
    }

    /// A number or a name.
    fn word(&mut self) -> Option<Data> {
        let rest = self.rest();
        let is_end =
            |char: char| char.is_ascii_whitespace() || matches!(char, ',' | ']' | '}' | ':');
        let word = rest[..rest.find(is_end).unwrap_or(rest.len())].to_owned();
        self.at += word.len();
        match word.as_str() {
            "NaN" => Some(Data::Float(f64::NAN)),
            "Infinity" => Some(Data::Float(f64::INFINITY)),
            "-Infinity" => Some(Data::Float(f64::NEG_INFINITY)),
            word => match serde_json::from_str(word) {
                Ok(value) => Some(value),
                Err(error) if error.to_string().starts_with("number out of range") => {
                    word.parse().ok().map(Data::Float)
                }
                Err(_) => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_as_python_reads_it() {
        let text = r#" {"a": [NaN, -Infinity, Infinity, 1e400, -1e999, true, null, 1.5], "b\"\u00e9": {}, "b\"é": []} "#;
        let Data::Dict(entries) = read(text).unwrap() else { panic!() };
        let Data::List(items) = &entries[0].1 else { panic!() };
        assert!(matches!(items[0], Data::Float(value) if value.is_nan()));
        let infinite =
            [f64::NEG_INFINITY, f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY].map(Data::Float);
        assert_eq!(items[1..5], infinite);
        assert_eq!(items[5..], [Data::Bool(true), Data::Null, Data::Float(1.5)]);
        assert_eq!(entries[1..], [("b\"é".to_owned(), Data::List(vec![]))]);
    }

    #[test]
    fn what_python_refuses_is_refused() {
        let deep = "[".repeat(100_000);
        for wrong in [
            "",
            "NaN NaN",
            "nan",
            "+Infinity",
            "[NaN,]",
            "{\"a\": NaN,}",
            "{NaN: 1}",
            "[NaN",
            "{\"a\" NaN}",
            "[NaN, \"\n\"]",
            "[NaN, \"\\x\"]",
            "[NaN, 01]",
            "[NaN, .5]",
            "[NaN, \"a]",
            "[NaN, \"\\ud800\"]",
            "1e",
            "[NaN, inf]",
            "[NaN, 1e400x]",
            &deep,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
