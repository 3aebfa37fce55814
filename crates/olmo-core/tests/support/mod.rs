//! What the integration tests share.

// Every test program compiles this for itself and uses its part.
#![allow(dead_code, unused_imports)]

mod bench;
mod compare;
mod json;

use std::path::PathBuf;

use olmo_core::device::Device;

pub use bench::{Bench, Reference};
pub use compare::max_difference;
pub use json::{config, generation_defaults, ids, json, list, options, text, tokenizer};

pub fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// The device under test: the CPU, or the one that `OLMO2_TEST_DEVICE` names (`cuda`, `metal`).
pub fn device() -> Device {
    match std::env::var("OLMO2_TEST_DEVICE") {
        Ok(name) => name.parse().expect("OLMO2_TEST_DEVICE names a device"),
        Err(_) => Device::Cpu,
    }
}

/// A folder that goes with the test.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> TempDir {
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("olmo-core-{}-{count}", std::process::id()));
        std::fs::create_dir(&dir).expect("a temporary folder");
        TempDir(dir)
    }

    pub fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
