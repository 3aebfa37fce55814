//! What templates have of Python that others need too.

pub use super::filters::{escape, quote_json};
pub use super::lexer::is_space;
pub use super::print::float;
