//! What is to be written, and the variables that a template sees of it.
//!
//! Source: `render_jinja_template` in `transformers/utils/chat_template_utils.py`, 5.24.

use crate::jinja::{Data, Now};
use crate::{Error, Result};

use super::control;

/// Names under which a message's reasoning is passed, the first of which templates read.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// Stands after the final message that is to be continued, so that its end can be found again.
const TAG: &str = "CONTINUE_FINAL_MESSAGE_TAG ";

/// A conversation and what goes with it.
#[derive(Debug, Clone)]
pub struct ChatRequest {
    pub messages: Data,
    pub tools: Option<Data>,
    pub documents: Option<Data>,
    /// Further variables of the template, which go before the special tokens.
    pub template_args: Vec<(String, Data)>,
    pub add_generation_prompt: bool,
    pub continue_final_message: bool,
    /// The name of a template, or a template.
    pub chat_template: Option<String>,
    /// Whether special tokens in the messages are special.
    pub parse_special_tokens: bool,
    pub now: Now,
}

pub(super) struct Prepared {
    pub variables: Vec<(String, Data)>,
    /// The text that the rendering is to end with.
    pub final_text: Option<String>,
}

impl ChatRequest {
    /// Reads a request in JSON, as the binding sends it.
    pub fn from_json(json: &str, now: Now) -> Result<ChatRequest> {
        let parsed = serde_json::from_str(json);
        let data: Data = parsed.map_err(|error| wrong(format!("the conversation: {error}")))?;
        let flag = |name: &str| matches!(data.get(name), Some(Data::Bool(true)));
        let given = |name: &str| data.get(name).filter(|value| **value != Data::Null).cloned();
        let template_args = match given("templateArgs") {
            Some(Data::Dict(entries)) => entries,
            _ => Vec::new(),
        };
        Ok(ChatRequest {
            messages: given("messages").unwrap_or(Data::List(Vec::new())),
            tools: given("tools"),
            documents: given("documents"),
            template_args,
            add_generation_prompt: flag("addGenerationPrompt"),
            continue_final_message: flag("continueFinalMessage"),
            chat_template: given("chatTemplate").and_then(|name| Some(name.as_text()?.to_owned())),
            parse_special_tokens: flag("parseSpecialTokens"),
            now,
        })
    }

    /// The same with control tokens marked in every text.
    pub(super) fn marked(self, tokens: &[String]) -> ChatRequest {
        let mark = |data: Data| control::mark(data, tokens);
        let args = self.template_args.into_iter();
        ChatRequest {
            messages: mark(self.messages),
            tools: self.tools.map(mark),
            documents: self.documents.map(mark),
            template_args: args.map(|(name, value)| (name, mark(value))).collect(),
            ..self
        }
    }

    pub(super) fn prepare(&self, template: &str) -> Result<Prepared> {
        let mut messages = match &self.messages {
            Data::List(messages) => {
                messages.iter().map(|message| with_reasoning(&without_null(message))).collect()
            }
            _ => Vec::new(),
        };
        let final_text = match self.continue_final_message {
            true => Some(tagged(&mut messages, template)?),
            false => None,
        };
        let null = |value: &Option<Data>| value.clone().unwrap_or(Data::Null);
        let mut variables = vec![
            ("messages".to_owned(), Data::List(messages)),
            ("tools".to_owned(), null(&self.tools)),
            ("documents".to_owned(), null(&self.documents)),
            ("add_generation_prompt".to_owned(), Data::Bool(self.add_generation_prompt)),
        ];
        variables.extend(self.template_args.iter().cloned());
        Ok(Prepared { variables, final_text })
    }
}

fn wrong(problem: impl Into<String>) -> Error {
    Error::InvalidPrompt { problem: problem.into() }
}

/// A message without its keys that are null, as transformers gives it to a template.
///
/// Source: `_normalize_chat_messages` in `transformers/utils/chat_template_utils.py` of 5.24.
fn without_null(message: &Data) -> Data {
    match message {
        Data::Dict(entries) => {
            let is_there = |(_, value): &&(String, Data)| *value != Data::Null;
            Data::Dict(entries.iter().filter(is_there).cloned().collect())
        }
        other => other.clone(),
    }
}

/// A message whose reasoning stands under the names that templates read.
fn with_reasoning(message: &Data) -> Data {
    let given = |name: &&str| message.get(name).filter(|value| **value != Data::Null);
    let Some(reasoning) = REASONING.iter().find_map(given).cloned() else { return message.clone() };
    let Data::Dict(entries) = message else { return message.clone() };
    let mut entries = entries.clone();
    if !entries.iter().any(|(name, _)| name == "thinking") {
        entries.insert(0, ("thinking".to_owned(), reasoning.clone()));
    }
    match entries.iter_mut().find(|(name, _)| name == "reasoning_content") {
        Some((_, value)) => *value = reasoning,
        None => entries.push(("reasoning_content".to_owned(), reasoning)),
    }
    Data::Dict(entries)
}

/// Puts the tag after the final message, and gives that message's text.
fn tagged(messages: &mut [Data], template: &str) -> Result<String> {
    let nothing = || wrong("the final message has no content to continue");
    if !template.contains("content") {
        return Err(wrong("the chat template writes no `content`, so no message can be continued"));
    }
    let Some(Data::Dict(entries)) = messages.last_mut() else { return Err(nothing()) };
    let content = entries.iter_mut().find(|(name, _)| name == "content").map(|(_, value)| value);
    let text = match content {
        Some(Data::Text(text)) => text,
        Some(Data::List(parts)) => parts.iter_mut().rev().find_map(text_of).ok_or_else(nothing)?,
        _ => return Err(nothing()),
    };
    let before = text.clone();
    text.push_str(TAG);
    Ok(before)
}

/// The text of a part of a message.
fn text_of(part: &mut Data) -> Option<&mut String> {
    let Data::Dict(entries) = part else { return None };
    let (_, value) = entries.iter_mut().find(|(name, _)| name == "text")?;
    match value {
        Data::Text(text) => Some(text),
        _ => None,
    }
}

/// The rendering up to the end of the final message.
pub(super) fn cut_after(mut text: String, last: &str) -> Result<String> {
    let place = text.rfind(TAG.trim_end()).filter(|_| text.contains(last.trim()));
    let Some(place) = place else {
        return Err(wrong(
            "the final message cannot be continued: the chat template does not write it as it is",
        ));
    };
    let keeps_blanks = text[place..].starts_with(TAG);
    text.truncate(place);
    if !keeps_blanks {
        text.truncate(text.trim_end().len());
    }
    Ok(text)
}
