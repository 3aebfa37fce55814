//! Labels of all answers and nothing else.
//!
//! An answer is its content, its calls, and the token that ends it. Of a template that is not one of the named
//! it is found by rendering again with marks around the contents.

use std::ops::Range;

use olmo_core::jinja::Data;
use olmo_core::Result;

use super::open_instruct::overlapping;
use super::Labeller;
use crate::conversation::Conversation;
use crate::template::Rendered;

/// Characters for private use.
const MARKS: [char; 2] = ['\u{F0000}', '\u{F0001}'];

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
    for data in &mut with_marks.raw {
        mark(data);
    }
    let rendered = labeller.template.render(&with_marks, conversation.messages.len(), false)?;
    let (mut text, mut turns, mut open) = (String::new(), Vec::new(), None);
    for char in rendered.map(|rendered| rendered.text).unwrap_or_default().chars() {
        match char {
            '\u{F0000}' => open = Some(text.len()),
            '\u{F0001}' => turns.extend(open.take().map(|start: usize| start..text.len())),
            char => text.push(char),
        }
    }
    if text != whole.text {
        let problem = "the chat template does not write an answer as it is, so that its tokens cannot be told";
        return Ok(Err(problem.to_owned()));
    }
    for turn in &mut turns {
        turn.end += labeller.encoder.added_token_at(&text[turn.end..]).unwrap_or(0);
    }
    Ok(Ok(turns))
}

/// Puts marks around the content of an answer.
fn mark(data: &mut Data) {
    let is_answer = data.get("role").and_then(Data::as_text) == Some("assistant");
    let Data::Dict(entries) = data else { return };
    for (name, value) in entries {
        if let (true, "content", Data::Text(text)) = (is_answer, name.as_str(), value) {
            let [open, close] = MARKS;
            *text = format!("{open}{}{close}", text.replace(MARKS, ""));
        }
    }
}
