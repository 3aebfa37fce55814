//! OLMo-core's documents: parts of ids, of labels, and of where documents begin and end.
//!
//! Source: `open_instruct/numpy_dataset_conversion.py` at e6c3044. A file `.npy` is ids or labels and nothing
//! else; a document that goes over the end of a part is cut there.

use std::io::Write;

use flate2::write::GzEncoder;
use flate2::Compression;
use olmo_core::{Error, Result};

use super::{statistics, Each, Files, Output};
use crate::report::Tally;
use crate::setup::Run;

/// A part that is being written.
struct Part {
    ids: Output,
    labels: Output,
    /// Lines `start,end`.
    boundaries: GzEncoder<Vec<u8>>,
    /// Ids in it.
    len: u64,
}

pub fn write(run: &Run, files: &mut Files, each: &mut Each) -> Result<()> {
    let size = run.setup.dtype.size() as u64;
    let most = (run.options.part_bytes / size).max(1);
    let mut next = 0;
    let mut part: Option<Part> = None;
    each(&mut |example| {
        let (mut ids, mut labels) = (example.body.as_slice(), example.mask.as_slice());
        while !labels.is_empty() {
            let mut open = match part.take() {
                Some(open) => open,
                None => {
                    next += 1;
                    begin(files, next - 1)?
                }
            };
            let room = (most - open.len).min(labels.len() as u64) as usize;
            let (now, later) = ids.split_at(room * size as usize);
            open.ids.write(now)?;
            ids = later;
            let (now, later) = labels.split_at(room);
            open.labels.write(now)?;
            labels = later;
            let end = open.len + room as u64;
            writeln!(open.boundaries, "{},{end}", open.len).map_err(in_memory)?;
            open.len = end;
            match end == most {
                true => finish(files, open)?,
                false => part = Some(open),
            }
        }
        Ok(())
    })?;
    part.map_or(Ok(()), |part| finish(files, part))
}

fn begin(files: &Files, number: u32) -> Result<Part> {
    Ok(Part {
        ids: files.create(&format!("token_ids_part_{number:04}.npy"))?,
        labels: files.create(&format!("labels_mask_part_{number:04}.npy"))?,
        boundaries: GzEncoder::new(Vec::new(), Compression::default()),
        len: 0,
    })
}

fn finish(files: &mut Files, part: Part) -> Result<()> {
    let name = part.ids.name.replace(".npy", ".csv.gz");
    let packed = part.boundaries.finish().map_err(in_memory)?;
    files.finish(part.ids)?;
    files.finish(part.labels)?;
    files.write(&name, &packed)
}

fn in_memory(error: std::io::Error) -> Error {
    Error::Internal(format!("packing: {error}"))
}

/// `dataset_statistics.json` and the same to be read.
pub fn write_statistics(run: &Run, tally: &Tally, files: &mut Files) -> Result<()> {
    let statistics = statistics::of(run, tally);
    files.write("dataset_statistics.json", statistics.json().as_bytes())?;
    files.write("dataset_statistics.txt", statistics.text().as_bytes())
}
