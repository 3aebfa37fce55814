//! How JavaScript takes back a request that settles with one promise.

use std::future::{poll_fn, Future};
use std::pin::pin;
use std::task::Poll;

use async_channel::{Receiver, Sender};
use napi_derive::napi;
use olmo_core::{Error, Result};

/// Is given to a request, which it can cancel from then on.
#[napi]
pub struct Cancellation {
    /// Nothing is ever sent: it closes.
    cancelled: Receiver<()>,
    cancel: Sender<()>,
}

#[napi]
impl Cancellation {
    #[napi(constructor)]
    #[allow(clippy::new_without_default)] // JavaScript calls it
    pub fn new() -> Cancellation {
        let (cancel, cancelled) = async_channel::bounded(1);
        Cancellation { cancelled, cancel }
    }

    /// Ends the request with `CANCELLED`.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.cancel.close();
    }

    /// Resolves when it is cancelled.
    pub(crate) fn wait(&self) -> impl Future<Output = ()> + Send + 'static {
        let cancelled = self.cancelled.clone();
        // A handle that JavaScript has dropped cancels nothing.
        let open = self.cancel.clone();
        async move {
            let _ = cancelled.recv().await;
            drop(open);
        }
    }
}

/// What the work gives, or [`Error::Cancelled`] as soon as `cancelled` resolves; the work is dropped then.
pub(crate) async fn unless<T>(
    cancelled: impl Future<Output = ()>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let (mut cancelled, mut work) = (pin!(cancelled), pin!(work));
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Pending => cancelled.as_mut().poll(context).map(|()| Err(Error::Cancelled)),
        ready => ready,
    })
    .await
}
