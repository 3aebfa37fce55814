//! From a conversation to one text: Open Instruct's templates by their names, and those of others.

mod named;
mod reasoning;
#[cfg(test)]
mod tests;
mod text;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use olmo_core::chat::{ChatRequest, ChatTemplate};
use olmo_core::jinja::{Data, Now};
use olmo_core::{files, Error, Result};

use crate::conversation::Conversation;
use named::Named;

pub use text::names;

/// A conversation, or its first messages, as one text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rendered {
    pub text: String,
    /// For each message of the assistant what of the text is its own: content, calls and the token that
    /// ends it. Empty where the template is not one of the named.
    pub turns: Vec<(usize, usize)>,
}

/// The most bytes of a chat template.
const MOST_TEMPLATE: u64 = 1 << 20;

/// A way to write conversations.
pub struct Template {
    kind: Kind,
    /// What a tokenizer's files are given, in Jinja.
    source: String,
    name: Option<String>,
    cancelled: Arc<AtomicBool>,
    now: Now,
}

enum Kind {
    Named(Named),
    Jinja(ChatTemplate),
}

/// What a template is to know of a tokenizer.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// `bos_token` and the like.
    pub special: Vec<(String, String)>,
    /// The tokenizer's own templates.
    pub templates: Vec<(String, String)>,
    pub path: PathBuf,
}

impl Tokens {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.special.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
    }
}

/// The one that a tokenizer's template is put behind.
const BOS: &str = "{{ bos_token }}";

impl Template {
    /// The template of that name, or in that file, or the tokenizer's own.
    ///
    /// Errors with [`Error::InvalidOption`] if there is none, or if it begins with a bos already where one
    /// is to be added.
    pub fn open(
        name: Option<&str>,
        add_bos: bool,
        tokens: &Tokens,
        cancelled: Arc<AtomicBool>,
        now: Now,
    ) -> Result<Template> {
        let eos = tokens.get("eos_token").unwrap_or_default();
        let bos = tokens.get("bos_token");
        let prefix = match (add_bos, bos) {
            (false, _) => "",
            (true, Some(bos)) => bos,
            (true, None) => {
                let problem = "the tokenizer has no bos_token to add";
                return Err(Error::option("add_bos", true, problem));
            }
        };
        if let Some(named) = name.and_then(|name| Named::of(name, eos, prefix)) {
            let source = if add_bos { BOS } else { "" }.to_owned() + &named.source();
            let name = name.map(str::to_owned);
            return Ok(Template { kind: Kind::Named(named), source, name, cancelled, now });
        }
        let (text, path) = found(name, tokens)?;
        if add_bos && (text.starts_with(BOS) || bos.is_some_and(|bos| text.starts_with(bos))) {
            let problem = "the chat template begins with a bos_token already";
            return Err(Error::option("add_bos", true, problem));
        }
        let source = if add_bos { BOS.to_owned() + &text } else { text };
        let jinja = ChatTemplate::of_text(&source, tokens.special.clone(), &path)?;
        let name = name.map(str::to_owned);
        Ok(Template { kind: Kind::Jinja(jinja), source, name, cancelled, now })
    }

    /// In Jinja.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// As it was asked for.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether [`Rendered::turns`] are known.
    pub fn knows_turns(&self) -> bool {
        matches!(self.kind, Kind::Named(_))
    }

    /// The first `count` messages as a text, which may end with the head of an answer.
    ///
    /// Errors with what the template cannot do with them.
    pub fn render(
        &self,
        conversation: &Conversation,
        count: usize,
        add_generation_prompt: bool,
    ) -> Result<Result<Rendered, String>> {
        match &self.kind {
            Kind::Named(named) => {
                Ok(named.render(&conversation.messages[..count], add_generation_prompt))
            }
            Kind::Jinja(template) => {
                let request = ChatRequest {
                    messages: Data::List(conversation.raw[..count].to_vec()),
                    tools: conversation.tools.clone(),
                    documents: None,
                    template_args: Vec::new(),
                    add_generation_prompt,
                    continue_final_message: false,
                    chat_template: None,
                    parse_special_tokens: true,
                    now: self.now,
                };
                match template.render(&request, self.cancelled.clone()) {
                    Ok(text) => Ok(Ok(Rendered { text, turns: Vec::new() })),
                    Err(Error::Cancelled) => Err(Error::Cancelled),
                    Err(error) => Ok(Err(error.to_string())),
                }
            }
        }
    }

    /// The same by the template's text: what the tests compare it with.
    #[cfg(test)]
    pub fn in_jinja(&self, tokens: &Tokens) -> Result<Template> {
        let jinja = ChatTemplate::of_text(&self.source, tokens.special.clone(), &tokens.path)?;
        Ok(Template {
            kind: Kind::Jinja(jinja),
            source: self.source.clone(),
            name: self.name.clone(),
            cancelled: self.cancelled.clone(),
            now: self.now,
        })
    }
}

/// The text of a template that is not one of the named natively, and where it was.
fn found(name: Option<&str>, tokens: &Tokens) -> Result<(String, PathBuf)> {
    let Some(name) = name else {
        let default = tokens.templates.iter().find(|(known, _)| known == "default");
        let own = default.or_else(|| tokens.templates.first());
        let problem = || {
            let names = names().join(", ");
            format!("the tokenizer has none of its own: name one of {names}, or a file")
        };
        let (_, text) =
            own.ok_or_else(|| Error::option("chat_template", "not given", problem()))?;
        return Ok((text.clone(), tokens.path.clone()));
    };
    if let Some(text) = text::plain(name) {
        return Ok((text.to_owned(), PathBuf::from(name)));
    }
    let file = Path::new(name);
    if file.is_file() {
        return Ok((files::read_text(file, MOST_TEMPLATE)?, file.to_owned()));
    }
    let names = names().join(", ");
    let problem =
        format!("neither a file nor one of {names}; without one it is the tokenizer's own");
    Err(Error::option("chat_template", name, problem))
}
