//! The tokens of a model as llguidance takes them.

use std::sync::Arc;

use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::{
    ApproximateTokEnv, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie, TokenId,
};
use llguidance::ParserFactory;

use super::compile::on_deep_stack;
use super::masker::Masker;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

/// A trie of all tokens, and what is computed with it: one a model, made when the first grammar comes.
pub struct Vocabulary {
    pub(super) factory: ParserFactory,
    pub(super) masker: Masker,
    /// Stands for every end token of a call, which the vocabulary itself does not know.
    pub(super) end: TokenId,
}

impl Vocabulary {
    /// The vocabulary of a model with `vocab_size` rows of logits. Takes some tenths of a second for
    /// 100,000 tokens.
    ///
    /// Errors with [`Error::InvalidGrammar`] about `option`, the one that asked, if the tokens have no
    /// bytes of their own.
    pub fn new(
        tokenizer: &Tokenizer,
        vocab_size: usize,
        option: &'static str,
    ) -> Result<Vocabulary> {
        if !tokenizer.is_byte_level() {
            let problem = "the checkpoint's tokenizer is not ByteLevel, so its tokens are not parts of the text";
            return Err(Error::InvalidGrammar { option, problem: problem.to_owned() });
        }
        let end = vocab_size as TokenId;
        let mut words: Vec<Vec<u8>> = (0..end).map(|id| word(tokenizer, id)).collect();
        words.push(special("<|end|>"));
        let factory = on_deep_stack(option, move || {
            let trie = TokTrie::from(&TokRxInfo::new(end + 1, end), &words);
            // An approximate one lets the model choose how to cut forced text into tokens.
            let env: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
            let slices = SlicedBiasComputer::general_slices();
            let mut factory = ParserFactory::new(&env, InferenceCapabilities::default(), &slices)?;
            factory.quiet();
            *factory.limits_mut() = super::compile::limits();
            Ok(factory)
        })?;
        Ok(Vocabulary { factory, masker: Masker::default(), end })
    }
}

/// The bytes of a token. Special ones are marked, so that no text is taken for them; an id without a token
/// has none, and never comes.
fn word(tokenizer: &Tokenizer, id: u32) -> Vec<u8> {
    match tokenizer.token_text(id) {
        Some(text) if tokenizer.is_special(id) => special(&text),
        Some(text) => tokenizer.token_bytes(&text),
        None => Vec::new(),
    }
}

fn special(text: &str) -> Vec<u8> {
    [&[TokTrie::SPECIAL_TOKEN_MARKER], text.as_bytes()].concat()
}
