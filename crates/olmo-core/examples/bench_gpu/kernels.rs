//! What each kernel of a pass takes.

use olmo_core::backend::wgpu::{by_kernel, Notes, Trace};
use serde_json::{json, Value};

/// The kernels of a pass, those that take longest first.
pub fn times(trace: &Trace, pass: impl FnOnce()) -> Value {
    trace.note(Notes::Times);
    pass();
    trace.note(Notes::Nothing);
    let lines = by_kernel(&trace.take()).into_iter().map(|line| {
        json!({
            "kernel": line.kernel,
            "workgroups": line.groups,
            "count": line.count,
            "seconds": line.nanoseconds * 1e-9,
            "bytes": line.moved,
        })
    });
    lines.collect()
}
