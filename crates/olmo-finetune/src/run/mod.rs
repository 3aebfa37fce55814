//! A preparation from its options to its folder.

mod finish;
mod produce;
mod work;

use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use olmo_core::{Error, Result};

use crate::options::{OnError, Options};
use crate::report::{self, Report};
use crate::setup::{Plan, Run, Setup};
use work::Work;

/// What is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Rows are counted: bytes of the files.
    Counting,
    /// Rows are made into examples: bytes of the files.
    Encoding,
    /// Examples are put in order: examples.
    Writing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub stage: Stage,
    pub done: u64,
    pub total: u64,
}

/// What a run came to.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The folder is there.
    Whole(Box<Report>),
    /// This shard is done; the last one to be done makes the folder.
    Waiting { rows: u64, missing: Vec<u32> },
}

/// Makes a folder of training data out of conversations.
///
/// The folder appears when all of it is there. Until then the work lies beside it, in `OUT.partial`; with
/// `resume` a run goes on with what is left there of the same options and files. `progress` is told how far it
/// is. Once `cancelled` is set the work fails with [`Error::Cancelled`].
pub fn prepare(
    options: &Options,
    cancelled: &Arc<AtomicBool>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome> {
    options.check()?;
    let setup = Setup::new(options, cancelled.clone())?;
    let plan = Plan::new(options, &setup)?;
    if let Some(report) = already_there(options, &plan)? {
        return Ok(Outcome::Whole(Box::new(report)));
    }
    let work = Work::begin(&options.out, options.shard, &plan.key, options.resume)?;
    let made = make(options, &setup, &plan, &work, (cancelled, progress));
    if made.as_ref().is_err_and(|error| !matches!(error, Error::Cancelled))
        && !options.resume
        && options.shard.of == 1
    {
        work.remove();
    }
    made
}

fn make(
    options: &Options,
    setup: &Setup,
    plan: &Plan,
    work: &Work,
    (cancelled, progress): (&Arc<AtomicBool>, &mut dyn FnMut(Progress)),
) -> Result<Outcome> {
    let counts = plan.count(cancelled, &mut |done| {
        progress(Progress { stage: Stage::Counting, done, total: plan.bytes });
    })?;
    let rows = match work.done()? {
        Some(done) => done.rows,
        None => {
            let rows =
                produce::produce(options, setup, plan, &counts, (work, cancelled, progress))?;
            work.set_done(rows.clone())?;
            rows
        }
    };
    let all = rows.iter().sum();
    let spools = match work.spools()? {
        Ok(spools) => spools,
        Err(missing) => return Ok(Outcome::Waiting { rows: all, missing }),
    };
    let Some(merge) = work.begin_merge()? else {
        return Ok(Outcome::Waiting { rows: all, missing: Vec::new() });
    };
    let run = Run { options, setup, plan, rows: &rows, cancelled };
    let report = finish::finish(&run, &spools, &merge.folder, progress)?;
    merge.finish(&options.out)?;
    work.remove();
    Ok(Outcome::Whole(Box::new(report)))
}

/// The report of an output that was made of the same already.
///
/// Errors with [`Error::InvalidOption`] if something else is there.
fn already_there(options: &Options, plan: &Plan) -> Result<Option<Report>> {
    let out = &options.out;
    let entries = match std::fs::read_dir(out) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(out, error)),
        Ok(mut entries) => entries.next(),
    };
    if entries.is_none() {
        return Ok(None);
    }
    if options.resume || options.shard.of > 1 {
        if let Some(report) = report::read(out, &plan.key)? {
            return Ok(Some(report));
        }
    }
    let problem = "there is something in it already: remove it, or name another folder";
    Err(Error::option("out", out.display(), problem))
}

/// Fails on a row that is no conversation, if it is to.
fn check_row(
    options: &Options,
    plan: &Plan,
    source: usize,
    example: &crate::spool::Example,
) -> Result<()> {
    if options.on_error == OnError::Skip || example.problem.is_empty() {
        return Ok(());
    }
    let file = plan.sources[source].files[example.record.file as usize].clone();
    let problem = format!("line {}: {}", example.record.line, example.problem);
    Err(Error::InvalidFile { file, problem })
}
