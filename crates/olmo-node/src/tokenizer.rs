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
#[derive(Clone)]
pub enum Owner {
    Engine(Arc<Engine>),
    Own(Arc<core::Tokenizer>),
}

impl Owner {
    pub fn core(&self) -> &core::Tokenizer {
        match self {
            Owner::Engine(engine) => engine.tokenizer(),
            Owner::Own(tokenizer) => tokenizer,
        }
    }
}

impl Tokenizer {
    pub fn of(engine: Arc<Engine>) -> Tokenizer {
        Tokenizer(Owner::Engine(engine))
    }

    /// The tokenizer for work that may outlast this object.
    pub fn owner(&self) -> Owner {
        self.0.clone()
    }

    fn core(&self) -> &core::Tokenizer {
        self.0.core()
    }
}

/// Reads the tokenizer of the model at `path`.
#[napi(catch_unwind, ts_return_type = "Promise<Tokenizer>")]
pub fn load_tokenizer(env: &Env, path: String) -> Promise<Tokenizer> {
    promise_blocking(env, move || {
        let tokenizer = ModelSource::open(&PathBuf::from(path))?.tokenizer()?;
        Ok(Tokenizer(Owner::Own(Arc::new(tokenizer))))
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

    /// Off the event loop; of a long text only as much as gives more than `most` ids.
    #[napi(catch_unwind, ts_return_type = "Promise<Uint32Array>")]
    pub fn encode_async(
        &self,
        env: &Env,
        text: String,
        add_special_tokens: bool,
        most: Option<u32>,
    ) -> Promise<Uint32Array> {
        let owner = self.0.clone();
        let most = most.map_or(usize::MAX, |most| most as usize);
        promise_blocking(env, move || {
            Ok(owner.core().encode_at_most(&text, add_special_tokens, most)?.into())
        })
    }

    #[napi(catch_unwind, ts_return_type = "Promise<string>")]
    pub fn decode_async(
        &self,
        env: &Env,
        ids: Uint32Array,
        skip_special_tokens: bool,
    ) -> Promise<String> {
        let (owner, ids) = (self.0.clone(), ids.to_vec());
        promise_blocking(env, move || owner.core().decode(&ids, skip_special_tokens))
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
