//! Labels of all answers and nothing else.
//!
//! An answer is its content, its calls, and the token that ends it. Of a template that is not one of the named
//! it is found by rendering again with marks around the contents. Where the template looks into them, as for the end of
//! a thought, so that marks change what it writes, each content is found by what stays when another is in its place.

use std::ops::Range;

use olmo_core::jinja::Data;
use olmo_core::Result;

use super::open_instruct::overlapping;
use super::Labeller;
use crate::conversation::Conversation;
use crate::template::Rendered;

/// Characters for private use.
const MARKS: [char; 2] = ['\u{F0000}', '\u{F0001}'];
const STAND_IN: char = '\u{F0002}';

/// Errors with why the answers cannot be found.
pub fn mask(
    labeller: &Labeller,
    conversation: &Conversation,
    whole: &Rendered,
    ids: &[u32],
) -> Result<Result<Vec<u8>, String>> {
    let turns = match labeller.template.knows_turns() {
        true => whole.turns.iter().map(|&(start, end)| start..end).collect(),
        false => match marked(labeller, conversation, whole)? {
            Ok(turns) => turns,
            Err(problem) => return Ok(Err(problem)),
        },
    };
    Ok(Ok(overlapping(labeller, ids, &turns)))
}

/// The answers of a text, by marks.
fn marked(
    labeller: &Labeller,
    conversation: &Conversation,
    whole: &Rendered,
) -> Result<Result<Vec<Range<usize>>, String>> {
    let mut with_marks = conversation.clone();
    let marks = with_marks.raw.iter_mut().map(mark).filter(|is_marked| *is_marked).count();
    let rendered = labeller.template.render(&with_marks, conversation.messages.len(), false)?;
    let (mut text, mut turns, mut open) = (String::new(), Vec::new(), None);
    for char in rendered.map(|rendered| rendered.text).unwrap_or_default().chars() {
        match char {
            '\u{F0000}' => open = Some(text.len()),
            '\u{F0001}' => turns.extend(open.take().map(|start: usize| start..text.len())),
            char => text.push(char),
        }
    }
    // Of an answer that was not written whole a mark is missing.
    if text != whole.text || turns.len() != marks {
        turns = match replaced(labeller, conversation, whole)? {
            Ok(turns) => turns,
            Err(problem) => return Ok(Err(problem)),
        };
    }
    for turn in &mut turns {
        turn.end += labeller.encoder.added_token_at(&whole.text[turn.end..]).unwrap_or(0);
    }
    Ok(Ok(turns))
}

/// The answers of a text, each by what stands before and behind it.
fn replaced(
    labeller: &Labeller,
    conversation: &Conversation,
    whole: &Rendered,
) -> Result<Result<Vec<Range<usize>>, String>> {
    let count = conversation.messages.len();
    let mut turns = Vec::new();
    for index in 0..count {
        let mut other = conversation.clone();
        if !replace(&mut other.raw[index], |_| STAND_IN.to_string()) {
            continue;
        }
        let text = match labeller.template.render(&other, count, false)? {
            Ok(rendered) => rendered.text,
            Err(problem) => return Ok(Err(problem)),
        };
        let parts: Vec<&str> = text.split(STAND_IN).collect();
        match parts[..] {
            // The template does not write it.
            [_] => {}
            [before, after]
                if whole.text.starts_with(before)
                    && whole.text.ends_with(after)
                    && before.len() + after.len() <= whole.text.len() =>
            {
                turns.push(before.len()..whole.text.len() - after.len());
            }
            _ => {
                let number = index + 1;
                return Ok(Err(format!(
                    "the chat template does not write message {number} in one place, so that its tokens cannot be told"
                )));
            }
        }
    }
    Ok(Ok(turns))
}

/// Puts marks around the content of an answer. False if it is none.
fn mark(data: &mut Data) -> bool {
    let [open, close] = MARKS;
    replace(data, |text| format!("{open}{}{close}", text.replace(MARKS, "")))
}

/// Puts another content into an answer. False if it is none, or has none.
fn replace(data: &mut Data, other: impl Fn(&str) -> String) -> bool {
    let is_answer = data.get("role").and_then(Data::as_text) == Some("assistant");
    let Data::Dict(entries) = data else { return false };
    let content = entries.iter_mut().find(|(name, _)| name == "content");
    match content {
        Some((_, Data::Text(text))) if is_answer => {
            *text = other(text);
            true
        }
        _ => false,
    }
}
