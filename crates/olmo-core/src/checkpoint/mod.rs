//! From a path to a model that is ready to run: what kind of model it is, what it would need, and
//! loading it.

mod load;
mod model_card;
mod source;

pub use load::{inspect, Inspection, LoadOptions, LoadProgress, ModelInfo};
pub(crate) use load::{load, Loaded};
pub(crate) use model_card::license;
pub use source::{Chat, ModelSource};
