//! A line for every row that is not in the output.

use std::path::Path;

use olmo_core::files::hashed::NewFile;
use olmo_core::Result;
use serde_json::json;

use crate::setup::Run;
use crate::spool::Pool;

/// Writes lines of JSON with file, line and reason.
pub fn write(
    run: &Run,
    pool: &mut Pool,
    source_of: &dyn Fn(usize) -> usize,
    path: &Path,
) -> Result<()> {
    let mut out = NewFile::create(path)?;
    for index in 0..pool.len() {
        let Some(reason) = pool.record(index).reason() else { continue };
        let example = pool.read(index)?;
        let file = &run.plan.sources[source_of(index)].files[example.record.file as usize];
        let about = match example.problem.as_str() {
            "" => reason.about(),
            problem => problem,
        };
        let line = json!({
            "file": file.to_string_lossy(),
            "line": example.record.line,
            "reason": reason,
            "about": about,
        });
        out.write(format!("{line}\n").as_bytes())?;
    }
    out.finish().map(|_| ())
}
