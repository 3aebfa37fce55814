//! From conversations to what AllenAI's trainers read: OLMo's rows, OLMo-core's documents, Open Instruct's
//! lines, byte for byte as their own programs write them.
//!
//! ```text
//! files → rows → conversation → text by the template → ids, and which of them are learnt → spool
//!                                               order of the mixer, permutation → parts, statistics, report
//! ```
//!
//! A row is made into an example once, on all processors, and lies in a spool on the disk until the order is
//! known, which depends on how many were dropped. So memory holds a record of some bytes for each row, and
//! an interrupted run goes on where its spool ends. No clock and no number of threads change a byte.

mod conversation;
mod encoder;
mod example;
pub mod inspect;
mod labels;
mod options;
mod python;
mod random;
mod report;
mod run;
mod setup;
mod source;
mod spool;
mod template;
mod write;

pub use conversation::{Conversation, Message, Shape};
pub use labels::{Labels, Reason};
pub use options::{Format, OnError, Options, Shard};
pub use report::Report;
pub use run::{prepare, Outcome, Progress, Stage};
pub use template::names as template_names;
