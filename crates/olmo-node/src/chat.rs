//! Conversations as texts and ids.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use napi::bindgen_prelude::{Env, Uint32Array};
use napi_derive::napi;
use olmo_core::chat as core;
use olmo_core::jinja::Now;

use crate::error::{js_error, promise_blocking, Promise, Result};
use crate::tokenizer::Tokenizer;

/// How a checkpoint writes a conversation.
#[napi]
pub struct ChatTemplate(Arc<core::ChatTemplate>);

/// Reads the chat templates of the model at `path`.
#[napi(catch_unwind, ts_return_type = "Promise<ChatTemplate>")]
pub fn load_chat_template(env: &Env, path: String) -> Promise<ChatTemplate> {
    promise_blocking(env, move || {
        Ok(ChatTemplate(Arc::new(core::ChatTemplate::load(&PathBuf::from(path))?)))
    })
}

#[napi]
impl ChatTemplate {
    /// Prepares a conversation, given in JSON, to be written.
    ///
    /// `now` is the time in milliseconds and `offset` how many minutes the local clock is ahead of UTC.
    #[napi(catch_unwind)]
    pub fn prepare(&self, request: String, now: f64, offset: f64) -> Result<Conversation> {
        let offset_seconds = (offset * 60.0) as i64;
        let local_micros = (now * 1000.0) as i64 + offset_seconds * 1_000_000;
        let now = Now { local_micros, offset_seconds };
        let request = core::ChatRequest::from_json(&request, now).map_err(js_error)?;
        Ok(Conversation { template: self.0.clone(), request, cancelled: Arc::default() })
    }
}

/// A conversation that can be written, in the background.
#[napi]
pub struct Conversation {
    template: Arc<core::ChatTemplate>,
    request: core::ChatRequest,
    cancelled: Arc<AtomicBool>,
}

#[napi]
impl Conversation {
    #[napi(catch_unwind, ts_return_type = "Promise<string>")]
    pub fn text(&self, env: &Env) -> Promise<String> {
        let (template, request) = (self.template.clone(), self.request.clone());
        let cancelled = self.cancelled.clone();
        promise_blocking(env, move || template.render(&request, cancelled))
    }

    #[napi(catch_unwind, ts_return_type = "Promise<Uint32Array>")]
    pub fn ids(&self, env: &Env, tokenizer: &Tokenizer) -> Promise<Uint32Array> {
        let (template, request) = (self.template.clone(), self.request.clone());
        let (cancelled, tokenizer) = (self.cancelled.clone(), tokenizer.owner());
        promise_blocking(env, move || {
            template.encode(&request, tokenizer.core(), cancelled).map(Uint32Array::from)
        })
    }

    /// Ends the work soon.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}
