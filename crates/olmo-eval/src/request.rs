//! From a document to what the model is given.
//!
//! ```text
//! query = (context + continuation)[..-1], cut from the left to the limit
//! the rows that count begin with the one before the continuation's first token
//! ```
//!
//! Context and continuation are encoded each by itself, and no token is put before them.

use std::sync::Arc;

use olmo_core::tokenizer::Tokenizer;
use olmo_core::Result;

use crate::document::Document;

/// Tokens that a harness cuts queries to.
pub const MOST_TOKENS: usize = 2048;

/// A continuation and what the model reads for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub query: Vec<u32>,
    /// How much of the query stands before the continuation.
    pub context_len: usize,
    pub continuation: Vec<u32>,
}

/// What keeps a document from being scored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    Empty,
    TooLong { tokens: usize, limit: usize },
    SeveralTokens,
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unfit::Empty => f.write_str("a continuation has no token"),
            Unfit::TooLong { tokens, limit } => {
                write!(f, "a continuation has {tokens} tokens, but with one before it {limit} fit")
            }
            Unfit::SeveralTokens => f.write_str("a choice of a fast task is not one token"),
        }
    }
}

/// Makes requests, and keeps the newest context's ids: documents have several choices, and tasks several
/// documents, after the same.
pub struct Encoder<'a> {
    tokenizer: &'a Tokenizer,
    limit: usize,
    newest: Option<(Arc<str>, Vec<u32>)>,
}

impl<'a> Encoder<'a> {
    /// `context` is the most tokens that the model takes.
    pub fn new(tokenizer: &'a Tokenizer, context: usize) -> Encoder<'a> {
        Encoder { tokenizer, limit: context.min(MOST_TOKENS), newest: None }
    }

    /// A request for each choice; of a `fast` task all choices have to be single tokens.
    pub fn requests(
        &mut self,
        document: &Document,
        fast: bool,
    ) -> Result<Result<Vec<Request>, Unfit>> {
        let mut requests = Vec::with_capacity(document.choices.len());
        for choice in &document.choices {
            let request = self.request(&choice.context, &choice.continuation)?;
            match request {
                Ok(request) if fast && request.continuation.len() != 1 => {
                    return Ok(Err(Unfit::SeveralTokens))
                }
                Ok(request) => requests.push(request),
                Err(unfit) => return Ok(Err(unfit)),
            }
        }
        Ok(Ok(requests))
    }

    /// Requests as `lm_eval` makes them: context and continuation are encoded as one text, and what the
    /// context alone does not have is the continuation.
    pub fn joint(&mut self, document: &Document) -> Result<Result<Vec<Request>, Unfit>> {
        let limit = self.limit;
        let mut requests = Vec::with_capacity(document.choices.len());
        for choice in &document.choices {
            let before = self.context(&choice.context)?.len();
            let text = format!("{}{}", choice.context, choice.continuation);
            let ids = self.tokenizer.encode(&text, false)?;
            let continuation = ids.get(before..).unwrap_or_default().to_vec();
            let Some(end) = continuation.len().checked_sub(1) else { return Ok(Err(Unfit::Empty)) };
            if end >= limit {
                return Ok(Err(Unfit::TooLong { tokens: continuation.len(), limit }));
            }
            let query = ids[..ids.len() - 1].to_vec();
            let cut = query.len().saturating_sub(limit);
            let context_len = before - cut;
            requests.push(Request { query: query[cut..].to_vec(), context_len, continuation });
        }
        Ok(Ok(requests))
    }

    /// The requests that `pmi_dc` divides by: they are not cut.
    pub fn neutral(&mut self, document: &Document) -> Result<Result<Vec<Request>, Unfit>> {
        let choices = document.choices.iter();
        choices.map(|choice| self.request(&choice.neutral, &choice.continuation)).collect()
    }

    fn request(
        &mut self,
        context: &Arc<str>,
        continuation: &str,
    ) -> Result<Result<Request, Unfit>> {
        let limit = self.limit;
        let continuation = self.tokenizer.encode(continuation, false)?;
        let Some(end) = continuation.len().checked_sub(1) else { return Ok(Err(Unfit::Empty)) };
        let before = self.context(context)?;
        let kept = before.len().min(limit.saturating_sub(end));
        if kept == 0 {
            return Ok(Err(Unfit::TooLong { tokens: continuation.len(), limit }));
        }
        let query = [&before[before.len() - kept..], &continuation[..end]].concat();
        Ok(Ok(Request { query, context_len: kept, continuation }))
    }

    fn context(&mut self, text: &Arc<str>) -> Result<&[u32]> {
        if self.newest.as_ref().is_none_or(|(newest, _)| newest != text) {
            let ids = self.tokenizer.encode(text, false)?;
            self.newest = Some((text.clone(), ids));
        }
        Ok(self.newest.as_ref().map_or(&[], |(_, ids)| ids))
    }
}
