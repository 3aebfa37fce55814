//! What a caller can ask of a generation: the names and meanings of Hugging Face `generate`.

use crate::Result;

/// Options of one call. Each default is Hugging Face's, before the checkpoint's
/// `generation_config.json` is laid over it.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerationOptions {
    /// Tokens to generate at most. Default 20 in Hugging Face; here 128.
    pub max_new_tokens: usize,
    /// Tokens to generate before an end token may come. Default 0.
    pub min_new_tokens: usize,
    /// Draw from the distribution instead of taking the likeliest token. Default false.
    pub do_sample: bool,
    /// Divides the logits; above 0. Default 1.
    pub temperature: f32,
    /// Keep only the `top_k` likeliest tokens; 0 keeps all. Default 50.
    pub top_k: usize,
    /// Keep the likeliest tokens whose probabilities add up to `top_p`; 0 to 1. Default 1.
    pub top_p: f32,
    /// Keep tokens at least `min_p` times as likely as the likeliest; 0 to 1. Default off.
    pub min_p: Option<f32>,
    /// Keep the tokens whose surprise is closest to the expected one, up to this mass; 0 to 1.
    /// Default 1 (off).
    pub typical_p: f32,
    /// Divides positive and multiplies negative logits of tokens seen before; above 0. Default 1.
    pub repetition_penalty: f32,
    /// No sequence of this many tokens comes twice; 0 is off. Default 0.
    pub no_repeat_ngram_size: usize,
    /// Token sequences that may not be generated.
    pub bad_words_ids: Vec<Vec<u32>>,
    /// Tokens that end the text. Default: the checkpoint's.
    pub eos_token_ids: Vec<u32>,
    /// Texts that end the text; they are not part of it.
    pub stop_strings: Vec<String>,
    /// Independent texts per prompt. Default 1.
    pub num_return_sequences: usize,
    /// Seed of the draws; the same seed gives the same text. Default: a new one each time.
    pub seed: Option<u64>,
    /// Leave special tokens such as `<|endoftext|>` out of the text. Default true.
    pub skip_special_tokens: bool,
    /// Give the log-probability of each generated token. Default false.
    pub logprobs: bool,
    /// Give this many likeliest alternatives with each token. Default 0.
    pub top_logprobs: usize,
    /// Give log-probabilities of the prompt's tokens too, from the same pass. Default false.
    pub prompt_logprobs: bool,
    /// First prompt token to give a log-probability for; tokens before it can then come from the
    /// cache. Default 0: all, of which the first has no log-probability.
    pub prompt_logprobs_from: usize,
}

impl Default for GenerationOptions {
    fn default() -> Self {
        GenerationOptions {
            max_new_tokens: 128,
            min_new_tokens: 0,
            do_sample: false,
            temperature: 1.0,
            top_k: 50,
            top_p: 1.0,
            min_p: None,
            typical_p: 1.0,
            repetition_penalty: 1.0,
            no_repeat_ngram_size: 0,
            bad_words_ids: Vec::new(),
            eos_token_ids: Vec::new(),
            stop_strings: Vec::new(),
            num_return_sequences: 1,
            seed: None,
            skip_special_tokens: true,
            logprobs: false,
            top_logprobs: 0,
            prompt_logprobs: false,
            prompt_logprobs_from: 0,
        }
    }
}
