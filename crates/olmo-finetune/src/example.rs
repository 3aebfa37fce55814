//! From a row to an example, in each format.

use olmo_core::{Error, Result};

use crate::conversation::{json_line, Conversation, Shape};
use crate::encoder::{Encoder, Memory};
use crate::labels::{count, Labeller, Reason};
use crate::python;
use crate::source::{Content, Row};
use crate::spool::{flags, Example};

/// How rows become examples.
pub enum Maker<'a> {
    OlmoCore { labeller: Labeller<'a>, eos: u32, bytes: usize },
    Olmo { encoder: &'a Encoder, eos: u32, eos_text: String, max_seq_len: usize, bytes: usize },
    OpenInstruct,
}

/// What is wrong with a row.
type Problem = String;

impl Maker<'_> {
    /// One example for each row: one that cannot be taken is [`Reason::Invalid`].
    pub fn make(&self, row: &Row) -> Result<Example> {
        let made = match self.read(row) {
            Ok(Conversation { wrong_tools: Some(problem), .. }) if !self.is_olmo() => Err(problem),
            Ok(conversation) if conversation.messages.is_empty() && !self.is_olmo() => {
                Err("the conversation has no messages".to_owned())
            }
            Ok(conversation) => self.of(&conversation)?.map(|mut example| {
                let shape = Shape::ALL.iter().position(|&shape| shape == conversation.shape);
                example.record.shape = shape.unwrap_or_default() as u8;
                example
            }),
            Err(problem) => Err(problem),
        };
        let mut example = made.unwrap_or_else(|problem| {
            let mut example = Example { problem, ..Example::default() };
            example.record.reason = Reason::Invalid as u8;
            example
        });
        let record = &mut example.record;
        (record.file, record.line) = (row.file, row.line);
        if record.reason != 0 {
            (example.body, example.mask) = (Vec::new(), Vec::new());
        }
        record.body = length(example.body.len())?;
        record.tokens = length(example.mask.len())?;
        record.problem = length(example.problem.len())?;
        record.labelled = count(&example.mask);
        Ok(example)
    }

    /// OLMo's program looks at no tools, and leaves out a conversation without messages as one without answers, where
    /// Open Instruct's ends.
    fn is_olmo(&self) -> bool {
        matches!(self, Maker::Olmo { .. })
    }

    fn read(&self, row: &Row) -> Result<Conversation, Problem> {
        match &row.content {
            Content::Line(line) => Conversation::from_json(line),
            Content::Value(value) => Conversation::from_row(value.clone()),
            Content::Broken(problem) => Err(problem.clone()),
        }
    }

    fn of(&self, conversation: &Conversation) -> Result<Result<Example, Problem>> {
        match self {
            Maker::OlmoCore { labeller, eos, bytes } => {
                olmo_core(labeller, *eos, *bytes, conversation)
            }
            Maker::Olmo { encoder, eos, eos_text, max_seq_len, bytes } => {
                let rule = Recipe { encoder, eos: *eos, eos_text, max_seq_len: *max_seq_len };
                rule.example(conversation, *bytes)
            }
            Maker::OpenInstruct => {
                let body = json_line(conversation).into_bytes();
                Ok(Ok(Example { body, ..Example::default() }))
            }
        }
    }
}

fn length(length: usize) -> Result<u32> {
    let too_long = |_| Error::Internal("an example of more than 4 GiB".to_owned());
    u32::try_from(length).map_err(too_long)
}

fn olmo_core(
    labeller: &Labeller,
    eos: u32,
    bytes: usize,
    conversation: &Conversation,
) -> Result<Result<Example, Problem>> {
    let found = match labeller.label(conversation)? {
        Ok(found) => found,
        Err(problem) => return Ok(Err(problem)),
    };
    let mut example = Example::default();
    let record = &mut example.record;
    record.reason = found.reason.map_or(0, |reason| reason as u8);
    record.beside = found.beside;
    record.flags = marks(labeller.encoder, conversation, found.is_cut);
    if found.ids.last() != Some(&eos) {
        record.flags |= flags::NO_END;
    }
    if let Some(other) = found.other {
        record.other = other.labelled;
        record.flags |= if other.drops { flags::OTHER_DROPS } else { 0 };
    }
    example.body = ids_as_bytes(&found.ids, bytes);
    example.mask = found.mask;
    Ok(Ok(example))
}

fn marks(encoder: &Encoder, conversation: &Conversation, is_cut: bool) -> u16 {
    let mut contents = conversation.messages.iter().filter_map(|message| message.content.as_ref());
    let spells = contents.any(|content| encoder.has_added_token(content));
    (if is_cut { flags::CUT } else { 0 }) | (if spells { flags::SPELLS_TOKENS } else { 0 })
}

/// Little-endian, in so many bytes each.
pub fn ids_as_bytes(ids: &[u32], bytes: usize) -> Vec<u8> {
    let wide = |id: u32| u64::from(id).to_le_bytes();
    ids.iter().flat_map(|&id| wide(id).into_iter().take(bytes)).collect()
}

/// OLMo's first recipe.
///
/// Source: `preprocess` in `scripts/prepare_tulu_data.py` of allenai/OLMo at 80db5e3.
struct Recipe<'a> {
    encoder: &'a Encoder,
    eos: u32,
    eos_text: &'a str,
    max_seq_len: usize,
}

impl Recipe<'_> {
    fn example(
        &self,
        conversation: &Conversation,
        bytes: usize,
    ) -> Result<Result<Example, Problem>> {
        let (mut ids, mut mask) = (vec![self.eos], vec![0]);
        let mut memory = Memory::default();
        let mut has_answer = false;
        for (index, message) in conversation.messages.iter().enumerate() {
            let number = index + 1;
            // Python writes what is null as this.
            let role = message.role.as_deref().unwrap_or("None");
            let content = match &message.content {
                Some(content) if !message.no_text.content => content,
                Some(_) => return Ok(Err(format!("the content of message {number} is no text"))),
                None => return Ok(Err(format!("message {number} has no content"))),
            };
            let head = self.encoder.encode(&format!("<|{role}|>\n"), &mut memory)?;
            mask.resize(mask.len() + head.len(), 0);
            ids.extend(head);
            let is_answer = role == "assistant";
            let end = if is_answer { self.eos_text } else { "" };
            let said =
                self.encoder.encode(&format!("{}{end}\n", python::strip(content)), &mut memory)?;
            mask.resize(mask.len() + said.len(), u8::from(is_answer));
            if is_answer {
                has_answer = true;
                if said.len() < 2 || said[said.len() - 2] != self.eos {
                    let problem = "this tokenizer does not cut an answer's end as OLMo's do";
                    return Ok(Err(problem.to_owned()));
                }
                // The line feed after the end is not learnt.
                mask.pop();
                mask.push(0);
            }
            ids.extend(said);
        }
        let is_cut = ids.len() > self.max_seq_len;
        ids.truncate(self.max_seq_len);
        mask.truncate(self.max_seq_len);
        let mut example = Example::default();
        example.record.flags = marks(self.encoder, conversation, is_cut);
        if count(&mask) == 0 {
            let reason = if has_answer { Reason::CutBeforeAnswer } else { Reason::NoAnswer };
            example.record.reason = reason as u8;
        }
        example.body = ids_as_bytes(&ids, bytes);
        example.mask = mask;
        Ok(Ok(example))
    }
}
