//! What this machine has left.

use crate::error::{Amount, Hint};
use crate::{Error, Result};

/// Bytes this process could still take without swapping, within its cgroup's limit if it has one.
pub fn available_memory() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let machine = system.available_memory();
    match system.cgroup_limits() {
        // Not `free_memory`: that counts the pages of files, which the system takes back at need.
        Some(limits) if limits.total_memory > 0 => {
            machine.min(limits.total_memory.saturating_sub(limits.rss))
        }
        _ => machine,
    }
}

/// Fails if `elements` numbers more are not to be had. A failed allocation ends the process, and one
/// that the system grants but cannot keep does so later, so this is asked before a large one.
pub fn check_available(elements: u64, what: &str, hint: Hint) -> Result<()> {
    let bytes = elements * size_of::<f32>() as u64;
    let available = available_memory();
    if bytes <= available {
        return Ok(());
    }
    Err(Error::NotEnoughMemory {
        what: what.to_owned(),
        need: Amount::Bytes(bytes),
        have: Some(Amount::Bytes(available)),
        hint,
    })
}
