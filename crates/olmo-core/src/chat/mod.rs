//! Conversations as one text or as token ids: a checkpoint's chat template, used as transformers does.

mod control;
mod request;
mod source;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use crate::jinja::fault::{Fault, FaultKind};
use crate::jinja::{Data, Template};
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

pub use request::ChatRequest;
pub use source::{find as find_templates, Found};

/// A checkpoint's way to write a conversation.
#[derive(Debug)]
pub struct ChatTemplate {
    /// By their names; the only one is called `default`.
    templates: Vec<(String, Template)>,
    /// `bos_token` and the like.
    special_tokens: Vec<(String, String)>,
    /// What the templates are from, for messages.
    path: PathBuf,
}

impl ChatTemplate {
    /// Reads the templates of the model at `path`: a folder or a GGUF file.
    ///
    /// Errors with [`Error::NoChatTemplate`] if it has none.
    pub fn load(path: &Path) -> Result<ChatTemplate> {
        let found = source::find(path)?;
        if found.templates.is_empty() {
            return Err(Error::NoChatTemplate { path: path.to_owned() });
        }
        let mut templates = Vec::new();
        for (name, text) in found.templates {
            let template = Template::new(&text).map_err(|fault| failure(path, &name, fault))?;
            templates.push((name, template));
        }
        let special_tokens = found.special_tokens;
        Ok(ChatTemplate { templates, special_tokens, path: path.to_owned() })
    }

    /// A template from elsewhere, with the special tokens that it knows by name; `path` is for messages.
    ///
    /// Errors with [`Error::InvalidFile`] if it is not valid Jinja.
    pub fn of_text(
        text: &str,
        special_tokens: Vec<(String, String)>,
        path: &Path,
    ) -> Result<ChatTemplate> {
        let template = Template::new(text).map_err(|fault| failure(path, "default", fault))?;
        let templates = vec![("default".to_owned(), template)];
        Ok(ChatTemplate { templates, special_tokens, path: path.to_owned() })
    }

    /// The conversation as one text, special tokens included.
    pub fn render(&self, request: &ChatRequest, cancelled: Arc<AtomicBool>) -> Result<String> {
        let (name, template) = self.choose(request)?;
        self.write(&name, &template, request, cancelled)
    }

    /// The conversation as token ids.
    ///
    /// Special tokens that the messages spell are plain text, unless the request wants them parsed; those
    /// of the template itself are special.
    pub fn encode(
        &self,
        request: &ChatRequest,
        tokenizer: &Tokenizer,
        cancelled: Arc<AtomicBool>,
    ) -> Result<Vec<u32>> {
        let (name, template) = self.choose(request)?;
        if request.parse_special_tokens {
            let text = self.write(&name, &template, request, cancelled)?;
            return tokenizer.encode(&text, false);
        }
        let tokens = control::tokens(tokenizer, template.source());
        let marked = request.clone().marked(&tokens);
        let text = self.write(&name, &template, &marked, cancelled)?;
        control::encode(&text, &tokens, tokenizer)
    }

    fn write(
        &self,
        name: &str,
        template: &Template,
        request: &ChatRequest,
        cancelled: Arc<AtomicBool>,
    ) -> Result<String> {
        let prepared = request.prepare(template.source())?;
        let mut variables: Vec<(String, Data)> = Vec::new();
        for (name, token) in &self.special_tokens {
            variables.push((name.clone(), Data::Text(token.clone())));
        }
        variables.extend(prepared.variables);
        let text = template.render(&variables, request.now, cancelled);
        let text = text.map_err(|fault| failure(&self.path, name, fault))?;
        match prepared.final_text {
            Some(last) => request::cut_after(text, &last),
            None => Ok(text),
        }
    }

    /// The template to use: the one asked for, that for tools, or the default.
    fn choose(&self, request: &ChatRequest) -> Result<(String, Template)> {
        let named = |name: &str| {
            let found = self.templates.iter().find(|(known, _)| known == name);
            found.map(|(name, template)| (name.clone(), template.clone()))
        };
        if let Some(asked) = &request.chat_template {
            if let Some(found) = named(asked) {
                return Ok(found);
            }
            let names: Vec<&str> = self.templates.iter().map(|(name, _)| name.as_str()).collect();
            if !asked.contains(['{', '\n']) {
                let problem =
                    format!("there is no chat template {asked:?}; there are {}", names.join(", "));
                return Err(Error::InvalidPrompt { problem });
            }
            let template = Template::new(asked).map_err(|fault| {
                prompt(format!("the chat template given is not valid Jinja: {}", said(&fault)))
            })?;
            return Ok(("given".to_owned(), template));
        }
        let for_tools = if request.tools.is_some() { named("tool_use") } else { None };
        for_tools.or_else(|| named("default")).ok_or_else(|| {
            let names: Vec<&str> = self.templates.iter().map(|(name, _)| name.as_str()).collect();
            prompt(format!(
                "the model has several chat templates and none is the default; name one of {}",
                names.join(", ")
            ))
        })
    }
}

fn prompt(problem: String) -> Error {
    Error::InvalidPrompt { problem }
}

fn said(fault: &Fault) -> String {
    match fault.line {
        0 => fault.message.clone(),
        line => format!("line {line}: {}", fault.message),
    }
}

fn failure(path: &Path, name: &str, fault: Fault) -> Error {
    let said = said(&fault);
    let which = if name == "default" { String::new() } else { format!("{name:?} ") };
    match fault.kind {
        FaultKind::Syntax => Error::InvalidFile {
            file: path.to_owned(),
            problem: format!("the chat template {which}is not valid Jinja: {said}"),
        },
        FaultKind::Limit => Error::TemplateLimit { path: path.to_owned(), problem: said },
        FaultKind::Cancelled => Error::Cancelled,
        FaultKind::Raised => {
            prompt(format!("the chat template {which}refuses these messages: {said}"))
        }
        FaultKind::Render => {
            prompt(format!("the chat template {which}fails with these messages: {said}"))
        }
    }
}
