//! Open Instruct's rule for what an answer is.
//!
//! Source: `_tokenize_tulu_sft_with_assistant_labels` in `open_instruct/dataset_transformation.py` at e6c3044.
//!
//! ```text
//! for each message k of the assistant:
//!     header  = the messages before k, with the head of an answer after them
//!     through = the messages up to k
//! if all headers and throughs begin the whole text:
//!     a token is learnt if it overlaps what lies between a header and its through
//! else, by numbers of tokens:
//!     ids[count(header) : count(through)] are learnt, if each of those spans passes as its answer
//! ```

use std::ops::Range;

use olmo_core::Result;

use super::{verify, Labeller, Reason};
use crate::conversation::Conversation;
use crate::encoder::Memory;
use crate::template::Rendered;

/// Bytes of beginnings that one conversation may be rendered to: their number grows with the square of its
/// messages.
const MOST_RENDERED: usize = 1 << 31;

/// Labels, or why they cannot be found; fails with what the template cannot do.
pub type Mask = Result<Vec<u8>, Reason>;

/// One mask for the ids of the whole conversation, which may have been cut.
pub fn mask(
    labeller: &Labeller,
    conversation: &Conversation,
    whole: &Rendered,
    ids: &[u32],
    memory: &mut Memory,
) -> Result<Result<Mask, String>> {
    let answers: Vec<usize> = conversation
        .messages
        .iter()
        .enumerate()
        .filter(|(_, message)| message.is_from("assistant"))
        .map(|(index, _)| index)
        .collect();
    if answers.len().saturating_mul(2 * whole.text.len()) > MOST_RENDERED {
        return Ok(Err("the conversation is too long for its number of answers".to_owned()));
    }
    let mut spans = Vec::with_capacity(answers.len());
    for &index in &answers {
        let Ok(beginnings) = beginnings(labeller, conversation, index)? else {
            return Ok(Ok(Err(Reason::PrefixFails)));
        };
        let (header, through) = beginnings;
        let begins = |text: &str| whole.text.starts_with(text);
        if header.len() > through.len() || !begins(&header) || !begins(&through) {
            return by_counts(labeller, conversation, whole, ids, (&answers, memory));
        }
        spans.push(header.len()..through.len());
    }
    Ok(Ok(Ok(overlapping(labeller, ids, &spans))))
}

/// Labels of the tokens that have a byte in one of the spans, or one of them within themselves.
pub fn overlapping(labeller: &Labeller, ids: &[u32], spans: &[Range<usize>]) -> Vec<u8> {
    let mut spans = spans.to_vec();
    spans.sort_by_key(|span| (span.start, span.end));
    let mut spans = spans.into_iter().peekable();
    let label = |(start, end): (usize, usize)| {
        while spans.next_if(|span| span.end <= start).is_some() {}
        let overlaps = |span: &Range<usize>| start < span.end && span.start < end;
        u8::from(start < end && spans.peek().is_some_and(overlaps))
    };
    labeller.encoder.spans(ids).map(label).collect()
}

type Beginnings = Result<(String, String), String>;

fn beginnings(
    labeller: &Labeller,
    conversation: &Conversation,
    index: usize,
) -> Result<Beginnings> {
    let render = |count, generate| labeller.template.render(conversation, count, generate);
    let header = match index {
        0 => String::new(),
        index => match render(index, true)? {
            Ok(header) => header.text,
            Err(problem) => return Ok(Err(problem)),
        },
    };
    Ok(render(index + 1, false)?.map(|through| (header, through.text)))
}

fn by_counts(
    labeller: &Labeller,
    conversation: &Conversation,
    whole: &Rendered,
    ids: &[u32],
    (answers, memory): (&[usize], &mut Memory),
) -> Result<Result<Mask, String>> {
    let mut spans = Vec::with_capacity(answers.len());
    for &index in answers {
        let (header, through) = match beginnings(labeller, conversation, index)? {
            Ok(beginnings) => beginnings,
            Err(problem) => return Ok(Err(problem)),
        };
        let mut count = |text: &str| -> Result<usize> {
            Ok(labeller.encoder.count(text, memory)?.min(labeller.max_seq_len))
        };
        let start = if index == 0 { 0 } else { count(&header)? };
        spans.push((index, start..count(&through)?));
    }
    let mut mask = vec![0; ids.len()];
    for (_, span) in &spans {
        let end = span.end.min(ids.len());
        if span.start < end {
            mask[span.start..end].fill(1);
        }
    }
    for (index, span) in spans {
        match verify::problem(labeller.encoder, conversation, whole, ids, (index, span)) {
            Ok(None) => {}
            Ok(Some(reason)) => return Ok(Ok(Err(reason))),
            Err(problem) => return Ok(Err(problem)),
        }
    }
    Ok(Ok(Ok(mask)))
}
