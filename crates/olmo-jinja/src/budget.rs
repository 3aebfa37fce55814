//! What a rendering may take: steps, bytes and nesting. Templates come from strangers.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use super::fault::{Fault, FaultKind, Outcome};

/// Steps: evaluated parts of the template, items looked at, and 64 bytes of text copied or searched.
const MAX_STEPS: u64 = 20_000_000;
/// Bytes of one text, beside what the caller's own values are large.
const MAX_TEXT: usize = 16 << 20;
/// Bytes of everything made during one rendering.
const MAX_TOTAL: u64 = 384 << 20;
/// Items of one list.
const MAX_ITEMS: usize = 1_000_000;
/// Levels of statements, expressions and calls within one another.
const MAX_DEPTH: u32 = 1_500;
/// Lists within lists.
pub const MAX_NESTING: u32 = 200;
/// As jinja2's sandbox has it.
pub const MAX_RANGE: i128 = 100_000;

pub struct Budget {
    steps: Cell<u64>,
    bytes: Cell<u64>,
    depth: Cell<u32>,
    max_text: usize,
    max_total: u64,
    cancelled: Arc<AtomicBool>,
}

impl Budget {
    /// `given` is how many bytes the caller's values take: long conversations may take more.
    pub fn new(given: usize, cancelled: Arc<AtomicBool>) -> Budget {
        Budget {
            steps: Cell::new(0),
            bytes: Cell::new(0),
            depth: Cell::new(0),
            max_text: MAX_TEXT + given.saturating_mul(4),
            max_total: MAX_TOTAL + (given as u64).saturating_mul(16),
            cancelled,
        }
    }

    /// Counts work that is about to be done.
    pub fn step(&self, count: usize) -> Outcome<()> {
        let before = self.steps.get();
        let steps = before + count as u64;
        self.steps.set(steps);
        if steps > MAX_STEPS {
            return Err(Fault::limit(format!("it takes more than {MAX_STEPS} steps")));
        }
        if before >> 10 != steps >> 10 && self.cancelled.load(Ordering::Relaxed) {
            return Err(Fault::new(FaultKind::Cancelled, "cancelled"));
        }
        Ok(())
    }

    /// Counts a look at all of a text.
    pub fn scan(&self, bytes: usize) -> Outcome<()> {
        self.step(1 + bytes / 64)
    }

    /// Counts a text of so many bytes that is about to be made.
    pub fn text(&self, bytes: usize) -> Outcome<()> {
        self.fits(bytes)?;
        self.scan(bytes)?;
        self.take(bytes)
    }

    /// Refuses a text that has grown too long, whose parts were counted before.
    pub fn fits(&self, bytes: usize) -> Outcome<()> {
        if bytes <= self.max_text {
            return Ok(());
        }
        Err(Fault::limit(format!("it makes a text of more than {} bytes", self.max_text)))
    }

    /// Counts a list of so many items that is about to be made.
    pub fn items(&self, count: usize) -> Outcome<()> {
        if count > MAX_ITEMS {
            return Err(Fault::limit(format!("it makes a list of more than {MAX_ITEMS} items")));
        }
        self.step(1 + count)?;
        self.take(count * 48)
    }

    /// Refuses lists too deep in lists, which could not be printed or even dropped.
    pub fn nesting(&self, depth: u32) -> Outcome<()> {
        if depth > MAX_NESTING {
            let problem = format!("it nests values more than {MAX_NESTING} deep");
            return Err(Fault::limit(problem));
        }
        Ok(())
    }

    /// Does something one level further in.
    pub fn enter(&self) -> Outcome<()> {
        self.depth.set(self.depth.get() + 1);
        if self.depth.get() > MAX_DEPTH {
            return Err(Fault::limit(format!("it calls itself more than {MAX_DEPTH} levels deep")));
        }
        self.step(1)
    }

    pub fn leave(&self) {
        self.depth.set(self.depth.get().saturating_sub(1));
    }

    fn take(&self, bytes: usize) -> Outcome<()> {
        self.bytes.set(self.bytes.get() + bytes as u64);
        if self.bytes.get() > self.max_total {
            let most = self.max_total >> 20;
            return Err(Fault::limit(format!("it makes more than {most} MiB of values")));
        }
        Ok(())
    }
}
