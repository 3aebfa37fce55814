//! Panics of the tokenizers crate, caught and kept from standard error.

use std::cell::Cell;
use std::panic::{catch_unwind, set_hook, take_hook, AssertUnwindSafe};
use std::sync::Once;

use crate::panic_message;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs a call; if it panics, gives what the panic said, and nothing is printed.
pub(super) fn catch<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let hook = take_hook();
        set_hook(Box::new(move |info| {
            if !QUIET.get() {
                hook(info);
            }
        }));
    });
    let was = QUIET.replace(true);
    // The tokenizer is only read, and its cache of words is behind a lock that a panic leaves usable, so
    // nothing half done can be seen afterwards.
    let result = catch_unwind(AssertUnwindSafe(call));
    QUIET.set(was);
    result.map_err(|panic| panic_message(&*panic))
}
