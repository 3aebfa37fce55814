//! Models that are made for a test.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

/// A folder that goes with its value.
pub struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("olmo2-eval-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.0.join(name), content).expect(name);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn copy(of: &Path, change: impl Fn(&str, Vec<u8>) -> Vec<u8>) -> Folder {
    let folder = Folder::new();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        folder.write(name, change(name, std::fs::read(of.join(name)).expect(name)));
    }
    folder
}

/// The same model with another context.
pub fn with_context(of: &Path, context: usize) -> Folder {
    copy(of, |name, content| {
        if name != "config.json" {
            return content;
        }
        let mut config: Value = serde_json::from_slice(&content).expect("a config");
        config["max_position_embeddings"] = context.into();
        config.to_string().into_bytes()
    })
}

/// The same model with weights at its end that are not numbers.
pub fn broken(of: &Path) -> Folder {
    copy(of, |name, mut content| {
        if name == "model.safetensors" {
            let end = content.len();
            content[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
            let middle = end / 2 / 4 * 4;
            content[middle..middle + 64].iter_mut().for_each(|byte| *byte = 0xff);
        }
        content
    })
}
