//! Errors and panics on their way to JavaScript.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use napi::bindgen_prelude::{
    spawn_blocking, sys, AsyncBlock, AsyncBlockBuilder, Env, Error, JsError, ToNapiValue,
};
use olmo_core::error::{Fact, Part};
use serde_json::{json, Value};

/// The result of a function that JavaScript calls and waits for.
pub type Result<T> = std::result::Result<T, Error<&'static str>>;

/// The result of a function whose promise settles later.
pub type Promise<T> = napi::Result<Pending<T>>;

/// The same error as JavaScript will see it: its code in `code`, and in the message of its `cause`,
/// as JSON, its facts and the pieces of its message. Errors of napi have no other place for data.
pub fn js_error(error: olmo_core::Error) -> Error<&'static str> {
    let mut js = Error::new(error.code(), error.to_string());
    js.set_cause(Error::from_reason(details(&error).to_string()));
    js
}

/// A value of a type that this binding does not take: the library has let something through.
pub fn unreadable(error: napi::Error) -> Error<&'static str> {
    js_error(olmo_core::Error::Internal(error.reason.clone()))
}

fn details(error: &olmo_core::Error) -> Value {
    let part = |part: &Part| match part {
        Part::Words(words) => json!({ "kind": "words", "words": words }),
        Part::Subject(name) => json!({ "kind": "subject", "option": name }),
        Part::Option(name) => json!({ "kind": "option", "option": name }),
        Part::Setting(name, value) => {
            json!({ "kind": "setting", "option": name, "value": value })
        }
    };
    let fact = |(name, fact): (&str, Fact)| {
        let value = match fact {
            Fact::Text(text) => json!(text),
            Fact::Number(number) => json!(number),
            Fact::List(list) => json!(list),
        };
        (name.to_owned(), value)
    };
    let parts: Vec<Value> = error.message().parts().iter().map(part).collect();
    let facts: serde_json::Map<String, Value> = error.facts().into_iter().map(fact).collect();
    json!({ "parts": parts, "facts": facts })
}

/// A promise of a `T`. One type of it crosses to napi, whose machinery for promises is then compiled once.
pub struct Pending<T>(AsyncBlock<Settled>, PhantomData<T>);

impl<T> ToNapiValue for Pending<T> {
    unsafe fn to_napi_value(env: sys::napi_env, pending: Self) -> napi::Result<sys::napi_value> {
        // SAFETY: `env` is the one this function was called with.
        unsafe { ToNapiValue::to_napi_value(env, pending.0) }
    }
}

/// What a promise settles to, made on the JavaScript thread.
///
/// napi's futures can only fail with its own list of codes, so a failure travels as a value and
/// becomes an error with its own code where the promise settles.
pub struct Settled(Box<dyn FnOnce(sys::napi_env) -> napi::Result<sys::napi_value> + Send>);

impl Settled {
    fn new<T: ToNapiValue + Send + 'static>(result: olmo_core::Result<T>) -> Settled {
        match result {
            // SAFETY: it is called with the environment of the thread that it is called on.
            Ok(value) => Settled(Box::new(move |env| unsafe { T::to_napi_value(env, value) })),
            Err(error) => Settled::failed(error),
        }
    }

    fn failed(error: olmo_core::Error) -> Settled {
        Settled(Box::new(move |env| {
            Err(JsError::from(js_error(error)).into_unknown(Env::from_raw(env)).into())
        }))
    }
}

impl ToNapiValue for Settled {
    unsafe fn to_napi_value(env: sys::napi_env, settled: Self) -> napi::Result<sys::napi_value> {
        (settled.0)(env)
    }
}

type Settling = Pin<Box<dyn Future<Output = napi::Result<Settled>> + Send>>;

/// A promise of what the future gives. The future owns what it uses, so that it may outlive the
/// JavaScript object whose method made it. tokio turns a panic in it into a rejection.
pub fn promise<T, F>(env: &Env, future: F) -> Promise<T>
where
    T: ToNapiValue + Send + 'static,
    F: Future<Output = olmo_core::Result<T>> + Send + 'static,
{
    let settling: Settling = Box::pin(async move { Ok(Settled::new(future.await)) });
    Ok(Pending(AsyncBlockBuilder::new(settling).build(env)?, PhantomData))
}

/// A promise of what the function gives on a thread where it may block.
pub fn promise_blocking<T, F>(env: &Env, work: F) -> Promise<T>
where
    T: ToNapiValue + Send + 'static,
    F: FnOnce() -> olmo_core::Result<T> + Send + 'static,
{
    let work: Box<dyn FnOnce() -> Settled + Send> = Box::new(move || Settled::new(work()));
    let settling: Settling = Box::pin(async move {
        Ok(spawn_blocking(work).await.unwrap_or_else(|error| {
            let said = error.try_into_panic().map(|panic| olmo_core::panic_message(&*panic));
            let said = said.unwrap_or_else(|error| error.to_string());
            Settled::failed(olmo_core::Error::Internal(said))
        }))
    });
    Ok(Pending(AsyncBlockBuilder::new(settling).build(env)?, PhantomData))
}
