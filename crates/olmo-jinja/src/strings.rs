//! Methods of texts.

use super::eval::Values;
use super::fault::{wrong_type, Fault, Outcome};
use super::filters::capitalized;
use super::lexer::is_space;
use super::methods::{cased, lines};
use super::print::is_printable;
use super::render::Renderer;
use super::value::Value;

impl Renderer {
    pub fn text_method(&mut self, text: &str, name: &str, values: &Values) -> Outcome<Value> {
        self.budget.scan(text.len())?;
        match name {
            "strip" | "lstrip" | "rstrip" => self.strip(text, name, values),
            "split" | "rsplit" => self.split(text, name == "rsplit", values),
            "splitlines" => {
                let [keep] = values.bind("splitlines", ["keepends"])?;
                let keep = keep.is_some_and(|keep| self.truth(&keep));
                self.texts(lines(text, keep))
            }
            "partition" | "rpartition" => self.partition(text, name == "rpartition", values),
            "startswith" | "endswith" => self.begins(text, name == "endswith", values),
            "find" | "index" | "rfind" | "rindex" | "count" => self.find(text, name, values),
            "replace" => self.replace(text, values),
            "join" => self.join_method(text, values),
            "center" | "ljust" | "rjust" | "zfill" | "expandtabs" => self.pad(text, name, values),
            "removeprefix" | "removesuffix" => {
                let [part] = values.bind(name, ["part"])?;
                let part = self.text_argument(name, part)?;
                let rest = match name {
                    "removeprefix" => text.strip_prefix(&*part),
                    _ => text.strip_suffix(&*part),
                };
                self.made(rest.unwrap_or(text).to_owned())
            }
            "format" => self.str_format(text, values),
            "format_map" => {
                let [map] = values.bind("format_map", ["mapping"])?;
                let Some(Value::Dict(dict)) = map else {
                    return Err(Fault::render("format_map() takes a mapping"));
                };
                let named = dict
                    .entries
                    .iter()
                    .filter_map(|(key, value)| Some((key.as_text()?.clone(), value.clone())));
                let values = Values { positional: Vec::new(), named: named.collect() };
                self.str_format(text, &values)
            }
            "capitalize" => self.made(capitalized(text)),
            "casefold" => self.made(text.to_lowercase().replace('ß', "ss").replace('ς', "σ")),
            "lower" => self.made(text.to_lowercase()),
            "upper" => self.made(text.to_uppercase()),
            "swapcase" => self.made(text.chars().flat_map(swapped).collect()),
            "title" => self.made(titled(text)),
            _ => Ok(Value::Bool(is(text, name))),
        }
    }

    fn made(&self, text: String) -> Outcome<Value> {
        self.budget.text(text.len())?;
        Ok(Value::text(text))
    }

    fn texts(&self, parts: Vec<&str>) -> Outcome<Value> {
        self.budget.text(parts.iter().map(|part| part.len()).sum())?;
        Value::list(parts.into_iter().map(Value::text).collect(), &self.budget)
    }

    fn text_argument(&self, what: &str, value: Option<Value>) -> Outcome<std::sync::Arc<str>> {
        match value {
            Some(Value::Text(text)) => Ok(text),
            other => {
                let other = other.unwrap_or(Value::None);
                wrong_type(&format!("{what}: a str is needed, not"), self.defined(&other)?)
            }
        }
    }

    fn whole_argument(&self, what: &str, value: &Value) -> Outcome<i128> {
        match self.defined(value)?.as_int() {
            Some(value) => Ok(value),
            None => wrong_type(&format!("{what}: an integer is needed, not"), value),
        }
    }

    fn strip(&self, text: &str, name: &str, values: &Values) -> Outcome<Value> {
        let [chars] = values.bind(name, ["chars"])?;
        let chars = match chars {
            None | Some(Value::None) => None,
            chars => Some(self.text_argument(name, chars)?),
        };
        if let Some(chars) = &chars {
            self.budget.step(chars.len().saturating_mul(text.len()) / 16)?;
        }
        let strips = |char: char| match &chars {
            Some(chars) => chars.contains(char),
            None => is_space(char),
        };
        self.made(match name {
            "strip" => text.trim_matches(strips).to_owned(),
            "lstrip" => text.trim_start_matches(strips).to_owned(),
            _ => text.trim_end_matches(strips).to_owned(),
        })
    }

    fn split(&self, text: &str, from_end: bool, values: &Values) -> Outcome<Value> {
        let [separator, most] = values.bind("split", ["sep", "maxsplit"])?;
        let most = most.map_or(Ok(-1), |most| self.whole_argument("maxsplit", &most))?;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let Some(separator) = separator.filter(|value| !matches!(value, Value::None)) else {
            return self.texts(words(text, most, from_end));
        };
        let separator = self.text_argument("split", Some(separator))?;
        if separator.is_empty() {
            return Err(Fault::render("empty separator"));
        }
        self.budget.items(text.matches(&*separator).count().min(most))?;
        let parts = most.saturating_add(1);
        self.texts(match from_end {
            false => text.splitn(parts, &*separator).collect(),
            true => {
                let mut parts: Vec<&str> = text.rsplitn(parts, &*separator).collect();
                parts.reverse();
                parts
            }
        })
    }

    fn partition(&self, text: &str, from_end: bool, values: &Values) -> Outcome<Value> {
        let [separator] = values.bind("partition", ["sep"])?;
        let separator = self.text_argument("partition", separator)?;
        if separator.is_empty() {
            return Err(Fault::render("empty separator"));
        }
        self.budget.text(text.len())?;
        let parts = match from_end {
            false => match text.split_once(&*separator) {
                Some((before, after)) => [before, &separator, after],
                None => [text, "", ""],
            },
            true => match text.rsplit_once(&*separator) {
                Some((before, after)) => [before, &separator, after],
                None => ["", "", text],
            },
        };
        Value::tuple(parts.into_iter().map(Value::text).collect(), &self.budget)
    }

    /// The part of a text between two places, and where it begins in characters; none where Python finds
    /// nothing, not even an empty text.
    fn part<'t>(
        &self,
        text: &'t str,
        bounds: [Option<Value>; 2],
    ) -> Outcome<Option<(&'t str, usize)>> {
        let [start, end] = bounds;
        if start.is_none() && end.is_none() {
            return Ok(Some((text, 0)));
        }
        self.budget.scan(text.len() * 8)?;
        let length = text.chars().count() as i128;
        let place = |bound: Option<Value>, default: i128| match bound {
            None | Some(Value::None) => Ok(default),
            Some(value) => {
                let at = self.whole_argument("a place in a text", &value)?;
                Ok((if at < 0 { at.saturating_add(length) } else { at }).max(0))
            }
        };
        let (start, end) = (place(start, 0)?, place(end, length)?.min(length));
        if start > end {
            return Ok(None);
        }
        let byte = |at: i128| text.char_indices().nth(at as usize).map_or(text.len(), |(at, _)| at);
        Ok(Some((&text[byte(start)..byte(end)], start as usize)))
    }

    fn begins(&self, text: &str, at_end: bool, values: &Values) -> Outcome<Value> {
        let name = if at_end { "endswith" } else { "startswith" };
        let [parts, start, end] = values.bind(name, ["part", "start", "end"])?;
        let parts = match parts {
            Some(Value::Tuple(parts)) => parts.items.clone(),
            part => vec![part.unwrap_or(Value::None)],
        };
        let Some((text, _)) = self.part(text, [start, end])? else {
            return Ok(Value::Bool(false));
        };
        for part in parts {
            let part = self.text_argument(name, Some(part))?;
            if if at_end { text.ends_with(&*part) } else { text.starts_with(&*part) } {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    }

    fn find(&self, text: &str, name: &str, values: &Values) -> Outcome<Value> {
        let [part, start, end] = values.bind(name, ["sub", "start", "end"])?;
        let part = self.text_argument(name, part)?;
        let range = self.part(text, [start, end])?;
        if name == "count" {
            let count = match range {
                None => 0,
                Some((text, _)) if part.is_empty() => text.chars().count() + 1,
                Some((text, _)) => text.matches(&*part).count(),
            };
            return Ok(Value::Int(count as i128));
        }
        let found = range.and_then(|(text, before)| {
            let at = if name.starts_with('r') { text.rfind(&*part) } else { text.find(&*part) };
            at.map(|at| before + text[..at].chars().count())
        });
        match found {
            Some(at) => Ok(Value::Int(at as i128)),
            None if name.ends_with("find") => Ok(Value::Int(-1)),
            None => Err(Fault::render("substring not found")),
        }
    }

    fn replace(&self, text: &str, values: &Values) -> Outcome<Value> {
        let [old, new, count] = values.bind("replace", ["old", "new", "count"])?;
        let (old, new) = (self.text_argument("replace", old)?, self.text_argument("replace", new)?);
        let count = count.map_or(Ok(-1), |count| self.whole_argument("count", &count))?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let found = match old.is_empty() {
            true => text.chars().count() + 1,
            false => text.matches(&*old).count(),
        };
        self.budget.text(text.len().saturating_add(found.min(count).saturating_mul(new.len())))?;
        Ok(Value::text(text.replacen(&*old, &new, found.min(count))))
    }

    fn join_method(&self, separator: &str, values: &Values) -> Outcome<Value> {
        let [items] = values.bind("join", ["iterable"])?;
        let mut text = String::new();
        for (at, item) in self.iterate(&items.unwrap_or(Value::None))?.items.iter().enumerate() {
            if at > 0 {
                self.budget.text(separator.len())?;
                text.push_str(separator);
            }
            match item {
                Value::Text(_) => self.write_str(item, &mut text)?,
                other => {
                    let kind = other.type_name();
                    return Err(Fault::render(format!(
                        "sequence item {at}: expected str instance, {kind} found"
                    )));
                }
            }
        }
        Ok(Value::text(text))
    }

    fn pad(&self, text: &str, name: &str, values: &Values) -> Outcome<Value> {
        let first = if name == "expandtabs" { "tabsize" } else { "width" };
        let [width, fill] = values.bind(name, [first, "fillchar"])?;
        let default = if name == "expandtabs" { Value::Int(8) } else { Value::None };
        let width = self.whole_argument(first, &width.unwrap_or(default))?;
        let width = usize::try_from(width.max(0)).unwrap_or(usize::MAX);
        if name == "expandtabs" {
            return self.expand_tabs(text, width);
        }
        let fill = match fill {
            None => ' ',
            fill => {
                let fill = self.text_argument(name, fill)?;
                let mut chars = fill.chars();
                match (chars.next(), chars.next()) {
                    (Some(fill), None) => fill,
                    _ => {
                        let problem = "The fill character must be exactly one character long";
                        return Err(Fault::render(problem));
                    }
                }
            }
        };
        let missing = width.saturating_sub(text.chars().count());
        self.budget.text(text.len().saturating_add(missing.saturating_mul(fill.len_utf8())))?;
        let fills = |count: usize| fill.to_string().repeat(count);
        Ok(Value::text(match name {
            "ljust" => format!("{text}{}", fills(missing)),
            "rjust" => format!("{}{text}", fills(missing)),
            "zfill" => {
                let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
                let sign = &text[..text.len() - digits.len()];
                format!("{sign}{}{digits}", "0".repeat(missing))
            }
            _ => {
                // Python puts the odd one to the left if the width is odd too.
                let left = missing / 2 + (missing & width & 1);
                format!("{}{text}{}", fills(left), fills(missing - left))
            }
        }))
    }

    fn expand_tabs(&self, text: &str, size: usize) -> Outcome<Value> {
        let tabs = text.matches('\t').count();
        self.budget.text(text.len().saturating_add(tabs.saturating_mul(size)))?;
        let (mut out, mut column) = (String::new(), 0);
        for char in text.chars() {
            match char {
                '\t' => {
                    let blanks = if size == 0 { 0 } else { size - column % size };
                    out.push_str(&" ".repeat(blanks));
                    column += blanks;
                }
                char => {
                    out.push(char);
                    column = if matches!(char, '\n' | '\r') { 0 } else { column + 1 };
                }
            }
        }
        Ok(Value::text(out))
    }
}

/// `split` at blanks: at most so many cuts, from the one end or the other.
fn words(text: &str, most: usize, from_end: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_matches(is_space);
    if !from_end {
        rest = text.trim_start_matches(is_space);
    } else {
        rest = if most == usize::MAX { rest } else { text.trim_end_matches(is_space) };
    }
    while !rest.is_empty() && parts.len() < most {
        let cut = match from_end {
            false => {
                rest.find(is_space).map(|at| (&rest[..at], rest[at..].trim_start_matches(is_space)))
            }
            true => rest.rfind(is_space).map(|at| {
                let after = at + rest[at..].chars().next().map_or(1, char::len_utf8);
                (&rest[after..], rest[..at].trim_end_matches(is_space))
            }),
        };
        let (word, others) = cut.unwrap_or((rest, ""));
        parts.push(word);
        rest = others;
    }
    if !rest.is_empty() {
        parts.push(rest);
    }
    if from_end {
        parts.reverse();
    }
    parts
}

fn swapped(char: char) -> Vec<char> {
    match char.is_uppercase() {
        true => char.to_lowercase().collect(),
        false => char.to_uppercase().collect(),
    }
}

/// `str.title`: every letter after none is a capital.
fn titled(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for char in text.chars() {
        match inside {
            true => out.extend(char.to_lowercase()),
            false => out.extend(char.to_uppercase()),
        }
        inside = char.is_alphabetic();
    }
    out
}

/// The methods `is…`.
fn is(text: &str, name: &str) -> bool {
    let all = |is: fn(char) -> bool| !text.is_empty() && text.chars().all(is);
    match name {
        "isalnum" => all(char::is_alphanumeric),
        "isalpha" => all(char::is_alphabetic),
        "isascii" => text.is_ascii(),
        "isdecimal" | "isdigit" => all(|char| char.is_ascii_digit()),
        "isnumeric" => all(char::is_numeric),
        "isspace" => all(is_space),
        "isprintable" => text.chars().all(is_printable),
        "islower" => cased(text, char::is_lowercase, char::is_uppercase),
        "isupper" => cased(text, char::is_uppercase, char::is_lowercase),
        "istitle" => titled(text) == text && text.chars().any(char::is_uppercase),
        _ => {
            let starts = text.starts_with(|char: char| char == '_' || char.is_alphabetic());
            starts && text.chars().all(|char| char == '_' || char.is_alphanumeric())
        }
    }
}
