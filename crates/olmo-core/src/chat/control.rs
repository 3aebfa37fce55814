//! Special tokens that people spell in their messages, told apart from the template's own.
//!
//! Source: `mark_control_tokens` and `encode_marked_chat` in `transformers/utils/chat_template_utils.py`,
//! 5.24, which transformers uses with `sanitize_control_tokens=True`.

use std::ops::Range;

use crate::jinja::Data;
use crate::tokenizer::Tokenizer;
use crate::Result;

/// Characters for private use, put around what is to stay plain text.
const START: char = '\u{F0000}';
const END: char = '\u{F0001}';

/// The tokens that steer the model: the special ones, and others that the template spells.
pub fn tokens(tokenizer: &Tokenizer, template: &str) -> Vec<String> {
    let added = tokenizer.added_tokens().into_iter();
    let mut tokens: Vec<String> = added
        .filter(|(text, special)| !text.is_empty() && (*special || template.contains(text)))
        .map(|(text, _)| text)
        .collect();
    tokens.sort_by_key(|text| std::cmp::Reverse(text.len()));
    tokens
}

/// Marks the tokens in all texts, and in parts of one message what could become a token where the
/// template joins them.
pub fn mark(data: Data, tokens: &[String]) -> Data {
    match data {
        Data::Dict(entries) => Data::Dict(
            entries
                .into_iter()
                .map(|(name, value)| match value {
                    Data::List(parts) if name == "content" && parts.len() > 1 => {
                        let mut change = |text| mark_text(text, tokens, true);
                        (name, Data::List(parts).map_texts(&mut change))
                    }
                    value => (name, mark(value, tokens)),
                })
                .collect(),
        ),
        Data::List(items) => Data::List(items.into_iter().map(|item| mark(item, tokens)).collect()),
        other => other.map_texts(&mut |text| mark_text(text, tokens, false)),
    }
}

fn mark_text(text: String, tokens: &[String], with_parts: bool) -> String {
    // Marks that were there already could unmark a token.
    let text = if text.contains([START, END]) { text.replace([START, END], "") } else { text };
    let mut ranges = matches(&text, tokens);
    if with_parts {
        let begins = |token: &String| {
            (1..token.len())
                .filter(|&at| token.is_char_boundary(at))
                .rev()
                .find(|&at| text.ends_with(&token[..at]))
        };
        let ends = |token: &String| {
            (1..token.len())
                .filter(|&at| token.is_char_boundary(at))
                .find(|&at| text.starts_with(&token[at..]))
                .map(|at| token.len() - at)
        };
        if let Some(length) = tokens.iter().filter_map(ends).max() {
            if ranges.first().is_none_or(|first| first.start >= length) {
                ranges.insert(0, 0..length);
            }
        }
        if let Some(length) = tokens.iter().filter_map(begins).max() {
            let start = text.len() - length;
            if ranges.last().is_none_or(|last| last.end <= start) {
                ranges.push(start..text.len());
            }
        }
    }
    if ranges.is_empty() {
        return text;
    }
    let mut out = String::with_capacity(text.len() + ranges.len() * 8);
    let mut from = 0;
    for range in ranges {
        out.push_str(&text[from..range.start]);
        out.push(START);
        out.push_str(&text[range.clone()]);
        out.push(END);
        from = range.end;
    }
    out.push_str(&text[from..]);
    out
}

/// Where the tokens are in a text: from left to right, the longest first, none within another.
fn matches(text: &str, tokens: &[String]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for token in tokens {
        found.extend(text.match_indices(token.as_str()).map(|(at, token)| at..at + token.len()));
    }
    found.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
    let mut end = 0;
    found.retain(|range| {
        let keep = range.start >= end;
        if keep {
            end = range.end;
        }
        keep
    });
    found
}

/// The ids of a rendering with marks. A token of which any part is marked is plain text.
pub fn encode(marked: &str, tokens: &[String], tokenizer: &Tokenizer) -> Result<Vec<u32>> {
    if !marked.contains([START, END]) {
        return tokenizer.encode(marked, false);
    }
    let mut text = String::with_capacity(marked.len());
    let mut plain: Vec<Range<usize>> = Vec::new();
    let mut open = None;
    for char in marked.chars() {
        match char {
            START => open = Some(text.len()),
            // A mark whose other half the template cut off still keeps both sides apart.
            END => plain.push(open.take().unwrap_or(text.len())..text.len()),
            char => text.push(char),
        }
    }
    plain.extend(open.map(|start| start..text.len()));
    let is_plain = |token: &Range<usize>| {
        plain.iter().any(|range| match range.is_empty() {
            true => token.start < range.start && range.start < token.end,
            false => range.start < token.end && token.start < range.end,
        })
    };
    let mut ids = Vec::new();
    let mut from = 0;
    for token in matches(&text, tokens).into_iter().filter(is_plain) {
        if from < token.start {
            ids.extend(tokenizer.encode(&text[from..token.start], false)?);
        }
        ids.extend(tokenizer.encode_plain(&text[token.clone()])?);
        from = token.end;
    }
    if from < text.len() {
        ids.extend(tokenizer.encode(&text[from..], false)?);
    }
    Ok(ids)
}
