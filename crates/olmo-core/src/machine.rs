//! What this machine has left.

use crate::error::{Amount, Hint};
use crate::{Error, Result};

/// Bytes this process could still take without swapping, within its cgroup's limit and that of its address
/// space (`ulimit -v`) if it has them.
pub fn available_memory() -> u64 {
    physical_memory().min(address_space())
}

/// What is left of the address space that the process may have; Linux says it, others are taken to have
/// no limit.
fn address_space() -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let number = |text: &str, name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let taken = number(&status, "VmSize:").unwrap_or(0) * 1024;
    number(&limits, "Max address space").map_or(u64::MAX, |limit| limit.saturating_sub(taken))
}

/// Bytes of this machine, or of its cgroup where that has less.
pub fn total_memory() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let machine = system.total_memory();
    match system.cgroup_limits() {
        Some(limits) if limits.total_memory > 0 => machine.min(limits.total_memory),
        _ => machine,
    }
}

fn physical_memory() -> u64 {
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
