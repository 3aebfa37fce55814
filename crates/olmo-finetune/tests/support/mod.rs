//! What the tests share.
#![allow(dead_code)] // each program uses a part of it

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;

use olmo_core::{Error, Result};
use olmo_finetune::{Format, Options, Outcome};
use serde_json::{json, Value};

pub fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The repository's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub fn tokenizer() -> PathBuf {
    root().join("models/olmo2-5m")
}

/// A folder that goes when it is dropped.
pub struct Temporary(PathBuf);

impl Temporary {
    pub fn new(name: &str) -> Temporary {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("olmo-finetune-{name}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Temporary(path)
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file, and gives its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path.to_string_lossy().into_owned()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Options with the embedded model's tokenizer, and the template it takes without more.
pub fn options(format: Format, out: PathBuf, data: &[String]) -> Options {
    let mut options = Options::new(format, out, tokenizer());
    options.data = data.to_vec();
    if format == Format::OlmoCore {
        options.chat_template = Some("olmo".to_owned());
    }
    options
}

pub fn run(options: &Options) -> Result<Outcome> {
    olmo_finetune::prepare(options, &Arc::new(AtomicBool::new(false)), &mut |_| {})
}

/// The report of a run that makes its folder.
pub fn prepare(options: &Options) -> Value {
    match run(options) {
        Ok(Outcome::Whole(report)) => report.json,
        other => panic!("{other:?} of {options:?}"),
    }
}

pub fn failure(options: &Options) -> Error {
    run(options).expect_err("it fails")
}

/// Every file of a folder with its content, but for what names the folder or the time.
pub fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
            if !name.starts_with("dataset_statistics") && !name.starts_with("report") {
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// A conversation of two messages as a line.
pub fn chat(asked: &str, answered: &str) -> String {
    let messages = json!([
        { "role": "user", "content": asked },
        { "role": "assistant", "content": answered },
    ]);
    json!({ "messages": messages }).to_string() + "\n"
}

/// So many conversations.
pub fn chats(count: usize) -> String {
    let line = |index: usize| match index % 7 {
        6 => {
            json!({ "messages": [{ "role": "user", "content": "nothing is answered" }] })
                .to_string()
                + "\n"
        }
        kind => chat(&format!("What is {index}?"), &"It is a number. ".repeat(kind + 1)),
    };
    (0..count).map(line).collect()
}
