//! A row of data as a conversation, whatever shape it came in.

mod json;
mod shapes;

use olmo_core::jinja::Data;

pub use json::json_line;
pub use shapes::Shape;

/// One message. What is null, or not there, is none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Message {
    pub role: Option<String>,
    pub content: Option<String>,
    pub functions: Option<String>,
    pub function_calls: Option<String>,
}

impl Message {
    pub fn new(role: &str, content: &str) -> Message {
        let (role, content) = (Some(role.to_owned()), Some(content.to_owned()));
        Message { role, content, ..Message::default() }
    }

    pub fn is_from(&self, role: &str) -> bool {
        self.role.as_deref() == Some(role)
    }

    /// As a template sees it.
    pub fn to_data(&self) -> Data {
        let text = |text: &Option<String>| text.clone().map_or(Data::Null, Data::Text);
        let mut entries = vec![
            ("role".to_owned(), text(&self.role)),
            ("content".to_owned(), text(&self.content)),
        ];
        for (name, value) in
            [("functions", &self.functions), ("function_calls", &self.function_calls)]
        {
            if value.is_some() {
                entries.push((name.to_owned(), text(value)));
            }
        }
        Data::Dict(entries)
    }
}

/// What one row holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    pub messages: Vec<Message>,
    /// The messages as they came, for templates that look at more of them.
    pub raw: Vec<Data>,
    /// Schemas for the template: a list of objects.
    pub tools: Option<Data>,
    pub shape: Shape,
}

/// The most messages of one conversation: a row of more is not one.
const MOST_MESSAGES: usize = 100_000;

impl Conversation {
    /// Reads a row in JSON. Errors with what is wrong with it.
    pub fn from_json(line: &[u8]) -> Result<Conversation, String> {
        let text = std::str::from_utf8(line).map_err(|error| {
            format!("byte {} of the line is not UTF-8", error.valid_up_to() + 1)
        })?;
        let row: Data = serde_json::from_str(text).map_err(|error| {
            // serde counts lines of the one it was given.
            let said = error.to_string();
            let said = said.replace(" at line 1 column ", " at column ");
            format!("this is not JSON: {said}")
        })?;
        Conversation::from_row(row)
    }

    /// Reads a row. Errors with what is wrong with it.
    pub fn from_row(row: Data) -> Result<Conversation, String> {
        let Data::Dict(entries) = row else {
            let hint = match row {
                Data::List(_) => ": a list needs its objects one a line",
                _ => "",
            };
            return Err(format!("the row is no object{hint}"));
        };
        let row = Data::Dict(entries);
        let tools = tools(row.get("tools"))?;
        let (shape, raw) = shapes::messages(&row)?;
        if raw.is_empty() {
            return Err("the conversation has no messages".to_owned());
        }
        if raw.len() > MOST_MESSAGES {
            return Err(format!("the conversation has more than {MOST_MESSAGES} messages"));
        }
        let messages = raw.iter().enumerate().map(|(index, data)| message(index, data));
        Ok(Conversation { messages: messages.collect::<Result<_, _>>()?, raw, tools, shape })
    }
}

fn message(index: usize, data: &Data) -> Result<Message, String> {
    let number = index + 1;
    if !matches!(data, Data::Dict(_)) {
        return Err(format!("message {number} is no object"));
    }
    let text = |name: &str| match data.get(name) {
        None | Some(Data::Null) => Ok(None),
        Some(Data::Text(text)) => Ok(Some(text.clone())),
        Some(Data::List(_)) if name == "content" => Err(format!(
            "the content of message {number} is a list of parts, and only texts can be learnt from"
        )),
        Some(_) => Err(format!("the {name} of message {number} is no text")),
    };
    Ok(Message {
        role: text("role")?,
        content: text("content")?,
        functions: text("functions")?,
        function_calls: text("function_calls")?,
    })
}

/// Schemas of tools as a list of objects, from a list, one object, or either as JSON in a text.
///
/// Source: `_normalize_tools_for_chat_template` of Open Instruct.
fn tools(given: Option<&Data>) -> Result<Option<Data>, String> {
    let parsed;
    let given = match given {
        Some(Data::Text(text)) if !text.is_empty() => {
            let read = serde_json::from_str::<Data>(text);
            parsed =
                read.map_err(|error| format!("its tools are a text that is no JSON: {error}"))?;
            &parsed
        }
        Some(given) => given,
        None => return Ok(None),
    };
    match given {
        Data::Null => Ok(None),
        Data::Text(text) if text.is_empty() => Ok(None),
        Data::List(items) if items.is_empty() => Ok(None),
        Data::Dict(_) => Ok(Some(Data::List(vec![given.clone()]))),
        Data::List(items) if items.iter().all(|item| matches!(item, Data::Dict(_))) => {
            Ok(Some(given.clone()))
        }
        Data::List(_) => Err("its tools are a list in which not all are objects".to_owned()),
        _ => Err("its tools are neither a list nor an object".to_owned()),
    }
}
