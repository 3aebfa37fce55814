//! Rows to examples, on all processors, into this shard's spool.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{sync_channel, SyncSender};
use std::sync::Arc;

use olmo_core::{panic_message, Error, Result};
use rayon::prelude::*;

use super::work::Work;
use super::{check_row, Progress, Stage};
use crate::options::Options;
use crate::setup::{Plan, Setup};
use crate::source::{order, Content, Row, Watch};
use crate::spool::{Example, BLOCK};

/// Rows that are made at once: so many, or so many bytes.
const ROUND_ROWS: usize = 2048;
const ROUND_BYTES: usize = 8 << 20;

/// Rows of one source, read together.
struct Round {
    source: usize,
    rows: Vec<Row>,
}

/// Makes the examples that are not in the spool yet. Gives the number of rows of each source.
pub fn produce(
    options: &Options,
    setup: &Setup,
    plan: &Plan,
    counts: &[Option<usize>],
    (work, cancelled, progress): (&Work, &Arc<AtomicBool>, &mut dyn FnMut(Progress)),
) -> Result<Vec<u64>> {
    let (mut spool, there) = work.spool()?;
    let maker = setup.maker(options);
    let read = AtomicU64::new(0);
    let watch = Watch { read: &read, cancelled };
    let (send, rounds) = sync_channel::<Round>(2);
    std::thread::scope(|scope| {
        let reader = Reader {
            options,
            plan,
            counts,
            skip: there.len(),
            next: 0,
            round: Vec::new(),
            bytes: 0,
            send,
        };
        let reading = scope.spawn(move || reader.run(watch));
        let mut made = Ok(());
        for Round { source, rows } in &rounds {
            let examples = rows.par_iter().map(|row| {
                Error::if_cancelled(cancelled)?;
                maker.make(row)
            });
            made = examples.collect::<Result<Vec<Example>>>().and_then(|examples| {
                examples
                    .iter()
                    .try_for_each(|example| check_row(options, plan, source, example))?;
                spool.append(&examples)
            });
            if made.is_err() {
                break;
            }
            let (done, total) = (read.load(Ordering::Relaxed), plan.bytes);
            progress(Progress { stage: Stage::Encoding, done, total });
        }
        // A reader that waits for someone to take its rows ends.
        drop(rounds);
        let rows =
            reading.join().unwrap_or_else(|panic| Err(Error::Internal(panic_message(&*panic))));
        made?;
        rows
    })
}

/// What goes through the files.
struct Reader<'a> {
    options: &'a Options,
    plan: &'a Plan,
    counts: &'a [Option<usize>],
    /// Examples of this shard that are there already.
    skip: usize,
    /// Rows that are wanted, of all shards, that have been passed.
    next: usize,
    round: Vec<Row>,
    bytes: usize,
    send: SyncSender<Round>,
}

impl Reader<'_> {
    fn run(mut self, watch: Watch) -> Result<Vec<u64>> {
        let mut all = Vec::new();
        for (index, source) in self.plan.sources.iter().enumerate() {
            let wanted = self.counts[index].map(|count| {
                let mut wanted = vec![false; count];
                for row in order(count, source.amount.of(count).unwrap_or_default()) {
                    wanted[row as usize] = true;
                }
                wanted
            });
            let mut count = 0_usize;
            source.each_row(watch, &mut |row| {
                let is_wanted =
                    wanted.as_ref().is_none_or(|wanted| wanted.get(count) == Some(&true));
                count += 1;
                if is_wanted {
                    self.take(index, row)
                } else {
                    Ok(())
                }
            })?;
            if self.counts[index].is_some_and(|before| before != count) {
                let problem = "it changed while it was read".to_owned();
                return Err(Error::InvalidFile { file: source.files[0].clone(), problem });
            }
            all.push(count as u64);
            self.send(index)?;
        }
        Ok(all)
    }

    fn take(&mut self, source: usize, row: Row) -> Result<()> {
        let shard = self.options.shard;
        let of_shard = self.next / BLOCK % shard.of as usize;
        self.next += 1;
        if of_shard != shard.index as usize - 1 {
            return Ok(());
        }
        if self.skip > 0 {
            self.skip -= 1;
            return Ok(());
        }
        self.bytes += match &row.content {
            Content::Line(line) => line.len(),
            Content::Value(value) => value.size(),
            Content::Broken(_) => 0,
        };
        self.round.push(row);
        if self.round.len() >= ROUND_ROWS || self.bytes >= ROUND_BYTES {
            self.send(source)?;
        }
        Ok(())
    }

    fn send(&mut self, source: usize) -> Result<()> {
        self.bytes = 0;
        let rows = std::mem::take(&mut self.round);
        if rows.is_empty() {
            return Ok(());
        }
        // Nobody takes it where the work has failed, which is what is told then.
        self.send.send(Round { source, rows }).map_err(|_| Error::Cancelled)
    }
}
