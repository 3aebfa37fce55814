//! The GPU that the tests of kernels run on.

use olmo_core::device::{Adapter, Device};

/// The driver that computes on the CPU (Debian's mesa-vulkan-drivers), or what `OLMO2_TEST_GPU` names, such as `gpu`.
pub fn adapter(test: &str) -> Option<Adapter> {
    let name = std::env::var("OLMO2_TEST_GPU").unwrap_or_else(|_| "software-gpu".to_owned());
    match name.parse::<Device>().unwrap().adapter() {
        Ok(adapter) => Some(adapter),
        Err(error) => {
            println!("not run: {test}: {error}");
            None
        }
    }
}
