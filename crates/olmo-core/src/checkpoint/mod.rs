//! From a path to a model that is ready to run: what kind of model it is, what it would need, and
//! loading it.

mod load;
mod place;
mod source;

pub use load::{inspect, Inspection, LoadOptions, LoadProgress, ModelInfo};
pub(crate) use load::{load, Loaded};
pub use source::{Chat, ModelSource};
