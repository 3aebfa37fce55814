//! Whether a span that was found by numbers of tokens is its answer's.
//!
//! Source: `_verify_assistant_spans_cover_content` in `open_instruct/dataset_transformation.py` at e6c3044.

use std::ops::Range;

use super::Reason;
use crate::conversation::Conversation;
use crate::encoder::{begins, Encoder};
use crate::python;
use crate::template::Rendered;

/// What is wrong with the span of one answer, if anything is.
pub fn problem(
    encoder: &Encoder,
    conversation: &Conversation,
    whole: &Rendered,
    ids: &[u32],
    (index, span): (usize, Range<usize>),
) -> Option<Reason> {
    let content = conversation.messages[index].content.as_deref()?;
    // An empty one, and one that the template writes in another way, can be compared with nothing.
    if content.is_empty() || !whole.text.contains(content) {
        return None;
    }
    let reaches_the_end = span.end >= ids.len();
    let (start, end) = (span.start, span.end.min(ids.len()));
    if start >= end {
        return None;
    }
    let decoded = encoder.decode(&ids[start..end]);
    if reaches_the_end && begins(content, &decoded) {
        return None;
    }
    let Some(at) = decoded.find(content) else { return Some(Reason::SpanMissesContent) };
    if !python::lstrip(&decoded).starts_with(content) {
        return Some(Reason::SpanInHeader);
    }
    let rest = &decoded[at + content.len()..];
    let later =
        conversation.messages[index + 1..].iter().filter_map(|message| message.content.as_deref());
    let runs_on = later.into_iter().any(|content| !content.is_empty() && rest.contains(content));
    runs_on.then_some(Reason::SpanRunsOn)
}
