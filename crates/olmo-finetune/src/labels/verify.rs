//! Whether a span that was found by numbers of tokens is its answer's.
//!
//! Source: `_verify_assistant_spans_cover_content` in `open_instruct/dataset_transformation.py` at e6c3044.

use std::ops::Range;

use super::Reason;
use crate::conversation::Conversation;
use crate::encoder::{begins, Encoder};
use crate::python;
use crate::template::Rendered;

/// What is wrong with the span of one answer, if anything is. Errors with what theirs does not survive.
pub fn problem(
    encoder: &Encoder,
    conversation: &Conversation,
    whole: &Rendered,
    ids: &[u32],
    (index, span): (usize, Range<usize>),
) -> Result<Option<Reason>, String> {
    // An empty one, and one that the template writes in another way, can be compared with nothing.
    let Some(content) = compared(conversation, index)? else { return Ok(None) };
    if !whole.text.contains(content) {
        return Ok(None);
    }
    let reaches_the_end = span.end >= ids.len();
    let (start, end) = (span.start, span.end.min(ids.len()));
    if start >= end {
        return Ok(None);
    }
    let decoded = encoder.decode(&ids[start..end]);
    if reaches_the_end && begins(content, &decoded) {
        return Ok(None);
    }
    let Some(at) = decoded.find(content) else { return Ok(Some(Reason::SpanMissesContent)) };
    if !python::lstrip(&decoded).starts_with(content) {
        return Ok(Some(Reason::SpanInHeader));
    }
    let rest = &decoded[at + content.len()..];
    for later in index + 1..conversation.messages.len() {
        if compared(conversation, later)?.is_some_and(|content| rest.contains(content)) {
            return Ok(Some(Reason::SpanRunsOn));
        }
    }
    Ok(None)
}

/// The content of a message, if Python takes it for true. Errors if it is looked for in a text and is none.
fn compared(conversation: &Conversation, index: usize) -> Result<Option<&str>, String> {
    let message = &conversation.messages[index];
    let Some(content) = message.content.as_deref().filter(|content| !content.is_empty()) else {
        return Ok(None);
    };
    match message.no_text.content {
        true if ["0", "0.0", "-0.0", "False"].contains(&content) => Ok(None),
        true => Err(format!(
            "the content of message {} is no text, and Open Instruct's rule looks for it in one",
            index + 1
        )),
        false => Ok(Some(content)),
    }
}
