//! What a caller can ask of a generation: the names and meanings of Hugging Face `generate`.

use super::GenerationDefaults;
use crate::error::Message;
use crate::{Error, Result};

/// Most alternatives that can be asked for with each token: an event carries them all.
pub const MAX_TOP_LOGPROBS: usize = 1000;

/// Bounds of `temperature` and `repetition_penalty`, which multiply and divide logits: with them no
/// logit of a working model can overflow. Within them both are already without a choice.
const SMALLEST_FACTOR: f64 = 1e-6;
const LARGEST_FACTOR: f64 = 1e6;

/// Options of one call. Each default is Hugging Face's, before the checkpoint's
/// `generation_config.json` is laid over it.
///
/// Numbers are f64, as Python's and JavaScript's are: whether `1 - top_p` is reached can turn on a
/// bit that f32 does not have.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerationOptions {
    /// Tokens to generate at most; at least 1. Default 20 in Hugging Face; here 128.
    pub max_new_tokens: usize,
    /// Tokens to generate before an end token may come. Default 0.
    pub min_new_tokens: usize,
    /// Draw from the distribution instead of taking the likeliest token. Default false.
    pub do_sample: bool,
    /// Divides the logits; 0.000001 to 1,000,000. Default 1.
    pub temperature: f64,
    /// Keep only the `top_k` likeliest tokens; 0 keeps all. Default 50.
    pub top_k: usize,
    /// Keep the likeliest tokens whose probabilities add up to `top_p`; 0 to 1. Default 1.
    pub top_p: f64,
    /// Keep tokens at least `min_p` times as likely as the likeliest; 0 to 1. Default off.
    pub min_p: Option<f64>,
    /// Keep the tokens whose surprise is closest to the expected one, up to this mass; above 0,
    /// to 1. Default 1 (off).
    pub typical_p: f64,
    /// Divides positive and multiplies negative logits of tokens seen before; 0.000001 to
    /// 1,000,000. Default 1.
    pub repetition_penalty: f64,
    /// No sequence of this many tokens comes twice; 0 is off. Default 0.
    pub no_repeat_ngram_size: usize,
    /// Token sequences that may not be generated; none is empty. Default none.
    pub bad_words_ids: Vec<Vec<u32>>,
    /// Tokens that end the text. Default: the checkpoint's.
    pub eos_token_ids: Vec<u32>,
    /// Texts that end the text; they are not part of it. None is empty. Default none.
    pub stop_strings: Vec<String>,
    /// Independent texts per prompt; more than 1 only with `do_sample`. Default 1.
    pub num_return_sequences: usize,
    /// Seed of the draws; the same seed gives the same text. Default: a new one each time.
    pub seed: Option<u64>,
    /// Guess this many tokens at a time from where the text's last tokens stood before; 0 is off.
    /// Quickens texts that repeat their prompt, and changes none. Default 0.
    pub prompt_lookup_num_tokens: usize,
    /// Tokens that are compared to find that place, at least 1. Default 2 in Hugging Face; here 8.
    pub max_matching_ngram_size: usize,
    /// Leave special tokens such as `<|endoftext|>` out of the text. Default true.
    pub skip_special_tokens: bool,
    /// Give the log-probability of each generated token. Default false.
    pub logprobs: bool,
    /// Give this many likeliest alternatives with each token, at most [`MAX_TOP_LOGPROBS`].
    /// Default 0.
    pub top_logprobs: usize,
    /// Give log-probabilities of the prompt's tokens too, from the same pass. Default false.
    pub prompt_logprobs: bool,
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
            prompt_lookup_num_tokens: 0,
            max_matching_ngram_size: 8,
            skip_special_tokens: true,
            logprobs: false,
            top_logprobs: 0,
            prompt_logprobs: false,
        }
    }
}

impl GenerationOptions {
    /// The defaults with the checkpoint's laid over them.
    ///
    /// A `min_new_tokens` of the checkpoint that names no maximum raises the default one.
    pub fn from_defaults(defaults: &GenerationDefaults) -> GenerationOptions {
        let base = GenerationOptions::default();
        let min_new_tokens = defaults.min_new_tokens.unwrap_or(base.min_new_tokens);
        GenerationOptions {
            max_new_tokens: defaults
                .max_new_tokens
                .unwrap_or(base.max_new_tokens.max(min_new_tokens)),
            min_new_tokens,
            do_sample: defaults.do_sample.unwrap_or(base.do_sample),
            temperature: defaults.temperature.unwrap_or(base.temperature),
            top_k: defaults.top_k.unwrap_or(base.top_k),
            top_p: defaults.top_p.unwrap_or(base.top_p),
            min_p: defaults.min_p.or(base.min_p),
            typical_p: defaults.typical_p.unwrap_or(base.typical_p),
            repetition_penalty: defaults.repetition_penalty.unwrap_or(base.repetition_penalty),
            no_repeat_ngram_size: defaults
                .no_repeat_ngram_size
                .unwrap_or(base.no_repeat_ngram_size),
            bad_words_ids: defaults.bad_words_ids.clone(),
            eos_token_ids: defaults.eos_token_ids.clone(),
            stop_strings: defaults.stop_strings.clone(),
            ..base
        }
    }

    /// Checks every option against its range; `vocab_size` is the model's.
    ///
    /// Errors with [`Error::InvalidOption`] on the first one outside, whether or not the other
    /// options make use of it.
    pub fn validate(&self, vocab_size: usize) -> Result<()> {
        if self.max_new_tokens == 0 {
            return Err(Error::option("max_new_tokens", 0, "it must be 1 at least"));
        }
        factor("temperature", self.temperature)?;
        probability("top_p", self.top_p)?;
        probability("min_p", self.min_p.unwrap_or(0.0))?;
        if !(self.typical_p > 0.0 && self.typical_p <= 1.0) {
            let expected = "it must be above 0, and at most 1";
            return Err(Error::option("typical_p", self.typical_p, expected));
        }
        factor("repetition_penalty", self.repetition_penalty)?;
        for word in &self.bad_words_ids {
            if word.is_empty() {
                let value = format!("{:?}", self.bad_words_ids);
                let expected = "each of its words needs one token id at least";
                return Err(Error::option("bad_words_ids", value, expected));
            }
            ids_in_vocabulary("bad_words_ids", word, vocab_size)?;
        }
        ids_in_vocabulary("eos_token_id", &self.eos_token_ids, vocab_size)?;
        if self.stop_strings.iter().any(String::is_empty) {
            let value = format!("{:?}", self.stop_strings);
            let expected = "each stop string needs one character at least";
            return Err(Error::option("stop_strings", value, expected));
        }
        match self.num_return_sequences {
            0 => return Err(Error::option("num_return_sequences", 0, "it must be 1 at least")),
            1 => {}
            _ if self.do_sample => {}
            n => {
                let expected = Message::from("without ")
                    .option("do_sample")
                    .words(" every text would be the same: set ")
                    .setting("do_sample", "true")
                    .words(", or ask for 1");
                return Err(Error::option("num_return_sequences", n, expected));
            }
        }
        if self.max_matching_ngram_size == 0 {
            return Err(Error::option("max_matching_ngram_size", 0, "it must be 1 at least"));
        }
        if self.top_logprobs > MAX_TOP_LOGPROBS {
            let expected = format!("it must be {MAX_TOP_LOGPROBS} at most");
            return Err(Error::option("top_logprobs", self.top_logprobs, expected));
        }
        Ok(())
    }
}

fn factor(option: &'static str, value: f64) -> Result<()> {
    if (SMALLEST_FACTOR..=LARGEST_FACTOR).contains(&value) {
        return Ok(());
    }
    let range = format!("it must be from {SMALLEST_FACTOR} to {LARGEST_FACTOR}");
    let expected = match option {
        "temperature" if value == 0.0 => Message::from(range)
            .words("; for the likeliest token each time set ")
            .setting("do_sample", "false"),
        _ => range.into(),
    };
    Err(Error::option(option, value, expected))
}

fn probability(option: &'static str, value: f64) -> Result<()> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(Error::option(option, value, "it must be from 0 to 1"))
}

fn ids_in_vocabulary(option: &'static str, ids: &[u32], vocab_size: usize) -> Result<()> {
    match ids.iter().find(|&&id| id as usize >= vocab_size) {
        None => Ok(()),
        Some(id) => {
            let expected = format!("the model's ids go from 0 to {}", vocab_size - 1);
            Err(Error::option(option, id, expected))
        }
    }
}
