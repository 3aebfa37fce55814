//! The shapes in which people keep conversations.

use olmo_core::jinja::Data;
use serde::Serialize;

use super::read;

/// How a row says what was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// `messages`: objects with `role` and `content`.
    Messages,
    /// `conversations`, as ShareGPT has them: objects with `from` and `value`.
    ShareGpt,
    /// `prompt` and `completion`: texts, or lists of messages.
    PromptCompletion,
    /// `instruction`, `input` and `output`, as Alpaca has them.
    Instruction,
}

impl Shape {
    pub const ALL: [Shape; 4] =
        [Shape::Messages, Shape::ShareGpt, Shape::PromptCompletion, Shape::Instruction];

    pub fn columns(self) -> &'static str {
        match self {
            Shape::Messages => "messages",
            Shape::ShareGpt => "conversations",
            Shape::PromptCompletion => "prompt, completion",
            Shape::Instruction => "instruction, input, output",
        }
    }
}

/// The messages of a row, as objects with `role` and `content`.
pub fn messages(row: &Data) -> Result<(Shape, Vec<Data>), String> {
    let given = |name: &str| row.get(name).filter(|value| **value != Data::Null);
    if let Some(messages) = given("messages") {
        return match opened(messages) {
            Data::List(items) => Ok((Shape::Messages, items.iter().map(opened).collect())),
            _ => Err("its messages are no list".to_owned()),
        };
    }
    if let Some(turns) = given("conversations") {
        return Ok((Shape::ShareGpt, share_gpt(turns)?));
    }
    if let Some(prompt) = given("prompt") {
        let completion = given("completion").ok_or("it has a prompt, but no completion")?;
        let mut all = side(prompt, "prompt", "user")?;
        all.extend(side(completion, "completion", "assistant")?);
        return Ok((Shape::PromptCompletion, all));
    }
    if given("instruction").is_some() {
        return Ok((Shape::Instruction, instruction(row)?));
    }
    let known = Shape::ALL.map(Shape::columns).join("; ");
    Err(format!("the row has none of the columns of a conversation: {known}"))
}

fn said(role: &str, content: &str) -> Data {
    let entry = |name: &str, value: &str| (name.to_owned(), Data::Text(value.to_owned()));
    Data::Dict(vec![entry("role", role), entry("content", content)])
}

/// What a text in JSON holds, if it is a list or an object: so tables keep what has no one type.
fn opened(value: &Data) -> Data {
    let read = value.as_text().filter(|text| text.trim_start().starts_with(['[', '{'])).map(read);
    match read {
        Some(Ok(inner)) => inner,
        _ => value.clone(),
    }
}

fn share_gpt(turns: &Data) -> Result<Vec<Data>, String> {
    let Data::List(turns) = opened(turns) else {
        return Err("its conversations are no list".to_owned());
    };
    let turn = |(index, turn): (usize, &Data)| {
        let (number, turn) = (index + 1, &opened(turn));
        if turn.get("role").is_some() && turn.get("content").is_some() {
            return Ok(turn.clone());
        }
        let text = |name: &str| {
            let found = turn.get(name).and_then(Data::as_text);
            found.ok_or_else(|| format!("turn {number} has no text in `{name}`"))
        };
        let (from, value) = (text("from")?, text("value")?);
        let role = match from {
            "human" | "user" => "user",
            "gpt" | "chatgpt" | "assistant" | "model" | "bot" => "assistant",
            "system" => "system",
            "tool" | "observation" | "function_response" | "environment" => "environment",
            other => {
                let known = "human, gpt, system and tool";
                return Err(format!("turn {number} is from {other:?}; known are {known}"));
            }
        };
        Ok(said(role, value))
    };
    turns.iter().enumerate().map(turn).collect()
}

/// A side of a pair: a text, or messages.
fn side(value: &Data, name: &str, role: &str) -> Result<Vec<Data>, String> {
    match value {
        Data::Text(text) => Ok(vec![said(role, text)]),
        Data::List(messages) => Ok(messages.clone()),
        _ => Err(format!("its {name} is neither a text nor a list of messages")),
    }
}

/// The input goes below the instruction, after an empty line.
fn instruction(row: &Data) -> Result<Vec<Data>, String> {
    let text = |name: &str| match row.get(name) {
        None | Some(Data::Null) => Ok(None),
        Some(Data::Text(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(format!("its {name} is no text")),
    };
    let instruction = text("instruction")?.unwrap_or_default();
    let input = text("input")?.unwrap_or_default();
    let output = text("output")?.ok_or("it has an instruction, but no output")?;
    let asked = match input {
        "" => instruction.to_owned(),
        input => format!("{instruction}\n\n{input}"),
    };
    let system = text("system")?.filter(|text| !text.is_empty()).map(|text| said("system", text));
    Ok(system.into_iter().chain([said("user", &asked), said("assistant", output)]).collect())
}
