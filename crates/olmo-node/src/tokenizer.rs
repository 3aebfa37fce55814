//! Text to ids and back.

use std::path::PathBuf;
use std::sync::Arc;

use napi::bindgen_prelude::{Env, Uint32Array};
use napi_derive::napi;
use olmo_core::checkpoint::ModelSource;
use olmo_core::engine::Engine;
use olmo_core::tokenizer as core;

use crate::error::{js_error, promise_blocking, Promise, Result};

#[napi]
pub struct Tokenizer(Owner);

/// Who holds the tokenizer.
enum Owner {
    Engine(Arc<Engine>),
    Own(Box<core::Tokenizer>),
}

impl Tokenizer {
    pub fn of(engine: Arc<Engine>) -> Tokenizer {
        Tokenizer(Owner::Engine(engine))
    }

    fn core(&self) -> &core::Tokenizer {
        match &self.0 {
            Owner::Engine(engine) => engine.tokenizer(),
            Owner::Own(tokenizer) => tokenizer,
        }
    }
}

/// Reads the tokenizer of the model at `path`.
#[napi(catch_unwind, ts_return_type = "Promise<Tokenizer>")]
pub fn load_tokenizer(env: &Env, path: String) -> Promise<Tokenizer> {
    promise_blocking(env, move || {
        let tokenizer = ModelSource::open(&PathBuf::from(path))?.tokenizer()?;
        Ok(Tokenizer(Owner::Own(Box::new(tokenizer))))
    })
}

#[napi]
impl Tokenizer {
    #[napi(catch_unwind)]
    pub fn encode(&self, text: String, add_special_tokens: bool) -> Result<Uint32Array> {
        self.core().encode(&text, add_special_tokens).map(Uint32Array::from).map_err(js_error)
    }

    #[napi(catch_unwind)]
    pub fn decode(&self, ids: Uint32Array, skip_special_tokens: bool) -> Result<String> {
        self.core().decode(&ids, skip_special_tokens).map_err(js_error)
    }

    /// The text of one id, to be shown; empty if it has no token.
    #[napi(catch_unwind)]
    pub fn text_of(&self, id: u32) -> Result<String> {
        self.core().text_of(id).map_err(js_error)
    }

    #[napi(catch_unwind)]
    pub fn token_id(&self, token: String) -> Option<u32> {
        self.core().token_id(&token)
    }

    #[napi(catch_unwind)]
    pub fn vocab_size(&self) -> u32 {
        self.core().vocab_size() as u32
    }
}
