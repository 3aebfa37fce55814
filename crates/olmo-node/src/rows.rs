//! Rows of Parquet files, for those who read them in JavaScript.

use napi::bindgen_prelude::Env;
use napi_derive::napi;
use olmo_core::files::parquet::Rows;

use crate::error::{Promise, Result};
use crate::job::{Backlog, Job, Step};

/// A file being read. It tells each row as a line of JSON.
#[napi]
pub struct RowReading(Job<String, bool>);

/// Begins to read a file's rows, all columns of them.
#[napi(catch_unwind)]
pub fn read_rows(path: String) -> Result<RowReading> {
    let job = Job::start("olmo2-rows", Backlog::Wait, move |job| {
        for row in Rows::open(path.as_ref(), None)? {
            job.tell_or_stop(row?.to_string())?;
        }
        Ok(true)
    })?;
    Ok(RowReading(job))
}

#[napi]
impl RowReading {
    #[napi(catch_unwind, ts_return_type = "Promise<{ events: Array<string>, output?: boolean }>")]
    pub fn next(&self, env: &Env) -> Promise<Step<String, bool>> {
        self.0.next(env)
    }

    /// Ends it after the row that is being read.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.0.cancel();
    }
}
