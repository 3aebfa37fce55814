//! Which tokens of a conversation are learnt.

mod exact;
mod open_instruct;
mod verify;

use olmo_core::Result;
use serde::{Deserialize, Serialize};

use crate::conversation::Conversation;
use crate::encoder::{Encoder, Memory};
use crate::template::{Rendered, Template};

/// Whose rule it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Labels {
    /// As Open Instruct's `sft_tulu_tokenize_and_truncate_v1` labels, and what it drops.
    #[default]
    OpenInstruct,
    /// Every answer's content and what ends it, and nothing else.
    Exact,
}

/// Why a conversation is not in the output. The numbers stand in the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Reason {
    /// The row is no conversation that the format can take.
    Invalid = 1,
    /// Nothing in it was said by the assistant.
    NoAnswer = 2,
    /// The length it was cut to ends before an answer begins.
    CutBeforeAnswer = 3,
    /// No token is in a span of an answer, though there are answers.
    NoLabels = 4,
    /// The span of an answer does not cover its content.
    SpanMissesContent = 5,
    /// The span of an answer begins before its content.
    SpanInHeader = 6,
    /// The span of an answer reaches into a later message.
    SpanRunsOn = 7,
    /// The template cannot render the conversation up to an answer.
    PrefixFails = 8,
}

impl Reason {
    pub const ALL: [Reason; 8] = [
        Reason::Invalid,
        Reason::NoAnswer,
        Reason::CutBeforeAnswer,
        Reason::NoLabels,
        Reason::SpanMissesContent,
        Reason::SpanInHeader,
        Reason::SpanRunsOn,
        Reason::PrefixFails,
    ];

    pub fn of(number: u8) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| *reason as u8 == number)
    }

    /// In words.
    pub fn about(self) -> &'static str {
        match self {
            Reason::Invalid => "no conversation that can be taken",
            Reason::NoAnswer => "no message of the assistant",
            Reason::CutBeforeAnswer => "cut before the first answer",
            Reason::NoLabels => "no token of an answer is labelled",
            Reason::SpanMissesContent => "a span of labels does not cover its answer",
            Reason::SpanInHeader => "a span of labels begins before its answer",
            Reason::SpanRunsOn => "a span of labels reaches into a later message",
            Reason::PrefixFails => "the template cannot render its beginning",
        }
    }
}

/// A conversation as ids and labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Labelled {
    pub ids: Vec<u32>,
    /// 1 for each that is learnt.
    pub mask: Vec<u8>,
    /// Why it is to be dropped.
    pub reason: Option<Reason>,
    /// Whether the length cut it.
    pub is_cut: bool,
    /// Labelled tokens outside all answers, as far as is known.
    pub beside: u32,
    /// Under exact labels: what the other rule would have labelled.
    pub other: Option<Other>,
}

/// What Open Instruct's rule makes of a conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Other {
    pub drops: bool,
    pub labelled: u32,
}

/// What labelling needs.
pub struct Labeller<'a> {
    pub template: &'a Template,
    pub encoder: &'a Encoder,
    pub max_seq_len: usize,
    pub labels: Labels,
}

impl Labeller<'_> {
    /// Errors with what the template cannot do with the conversation.
    pub fn label(&self, conversation: &Conversation) -> Result<Result<Labelled, String>> {
        let mut memory = Memory::default();
        let whole = match self.template.render(conversation, conversation.messages.len(), false)? {
            Ok(whole) => whole,
            Err(problem) => return Ok(Err(problem)),
        };
        let mut ids = self.encoder.encode(&whole.text, &mut memory)?;
        let is_cut = ids.len() > self.max_seq_len;
        ids.truncate(self.max_seq_len);
        let theirs = open_instruct::mask(self, conversation, &whole, &ids, &mut memory)?;
        Ok(Ok(match self.labels {
            Labels::OpenInstruct => {
                let (mask, reason) = match theirs {
                    Ok(Ok(mask)) => (mask, None),
                    Ok(Err(reason)) => (vec![0; ids.len()], Some(reason)),
                    Err(problem) => return Ok(Err(problem)),
                };
                self.finish(
                    conversation,
                    &whole,
                    Labelled { ids, mask, reason, is_cut, ..Labelled::default() },
                )
            }
            Labels::Exact => {
                let mask = match exact::mask(self, conversation, &whole, &ids)? {
                    Ok(mask) => mask,
                    Err(problem) => return Ok(Err(problem)),
                };
                let labelled = theirs.ok().and_then(Result::ok).map_or(0, |mask| count(&mask));
                let other = Some(Other { drops: labelled == 0, labelled });
                self.finish(
                    conversation,
                    &whole,
                    Labelled { ids, mask, is_cut, other, ..Labelled::default() },
                )
            }
        }))
    }

    fn finish(
        &self,
        conversation: &Conversation,
        whole: &Rendered,
        mut found: Labelled,
    ) -> Labelled {
        if found.reason.is_none() && count(&found.mask) == 0 {
            found.reason = Some(self.why_none(conversation, &found));
        }
        if self.template.knows_turns() {
            let spans = self.encoder.spans(&found.ids).zip(&found.mask);
            let outside = |(start, end): (usize, usize)| {
                !whole.turns.iter().any(|&(from, to)| start < to && from < end)
            };
            found.beside =
                spans.filter(|&(span, &label)| label == 1 && outside(span)).count() as u32;
        }
        found
    }

    fn why_none(&self, conversation: &Conversation, found: &Labelled) -> Reason {
        match conversation.messages.iter().any(|message| message.is_from("assistant")) {
            false => Reason::NoAnswer,
            true if found.is_cut => Reason::CutBeforeAnswer,
            true => Reason::NoLabels,
        }
    }
}

pub fn count(mask: &[u8]) -> u32 {
    mask.iter().map(|&label| u32::from(label)).sum()
}
