//! A row of data as a conversation, whatever shape it came in.

mod json;
mod read;
mod shapes;

use olmo_core::jinja::python::float;
use olmo_core::jinja::Data;

pub use json::json_line;
pub use read::read;
pub use shapes::Shape;

/// One message. What is null, or not there, is none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Message {
    pub role: Option<String>,
    pub content: Option<String>,
    pub functions: Option<String>,
    pub function_calls: Option<String>,
    pub no_text: NoText,
}

/// Which values of a message are no texts, but what Python prints for them: a template can print those too, and
/// can join them to no text.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct NoText {
    pub content: bool,
    pub functions: bool,
    pub function_calls: bool,
}

impl Message {
    pub fn new(role: &str, content: &str) -> Message {
        let (role, content) = (Some(role.to_owned()), Some(content.to_owned()));
        Message { role, content, ..Message::default() }
    }

    pub fn is_from(&self, role: &str) -> bool {
        self.role.as_deref() == Some(role)
    }

    /// The content, if a template can join it to a text. Errors with what it is otherwise.
    pub fn joined_content(&self, index: usize) -> Result<&str, String> {
        let number = index + 1;
        let role = self.role.as_deref().unwrap_or_default();
        match &self.content {
            Some(_) if self.no_text.content => Err(not_joined("content", number)),
            Some(content) => Ok(content),
            None => Err(format!(
                "message {number}, of the {role}, has no content, and the chat template joins it to a text"
            )),
        }
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
    /// What is wrong with the schemas, where a template is to have them.
    pub wrong_tools: Option<String>,
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
        let row = read(text).map_err(|error| {
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
        let (tools, wrong_tools) = match tools(row.get("tools")) {
            Ok(tools) => (tools, None),
            Err(problem) => (None, Some(problem)),
        };
        let (shape, mut raw) = shapes::messages(&row)?;
        raw.iter_mut().for_each(without_infinite);
        if raw.len() > MOST_MESSAGES {
            return Err(format!("the conversation has more than {MOST_MESSAGES} messages"));
        }
        let messages = raw.iter().enumerate().map(|(index, data)| message(index, data));
        let messages = messages.collect::<Result<_, _>>()?;
        Ok(Conversation { messages, raw, tools, wrong_tools, shape })
    }
}

/// What is said of a value that a template cannot use.
pub fn not_joined(name: &str, number: usize) -> String {
    format!("the {name} of message {number} is no text, and the chat template joins it to one")
}

/// Puts nothing in the place of a content that is no finite number, as `datasets` does.
fn without_infinite(message: &mut Data) {
    let Data::Dict(entries) = message else { return };
    for (name, value) in entries {
        if name == "content" && matches!(value, Data::Float(number) if !number.is_finite()) {
            *value = Data::Null;
        }
    }
}

fn message(index: usize, data: &Data) -> Result<Message, String> {
    let number = index + 1;
    if !matches!(data, Data::Dict(_)) {
        return Err(format!("message {number} is no object"));
    }
    let role = match data.get("role") {
        None => return Err(format!("message {number} has no role")),
        Some(Data::List(_) | Data::Dict(_)) => {
            return Err(format!("the role of message {number} is no text"));
        }
        // One that is a number is nobody's that a template knows.
        Some(role) => printed(role).0,
    };
    let parts = match data.get("content") {
        Some(Data::List(_)) => "a list of parts",
        Some(Data::Dict(_)) => "an object",
        _ => "",
    };
    if !parts.is_empty() {
        return Err(format!(
            "the content of message {number} is {parts}, and only texts can be learnt from"
        ));
    }
    let given = |name: &str| data.get(name).map_or((None, false), printed);
    let (content, functions, calls) =
        (given("content"), given("functions"), given("function_calls"));
    Ok(Message {
        role,
        content: content.0,
        functions: functions.0,
        function_calls: calls.0,
        no_text: NoText { content: content.1, functions: functions.1, function_calls: calls.1 },
    })
}

/// A value as Python prints it, and whether it is no text. Of lists and objects only that they are there.
fn printed(value: &Data) -> (Option<String>, bool) {
    match value {
        Data::Null => (None, false),
        Data::Text(text) => (Some(text.clone()), false),
        Data::Bool(value) => (Some(if *value { "True" } else { "False" }.to_owned()), true),
        Data::Int(value) => (Some(value.to_string()), true),
        Data::Float(value) => (Some(float(*value)), true),
        Data::List(_) | Data::Dict(_) => (Some(String::new()), true),
    }
}

/// Schemas of tools as a list of objects, from a list, one object, or either as JSON in a text.
///
/// Source: `_normalize_tools_for_chat_template` of Open Instruct.
fn tools(given: Option<&Data>) -> Result<Option<Data>, String> {
    let parsed;
    let given = match given {
        Some(Data::Text(text)) if !text.is_empty() => {
            parsed = read(text)
                .map_err(|error| format!("its tools are a text that is no JSON: {error}"))?;
            &parsed
        }
        Some(given) => given,
        None => return Ok(None),
    };
    match given {
        Data::Null => Ok(None),
        // Of pandas, where nothing is there.
        Data::Float(number) if number.is_nan() => Ok(None),
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
