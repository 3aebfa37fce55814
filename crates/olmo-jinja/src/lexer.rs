//! From a template's text to tokens, with jinja2's rules for blanks around tags: `trim_blocks` and
//! `lstrip_blocks` are on, as in transformers.
//!
//! Source: `jinja2/lexer.py` 3.1.6.

use std::sync::Arc;

use super::fault::{Fault, Outcome};

#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    Data(Arc<str>),
    BlockBegin,
    BlockEnd,
    VariableBegin,
    VariableEnd,
    Name(Arc<str>),
    Text(Arc<str>),
    Int(i128),
    Float(f64),
    Sign(&'static str),
    End,
}

pub struct Spanned {
    pub token: Token,
    pub line: u32,
}

/// Longest first.
const SIGNS: [&str; 26] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}",
    ">", "<", "=", ".", ":", "|", ",", ";",
];

/// All tokens of a template; the last one is [`Token::End`].
pub fn tokens(source: &str) -> Outcome<Vec<Spanned>> {
    let source = normalized(source);
    let mut lexer =
        Lexer { source: &source, at: 0, line: 1, at_line_start: true, tokens: Vec::new() };
    lexer.run()?;
    lexer.push(Token::End);
    Ok(lexer.tokens)
}

/// Line ends as `\n`, and without the last one.
fn normalized(source: &str) -> String {
    let mut source = source.replace("\r\n", "\n").replace('\r', "\n");
    if source.ends_with('\n') {
        source.pop();
    }
    source
}

#[derive(Clone, Copy, PartialEq)]
enum Tag {
    Block,
    Variable,
    Comment,
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
    line: u32,
    /// Whether the last token ended with a line end.
    at_line_start: bool,
    tokens: Vec<Spanned>,
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn push(&mut self, token: Token) {
        self.tokens.push(Spanned { token, line: self.line });
    }

    fn advance(&mut self, bytes: usize) {
        let passed = &self.rest()[..bytes];
        self.line += passed.matches('\n').count() as u32;
        self.at += bytes;
    }

    fn run(&mut self) -> Outcome<()> {
        while let Some((offset, tag)) = next_tag(self.rest()) {
            let text = &self.rest()[..offset];
            let after = &self.rest()[offset + 2..];
            let sign = after.chars().next().filter(|sign| matches!(sign, '-' | '+'));
            self.data(text, sign, tag);
            self.advance(offset + 2 + usize::from(sign.is_some()));
            match tag {
                Tag::Comment => self.comment()?,
                Tag::Variable => self.inside(Token::VariableBegin, Tag::Variable)?,
                Tag::Block => match raw_begin(self.rest()) {
                    Some(length) => self.raw(length)?,
                    None => self.inside(Token::BlockBegin, Tag::Block)?,
                },
            }
            self.at_line_start = self.source[..self.at].ends_with('\n');
        }
        let rest = self.rest();
        if !rest.is_empty() {
            self.push(Token::Data(rest.into()));
            self.advance(rest.len());
        }
        Ok(())
    }

    /// Text before a tag, without the blanks that the tag takes away.
    fn data(&mut self, text: &str, sign: Option<char>, tag: Tag) {
        let kept = match sign {
            Some('-') => text.trim_end_matches(is_space),
            Some(_) => text,
            None if tag == Tag::Variable => text,
            None => {
                let line = text.rfind('\n').map_or(0, |end| end + 1);
                let alone = line > 0 || self.at_line_start;
                match alone && text[line..].chars().all(is_space) {
                    true => &text[..line],
                    false => text,
                }
            }
        };
        if !kept.is_empty() {
            self.push(Token::Data(kept.into()));
        }
    }

    fn comment(&mut self) -> Outcome<()> {
        let Some(end) = self.rest().find("#}") else {
            return Err(Fault::syntax(self.line, "Missing end of comment tag"));
        };
        let before = self.rest()[..end].chars().next_back();
        self.close(end, before.filter(|sign| matches!(sign, '-' | '+')));
        Ok(())
    }

    fn raw(&mut self, length: usize) -> Outcome<()> {
        let begin = self.rest()[..length].trim_end_matches(is_space);
        let trims = begin.ends_with("-%}");
        let length = if trims { length } else { begin.len() };
        self.advance(length);
        self.at_line_start = self.source[..self.at].ends_with('\n');
        let mut from = 0;
        while let Some(found) = self.rest()[from..].find("{%") {
            let start = from + found;
            let after = &self.rest()[start + 2..];
            let sign = after.chars().next().filter(|sign| matches!(sign, '-' | '+'));
            let word = after[usize::from(sign.is_some())..].trim_start_matches(is_space);
            let end = word.strip_prefix("endraw").map(|end| end.trim_start_matches(is_space));
            let end = end.and_then(|end| {
                let closing = end.strip_prefix(['-', '+']).unwrap_or(end);
                closing.starts_with("%}").then(|| (end, self.rest().len() - closing.len()))
            });
            if let Some((end, closing)) = end {
                let text = &self.rest()[..start];
                self.data(text, sign, Tag::Block);
                self.close(closing, end.chars().next().filter(|sign| matches!(sign, '-' | '+')));
                return Ok(());
            }
            from = start + 2;
        }
        Err(Fault::syntax(self.line, "Missing end of raw directive"))
    }

    /// Leaves a block or comment whose closing two characters are at `end`.
    fn close(&mut self, end: usize, sign: Option<char>) {
        self.advance(end + 2);
        let skip = match sign {
            Some('-') => self.rest().len() - self.rest().trim_start_matches(is_space).len(),
            Some(_) => 0,
            None => usize::from(self.rest().starts_with('\n')),
        };
        self.advance(skip);
    }

    /// What is between `{{` and `}}`, or `{%` and `%}`.
    fn inside(&mut self, begin: Token, tag: Tag) -> Outcome<()> {
        let start = self.line;
        self.push(begin);
        let (end, end_token) = match tag {
            Tag::Variable => ("}}", Token::VariableEnd),
            _ => ("%}", Token::BlockEnd),
        };
        let mut open = Vec::new();
        loop {
            let blanks = self.rest().len() - self.rest().trim_start_matches(is_space).len();
            self.advance(blanks);
            let rest = self.rest();
            let closing = rest.strip_prefix(['-', '+']).unwrap_or(rest);
            let plus_in_variable = tag == Tag::Variable && rest.starts_with('+');
            if open.is_empty() && closing.starts_with(end) && !plus_in_variable {
                self.push(end_token);
                let sign = rest.chars().next().filter(|sign| matches!(sign, '-' | '+'));
                match (tag, sign) {
                    (Tag::Variable, None) => self.advance(2),
                    _ => self.close(rest.len() - closing.len(), sign),
                }
                return Ok(());
            }
            if rest.is_empty() {
                return Err(Fault::syntax(
                    start,
                    format!("unexpected end of template: a tag without its {end}"),
                ));
            }
            self.token(&mut open)?;
        }
    }

    fn token(&mut self, open: &mut Vec<&'static str>) -> Outcome<()> {
        let rest = self.rest();
        let first = rest.chars().next().unwrap_or(' ');
        if first == '"' || first == '\'' {
            return self.string(first);
        }
        if first.is_ascii_digit() {
            return self.number();
        }
        if is_name_start(first) {
            let length = rest.find(|char| !is_name(char)).unwrap_or(rest.len());
            self.push(Token::Name(rest[..length].into()));
            self.advance(length);
            return Ok(());
        }
        let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) else {
            return Err(Fault::syntax(self.line, format!("unexpected char {first:?}")));
        };
        match sign {
            "(" => open.push(")"),
            "[" => open.push("]"),
            "{" => open.push("}"),
            ")" | "]" | "}" if open.pop() != Some(sign) => {
                return Err(Fault::syntax(self.line, format!("unexpected '{sign}'")));
            }
            _ => {}
        }
        self.push(Token::Sign(sign));
        self.advance(sign.len());
        Ok(())
    }

    fn string(&mut self, quote: char) -> Outcome<()> {
        let mut escaped = false;
        let end = self.rest()[1..].find(|char| {
            let ends = char == quote && !escaped;
            escaped = char == '\\' && !escaped;
            ends
        });
        let Some(end) = end else {
            return Err(Fault::syntax(self.line, "a text without its closing quote"));
        };
        let text = super::escapes::unescape(&self.rest()[1..=end])
            .map_err(|problem| Fault::syntax(self.line, problem))?;
        self.push(Token::Text(text.into()));
        self.advance(end + 2);
        Ok(())
    }

    fn number(&mut self) -> Outcome<()> {
        let (token, length) = super::escapes::number(self.rest())
            .ok_or_else(|| Fault::syntax(self.line, "a number that is too large"))?;
        self.push(token);
        self.advance(length);
        Ok(())
    }
}

/// Where the next tag begins, and of which kind it is.
fn next_tag(text: &str) -> Option<(usize, Tag)> {
    let mut from = 0;
    while let Some(found) = text[from..].find('{') {
        let at = from + found;
        match text.as_bytes().get(at + 1) {
            Some(b'%') => return Some((at, Tag::Block)),
            Some(b'{') => return Some((at, Tag::Variable)),
            Some(b'#') => return Some((at, Tag::Comment)),
            _ => from = at + 1,
        }
    }
    None
}

/// The length of `raw %}` and, if that says so, the blanks after it.
fn raw_begin(text: &str) -> Option<usize> {
    let word = text.trim_start_matches(is_space).strip_prefix("raw")?;
    let end = word.trim_start_matches(is_space);
    let trims = end.starts_with('-');
    let after = end.strip_prefix('-').unwrap_or(end).strip_prefix("%}")?;
    let after = if trims { after.trim_start_matches(is_space) } else { after };
    Some(text.len() - after.len())
}

fn is_name_start(char: char) -> bool {
    char == '_' || char.is_alphabetic()
}

fn is_name(char: char) -> bool {
    char == '_' || char.is_alphanumeric()
}

/// What Python's `str.isspace` and `\s` take for a blank.
pub fn is_space(char: char) -> bool {
    char.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&char)
}
