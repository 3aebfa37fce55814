//! Filters that lay a text out.

use super::text::escape;
use crate::eval::Values;
use crate::fault::{Fault, Outcome};
use crate::lexer::is_space;
use crate::methods::lines;
use crate::render::Renderer;
use crate::value::Value;

impl Renderer {
    pub(super) fn layout_filter(
        &mut self,
        name: &str,
        value: &Value,
        values: &Values,
    ) -> Outcome<Value> {
        if name == "xmlattr" {
            return self.xml_attributes(value, values);
        }
        let text = self.str(value)?;
        match name {
            "indent" => self.indent(&text, values),
            "truncate" => self.truncate(&text, values),
            "wordwrap" => self.word_wrap(&text, values),
            _ => self.urlize(&text),
        }
    }

    fn indent(&self, text: &str, values: &Values) -> Outcome<Value> {
        let [width, first, blank] = values.bind("indent", ["width", "first", "blank"])?;
        let by = match width {
            Some(Value::Text(text)) => text.to_string(),
            width => {
                let width = usize::try_from(self.whole("width", width.as_ref(), 4)?).unwrap_or(0);
                self.budget.text(width)?;
                " ".repeat(width)
            }
        };
        let first = first.is_some_and(|first| self.truth(&first));
        let blank = blank.is_some_and(|blank| self.truth(&blank));
        // As jinja2 does, so that a last line end is kept.
        let text = format!("{text}\n");
        let all = lines(&text, false);
        self.budget.text(text.len() + by.len().saturating_mul(all.len()))?;
        let mut out = String::new();
        for (at, line) in all.iter().enumerate() {
            if at > 0 {
                out.push('\n');
            }
            let indented = if at == 0 { first } else { blank || !line.is_empty() };
            if indented {
                out.push_str(&by);
            }
            out.push_str(line);
        }
        Ok(Value::text(out))
    }

    fn truncate(&self, text: &str, values: &Values) -> Outcome<Value> {
        let names = ["length", "killwords", "end", "leeway"];
        let [length, kill, end, leeway] = values.bind("truncate", names)?;
        let end = self.text_or(end.as_ref(), "...")?;
        let length = self.whole("length", length.as_ref(), 255)?;
        let leeway = self.whole("leeway", leeway.as_ref(), 5)?;
        let (size, end_size) = (text.chars().count() as i128, end.chars().count() as i128);
        if length < end_size {
            return Err(Fault::render(format!("expected length >= {end_size}, got {length}")));
        }
        if leeway < 0 {
            return Err(Fault::render(format!("expected leeway >= 0, got {leeway}")));
        }
        if size <= length.saturating_add(leeway) {
            return Ok(Value::text(text));
        }
        let kept: String = text.chars().take((length - end_size) as usize).collect();
        let kept = match kill.is_some_and(|kill| self.truth(&kill)) {
            true => &kept,
            false => kept.rsplit_once(' ').map_or(kept.as_str(), |(before, _)| before),
        };
        self.budget.text(kept.len() + end.len())?;
        Ok(Value::text(format!("{kept}{end}")))
    }

    fn word_wrap(&self, text: &str, values: &Values) -> Outcome<Value> {
        let names = ["width", "break_long_words", "wrapstring", "break_on_hyphens"];
        let [width, long, between, hyphens] = values.bind("wordwrap", names)?;
        let width = self.whole("width", width.as_ref(), 79)?;
        let Some(width) = usize::try_from(width).ok().filter(|&width| width > 0) else {
            return Err(Fault::render(format!("invalid width {width} (must be > 0)")));
        };
        let between = match between {
            Some(Value::None) | None => "\n".to_owned(),
            Some(between) => self.str(&between)?,
        };
        let long = long.is_none_or(|long| self.truth(&long));
        let hyphens = hyphens.is_none_or(|hyphens| self.truth(&hyphens));
        self.budget.text(text.len().saturating_mul(4 + between.len()))?;
        let wrapped = lines(text, false).into_iter();
        let wrapped = wrapped.map(|line| wrap(line, width, long, hyphens).join(&between));
        Ok(Value::text(wrapped.collect::<Vec<_>>().join(&between)))
    }

    fn urlize(&self, text: &str) -> Outcome<Value> {
        self.budget.text(text.len().saturating_mul(12))?;
        let mut out = String::new();
        for word in text.split_inclusive(is_space) {
            let bare = word.trim_end_matches(is_space);
            let link = bare.trim_start_matches(['(', '<']);
            let head = &bare[..bare.len() - link.len()];
            let link = link.trim_end_matches(['.', ',', ')', '>', '!', '?', ';', ':']);
            let tail = &word[head.len() + link.len()..];
            let prefix = match () {
                _ if link.starts_with("http://") || link.starts_with("https://") => "",
                _ if link.starts_with("www.") => "https://",
                _ => {
                    out.push_str(&escape(word));
                    continue;
                }
            };
            let (head, link, tail) = (escape(head), escape(link), escape(tail));
            out.push_str(&format!(
                "{head}<a href=\"{prefix}{link}\" rel=\"noopener\">{link}</a>{tail}"
            ));
        }
        Ok(Value::text(out))
    }

    fn xml_attributes(&self, value: &Value, values: &Values) -> Outcome<Value> {
        let [space] = values.bind("xmlattr", ["autospace"])?;
        let Value::Dict(dict) = self.defined(value)? else {
            let kind = value.type_name();
            return Err(Fault::render(format!("'{kind}' object has no attribute 'items'")));
        };
        let mut items = Vec::new();
        for (key, value) in &dict.entries {
            if matches!(value, Value::None | Value::Undefined(_)) {
                continue;
            }
            let (key, value) = (self.str(key)?, self.str(value)?);
            if key.contains(|char| is_space(char) || matches!(char, '/' | '>' | '=')) {
                return Err(Fault::render(format!("Invalid character in attribute name: '{key}'")));
            }
            self.budget.text((key.len() + value.len()) * 6)?;
            items.push(format!("{}=\"{}\"", escape(&key), escape(&value)));
        }
        let text = items.join(" ");
        let spaced = space.is_none_or(|space| self.truth(&space)) && !text.is_empty();
        Ok(Value::text(if spaced { format!(" {text}") } else { text }))
    }
}

/// `textwrap.wrap` of one line.
fn wrap(line: &str, width: usize, break_long: bool, hyphens: bool) -> Vec<String> {
    let size = |text: &str| text.chars().count();
    let mut out: Vec<String> = Vec::new();
    let mut current = String::new();
    let mut finish = |current: &mut String| {
        let done = current.trim_end_matches(is_space).to_owned();
        current.clear();
        if !done.is_empty() {
            out.push(done);
        }
    };
    let mut is_first = true;
    for chunk in chunks(line, hyphens) {
        if size(&current) + size(chunk) <= width {
            if !(current.is_empty() && !is_first && chunk.starts_with(is_space)) {
                current.push_str(chunk);
            }
            continue;
        }
        let mut rest = chunk;
        if size(chunk) > width && break_long {
            while size(rest) > width {
                let room =
                    width.saturating_sub(size(&current)).max(usize::from(current.is_empty()));
                let cut = rest.char_indices().nth(room).map_or(rest.len(), |(at, _)| at);
                current.push_str(&rest[..cut]);
                rest = &rest[cut..];
                finish(&mut current);
            }
        } else {
            finish(&mut current);
        }
        is_first = false;
        if !rest.starts_with(is_space) {
            current.push_str(rest);
        }
    }
    finish(&mut current);
    out
}

/// Words, with their hyphens, and the blanks between them.
fn chunks(line: &str, hyphens: bool) -> Vec<&str> {
    let mut chunks = Vec::new();
    let mut start = 0;
    let mut last: Option<char> = None;
    let mut before_last: Option<char> = None;
    for (at, char) in line.char_indices() {
        let changes = last.is_some_and(|last| is_space(last) != is_space(char));
        let letters = before_last.is_some_and(char::is_alphabetic) && char.is_alphabetic();
        if changes || hyphens && last == Some('-') && letters {
            chunks.push(&line[start..at]);
            start = at;
        }
        before_last = last;
        last = Some(char);
    }
    if start < line.len() {
        chunks.push(&line[start..]);
    }
    chunks
}
