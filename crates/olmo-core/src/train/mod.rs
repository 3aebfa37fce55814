//! Training: OLMo 2's recipe on the decoder that also generates.
//!
//! [`Trainer`] runs the stages of a [`TrainConfig`]. What it trains is a
//! [`network::Learner`]: the model's decoder over operations that know their gradients.

pub mod checkpoint;
pub mod config;
mod damage;
pub mod data;
mod fit;
pub mod init;
mod inputs;
pub mod instance;
pub mod labelled;
mod lock;
mod memory;
pub mod metrics;
pub mod network;
pub mod optimizer;
pub mod phase;
mod restore;
pub mod schedule;
pub mod soup;
mod state;
mod trainer;
mod validation;

pub use config::TrainConfig;
pub use metrics::Progress;
pub use trainer::{OnProgress, Summary, Trainer, SOUP};
