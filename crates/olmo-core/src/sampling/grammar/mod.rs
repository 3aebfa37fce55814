//! Answers of a given form: which tokens may come next so that the whole fits a JSON schema, a regular
//! expression or a grammar.
//!
//! ```text
//! vocabulary = trie of all tokens' bytes                    once a model
//! grammar    = compiled schema, expression or Lark          once a call
//! for each answer:
//!     mask = tokens that some text of the grammar goes on with      while the model computes
//!     token = what the sampler makes of the logits, among them
//!     advance the grammar by the token's bytes; if nothing may follow, the answer is complete
//! ```
//!
//! The crate `llguidance` compiles grammars and computes masks. Here are the bounds it is held to, the
//! thread that computes, and what of an answer it decides.

mod compile;
mod constraint;
mod masker;
mod vocabulary;

pub use compile::{Grammar, GrammarSource};
pub use constraint::{Constraint, Mask};
pub use vocabulary::Vocabulary;
