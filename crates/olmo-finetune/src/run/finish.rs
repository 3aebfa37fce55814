//! From the spool to the files, in their order.

use std::path::{Path, PathBuf};

use olmo_core::files::hashed::write_file;
use olmo_core::{Error, Result};

use super::work::write_json;
use super::{Progress, Stage};
use crate::options::Format;
use crate::random;
use crate::report::{self, Report, Tally};
use crate::setup::Run;
use crate::source::order;
use crate::spool::{Example, Pool};
use crate::write::{documents, dropped, lines, rows, run_config, tokenizer, Files};

/// Where the examples of a source are in the pool, and in which order they are wanted.
pub struct Span {
    start: usize,
    end: usize,
    /// None for all of them as they are.
    order: Option<Vec<u32>>,
}

/// Writes all the files of the output into a folder.
pub fn finish(
    run: &Run,
    spools: &[PathBuf],
    folder: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report> {
    let mut pool = Pool::open(spools)?;
    let spans = spans(run, &pool)?;
    let mut tally = Tally::new(run.plan.sources.iter().map(|source| source.name.clone()).collect());
    for index in 0..pool.len() {
        tally.read(source_of(&spans, index), pool.record(index));
    }
    let mut all = Vec::new();
    for (index, (span, source)) in spans.iter().zip(&run.plan.sources).enumerate() {
        let before = all.len();
        all.extend(span.rows().filter(|&row| pool.record(row as usize).reason == 0));
        tally.mixed(index, run.rows[index], span.len(), all.len() - before);
        // Open Instruct looks at each set of data by itself.
        if all.len() == before {
            return Err(nothing_left(source.files[0].clone(), &tally));
        }
    }
    if let Some(seed) = run.options.shuffle_seed {
        let permutation = random::permutation(seed, all.len());
        all = permutation.into_iter().map(|at| all[at as usize]).collect();
    }
    let mut files = Files::new(folder);
    let total = all.len() as u64;
    let mut each = |take: &mut dyn FnMut(Example) -> Result<()>| -> Result<()> {
        for (done, &row) in all.iter().enumerate() {
            Error::if_cancelled(run.cancelled)?;
            let example = pool.read(row as usize)?;
            tally.written(source_of(&spans, row as usize), &example.record);
            take(example)?;
            if done % 4096 == 0 {
                progress(Progress { stage: Stage::Writing, done: done as u64, total });
            }
        }
        Ok(())
    };
    match run.options.format {
        Format::OlmoCore => documents::write(run, &mut files, &mut each)?,
        Format::Olmo => rows::write(run, &mut files, &mut each)?,
        Format::OpenInstruct => lines::write(&mut files, &mut each)?,
    }
    progress(Progress { stage: Stage::Writing, done: total, total });
    if run.options.format == Format::OlmoCore {
        documents::write_statistics(run, &tally, &mut files)?;
    }
    tokenizer::write(run, &mut files)?;
    run_config::write(run, &tally, &mut files)?;
    if let Some(path) = &run.options.dropped {
        dropped::write(run, &mut pool, &|index| source_of(&spans, index), path)?;
    }
    let report = Report::new(run, tally, files.into_entries());
    write_json(&folder.join(report::FILE), &report)?;
    write_file(&folder.join(report::HTML), report.to_html().as_bytes())?;
    Ok(report)
}

/// The sources' spans, one after the other.
fn spans(run: &Run, pool: &Pool) -> Result<Vec<Span>> {
    let mut spans = Vec::new();
    let mut start = 0;
    for (source, &rows) in run.plan.sources.iter().zip(run.rows) {
        let rows = rows as usize;
        let wanted = source.amount.of(rows).unwrap_or_default();
        let (count, order) = match source.amount == crate::source::Amount::ALL {
            true => (rows, None),
            false => ranked(rows, order(rows, wanted)),
        };
        spans.push(Span { start, end: start + count, order });
        start += count;
    }
    if start != pool.len() {
        let problem = format!("the shards have {} examples, and not {start}", pool.len());
        return Err(Error::Internal(problem));
    }
    Ok(spans)
}

/// Only rows that are wanted are in the pool: their numbers there, and how many they are.
fn ranked(rows: usize, order: Vec<u32>) -> (usize, Option<Vec<u32>>) {
    let mut ranks = vec![u32::MAX; rows];
    for &row in &order {
        ranks[row as usize] = 0;
    }
    let mut count = 0;
    for rank in ranks.iter_mut().filter(|rank| **rank == 0) {
        *rank = count;
        count += 1;
    }
    (count as usize, Some(order.into_iter().map(|row| ranks[row as usize]).collect()))
}

impl Span {
    fn len(&self) -> usize {
        self.order.as_ref().map_or(self.end - self.start, Vec::len)
    }

    fn rows(&self) -> Box<dyn Iterator<Item = u32> + '_> {
        let start = self.start as u32;
        match &self.order {
            None => Box::new(start..self.end as u32),
            Some(order) => Box::new(order.iter().map(move |&row| start + row)),
        }
    }
}

fn source_of(spans: &[Span], index: usize) -> usize {
    spans.partition_point(|span| span.end <= index)
}

fn nothing_left(file: PathBuf, tally: &Tally) -> Error {
    let reasons = tally.reasons_in_words();
    let why = if reasons.is_empty() { "there are no rows".to_owned() } else { reasons };
    Error::InvalidFile { file, problem: format!("no conversation of it is left: {why}") }
}
