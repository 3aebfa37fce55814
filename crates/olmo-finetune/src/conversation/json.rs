//! A conversation as the line of JSON that Open Instruct reads.

use std::fmt::Write as _;

use olmo_core::jinja::Data;

use super::Conversation;

/// An object with `messages`, and `tools` if there are any; a line feed at the end.
pub fn json_line(conversation: &Conversation) -> String {
    let mut out = "{\"messages\": ".to_owned();
    write(&mut out, &Data::List(conversation.raw.clone()));
    if let Some(tools) = &conversation.tools {
        // As a text: columns of objects would all have to be of one type.
        let mut schemas = String::new();
        write(&mut schemas, tools);
        out.push_str(", \"tools\": ");
        write(&mut out, &Data::Text(schemas));
    }
    out.push_str("}\n");
    out
}

fn write(out: &mut String, data: &Data) {
    match data {
        Data::Null => out.push_str("null"),
        Data::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Data::Int(value) => {
            let _ = write!(out, "{value}");
        }
        Data::Float(value) => out.push_str(&serde_json::Value::from(*value).to_string()),
        Data::Text(text) => out.push_str(&serde_json::Value::from(text.as_str()).to_string()),
        Data::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                write(out, item);
            }
            out.push(']');
        }
        Data::Dict(entries) => {
            out.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                write(out, &Data::Text(key.clone()));
                out.push_str(": ");
                write(out, value);
            }
            out.push('}');
        }
    }
}
