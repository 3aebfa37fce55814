//! The files that a new one is made of, which it must not replace.

use std::fs;
use std::path::{Path, PathBuf};

use crate::checkpoint::ModelSource;
use crate::{Error, Result};

/// What is read beside a GGUF file.
const BESIDE: [&str; 6] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "config.json",
    "chat_template.jinja",
    "README.md",
];

/// Errors if `out` is a file of the model or the one that says what matters, also by another name: a link
/// to one, or one that it links to.
///
/// In the model's folder all but GGUF files count, which may be earlier outputs.
pub(super) fn refuse_as_output(
    out: &Path,
    source: &ModelSource,
    importance: Option<&Path>,
) -> Result<()> {
    let Some(identity) = Identity::of(out) else { return Ok(()) };
    let mut inputs: Vec<PathBuf> = importance.map(Path::to_owned).into_iter().collect();
    match source {
        ModelSource::Folder(dir) => {
            let entries = fs::read_dir(dir).into_iter().flatten().flatten();
            let paths = entries.map(|entry| entry.path());
            inputs.extend(paths.filter(|path| path.extension().is_none_or(|end| end != "gguf")));
        }
        ModelSource::Gguf(gguf) => {
            inputs.push(gguf.path().to_owned());
            inputs.extend(BESIDE.map(|name| source.dir().join(name)));
        }
    }
    match inputs.iter().find(|input| Identity::of(input).as_ref() == Some(&identity)) {
        Some(input) => {
            let expected = format!(
                "that is {} itself, which it is made of; name another file",
                input.display()
            );
            Err(Error::option("out", out.display(), expected))
        }
        None => Ok(()),
    }
}

/// What tells one file from another whatever its name.
#[derive(PartialEq)]
struct Identity {
    #[cfg(unix)]
    inode: (u64, u64),
    #[cfg(not(unix))]
    path: PathBuf,
}

impl Identity {
    /// That of the file at a path, links followed; `None` if there is none.
    fn of(path: &Path) -> Option<Identity> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let metadata = fs::metadata(path).ok()?;
            Some(Identity { inode: (metadata.dev(), metadata.ino()) })
        }
        #[cfg(not(unix))]
        Some(Identity { path: path.canonicalize().ok()? })
    }
}
