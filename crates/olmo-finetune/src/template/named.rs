//! The templates that data is prepared with most, without an interpreter.

use super::text::{self, ChatMl, NO_FUNCTIONS};
use super::Rendered;
use crate::conversation::{not_joined, Message};

/// A template in Rust. [`source`](Self::source) says in Jinja what it does.
#[derive(Debug, Clone)]
pub struct Named {
    family: Family,
    eos: String,
    /// Comes before everything.
    prefix: String,
}

#[derive(Debug, Clone)]
enum Family {
    ChatMl(ChatMl),
    Tulu { thinks: bool },
}

const END: &str = "<|im_end|>";

impl Named {
    /// None if there is none of that name here.
    pub fn of(name: &str, eos: &str, prefix: &str) -> Option<Named> {
        let family = match name {
            "tulu" => Family::Tulu { thinks: false },
            "tulu_thinker" => Family::Tulu { thinks: true },
            name => Family::ChatMl(ChatMl::of(name)?),
        };
        Some(Named { family, eos: eos.to_owned(), prefix: prefix.to_owned() })
    }

    /// In Jinja, without what comes before everything.
    pub fn source(&self) -> String {
        match &self.family {
            Family::ChatMl(kind) => kind.source(),
            Family::Tulu { thinks } => text::tulu(*thinks),
        }
    }

    /// Errors with what the messages lack.
    pub fn render(&self, messages: &[Message], generate: bool) -> Result<Rendered, String> {
        let room = messages.iter().map(|message| message.content.as_ref().map_or(0, String::len));
        let text = String::with_capacity(512 + room.sum::<usize>() + 64 * messages.len());
        let mut out = Rendered { text, turns: Vec::new() };
        out.text.push_str(&self.prefix);
        match &self.family {
            Family::ChatMl(kind) => self.chat_ml(kind, messages, generate, &mut out)?,
            Family::Tulu { thinks } => self.tulu(*thinks, messages, generate, &mut out)?,
        }
        Ok(out)
    }

    fn chat_ml(
        &self,
        kind: &ChatMl,
        messages: &[Message],
        generate: bool,
        out: &mut Rendered,
    ) -> Result<(), String> {
        if !messages.iter().any(|message| message.is_from("system")) {
            push(out, &["<|im_start|>system\n", &kind.system, END, "\n"]);
        }
        for (index, message) in messages.iter().enumerate() {
            let is_last = index + 1 == messages.len();
            match message.role.as_deref() {
                Some("assistant") => {
                    if message.no_text.function_calls {
                        return Err(not_joined("function_calls", index + 1));
                    }
                    self.answer(kind, message, is_last, out);
                }
                Some(role @ ("system" | "user" | "environment")) => {
                    if message.no_text.functions && role != "environment" {
                        return Err(not_joined("functions", index + 1));
                    }
                    push(out, &["<|im_start|>", role, "\n", message.joined_content(index)?]);
                    match (role, &message.functions) {
                        ("system", None) => push(out, &[NO_FUNCTIONS]),
                        ("system", Some(functions)) => {
                            push(out, &[" <functions>", functions, "</functions>"]);
                        }
                        ("user", Some(functions)) => {
                            push(out, &["\n<functions>", functions, "</functions>"]);
                        }
                        _ => {}
                    }
                    push(out, &[END, "\n"]);
                }
                _ => {}
            }
            if is_last && generate {
                push(out, &["<|im_start|>assistant\n", if kind.thinks { "<think>" } else { "" }]);
            }
        }
        Ok(())
    }

    fn answer(&self, kind: &ChatMl, message: &Message, is_last: bool, out: &mut Rendered) {
        push(out, &["<|im_start|>assistant\n"]);
        let start = out.text.len();
        if let Some(content) = &message.content {
            let is_forgotten = kind.forgets
                && !is_last
                && content.contains("<think>")
                && content.contains("</think>");
            let said = match content.rsplit_once("</think>").filter(|_| is_forgotten) {
                Some((_, answer)) => answer.trim_start_matches('\n'),
                None => content,
            };
            push(out, &[said]);
        }
        if let Some(calls) = &message.function_calls {
            push(out, &["<function_calls>", calls, "</function_calls>"]);
        }
        push(out, &[if is_last { &self.eos } else { END }]);
        out.turns.push((start, out.text.len()));
        if !is_last {
            push(out, &["\n"]);
        }
    }

    fn tulu(
        &self,
        thinks: bool,
        messages: &[Message],
        generate: bool,
        out: &mut Rendered,
    ) -> Result<(), String> {
        for (index, message) in messages.iter().enumerate() {
            let is_last = index + 1 == messages.len();
            match message.role.as_deref() {
                Some(role @ ("system" | "user")) => {
                    push(out, &["<|", role, "|>\n", message.joined_content(index)?, "\n"]);
                }
                Some("assistant") => {
                    push(out, &["<|assistant|>\n"]);
                    let start = out.text.len();
                    push(out, &[message.joined_content(index)?, &self.eos]);
                    out.turns.push((start, out.text.len()));
                    push(out, &[if is_last { "" } else { "\n" }]);
                }
                _ => {}
            }
            if is_last && generate {
                push(out, &["<|assistant|>\n", if thinks { "<think>" } else { "" }]);
            }
        }
        Ok(())
    }
}

fn push(out: &mut Rendered, parts: &[&str]) {
    parts.iter().for_each(|part| out.text.push_str(part));
}
