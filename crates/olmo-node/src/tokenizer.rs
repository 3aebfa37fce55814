//! Text to ids and back.

use std::path::PathBuf;
use std::sync::Arc;

use napi::bindgen_prelude::{Env, Uint32Array};
use napi_derive::napi;

use crate::error::{js_error, promise_blocking, Promise, Result};

#[napi]
pub struct Tokenizer {
    inner: Arc<olmo_core::tokenizer::Tokenizer>,
}

impl Tokenizer {
    pub fn new(inner: Arc<olmo_core::tokenizer::Tokenizer>) -> Tokenizer {
        Tokenizer { inner }
    }
}

/// Reads the tokenizer of the checkpoint in the folder `path`.
#[napi(catch_unwind, ts_return_type = "Promise<Tokenizer>")]
pub fn load_tokenizer(env: &Env, path: String) -> Promise<Tokenizer> {
    promise_blocking(env, move || {
        let inner = olmo_core::tokenizer::Tokenizer::from_dir(&PathBuf::from(path))?;
        Ok(Tokenizer::new(Arc::new(inner)))
    })
}

#[napi]
impl Tokenizer {
    #[napi(catch_unwind)]
    pub fn encode(&self, text: String, add_special_tokens: bool) -> Result<Uint32Array> {
        let ids = self.inner.encode(&text, add_special_tokens).map_err(js_error)?;
        Ok(ids.into())
    }

    #[napi(catch_unwind)]
    pub fn decode(&self, ids: Uint32Array, skip_special_tokens: bool) -> Result<String> {
        self.inner.decode(&ids, skip_special_tokens).map_err(js_error)
    }

    #[napi(catch_unwind)]
    pub fn token_id(&self, token: String) -> Option<u32> {
        self.inner.token_id(&token)
    }

    #[napi(catch_unwind)]
    pub fn vocab_size(&self) -> u32 {
        self.inner.vocab_size() as u32
    }
}
