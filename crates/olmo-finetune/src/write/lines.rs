//! Open Instruct's own input: conversations in JSON, a line each.

use olmo_core::Result;

use super::{Each, Files};
use crate::report::LINES;

pub fn write(files: &mut Files, each: &mut Each) -> Result<()> {
    let mut out = files.create(LINES)?;
    each(&mut |example| out.write(&example.body))?;
    files.finish(out)
}
