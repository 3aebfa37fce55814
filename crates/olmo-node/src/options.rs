//! Options as JavaScript passes them: absent means the default. `src/options.ts` documents them and
//! has checked that counts are whole numbers in range; the engine checks the rest.

use std::path::PathBuf;

use napi::bindgen_prelude::BigInt;
use napi_derive::napi;
use olmo_core::checkpoint as core;
use olmo_core::limits::Limits;
use olmo_core::sampling::{GenerationDefaults, GenerationOptions};
use olmo_core::weights::Access;

#[napi(object, object_to_js = false)]
pub struct LoadOptions {
    pub dtype: Option<String>,
    pub cache_dtype: Option<String>,
    pub device: Option<String>,
    pub threads: Option<u32>,
    pub cache_tokens: Option<u32>,
    pub mmap: Option<bool>,
    pub max_num_seqs: Option<u32>,
    pub prefill_chunk: Option<u32>,
    pub logits_chunk: Option<u32>,
    pub max_queue: Option<u32>,
    pub max_answers: Option<u32>,
}

impl LoadOptions {
    pub fn to_core(&self, path: PathBuf) -> olmo_core::Result<core::LoadOptions> {
        Ok(core::LoadOptions {
            path,
            dtype: self.dtype.as_deref().map(str::parse).transpose()?,
            cache_dtype: self.cache_dtype.as_deref().map(str::parse).transpose()?,
            device: self.device.as_deref().map(str::parse).transpose()?.unwrap_or_default(),
            threads: self.threads.map(|n| n as usize),
            cache_tokens: self.cache_tokens.map(|n| n as usize),
            access: if self.mmap == Some(false) { Access::Read } else { Access::Map },
            limits: self.limits(),
        })
    }

    fn limits(&self) -> Limits {
        let base = Limits::default();
        let count = |given: Option<u32>, base: usize| given.map_or(base, |n| n as usize);
        Limits {
            max_num_seqs: count(self.max_num_seqs, base.max_num_seqs),
            prefill_chunk: count(self.prefill_chunk, base.prefill_chunk),
            logits_chunk: count(self.logits_chunk, base.logits_chunk),
            max_queue: count(self.max_queue, base.max_queue),
            max_answers: count(self.max_answers, base.max_answers),
        }
    }
}

#[napi(object, object_to_js = false)]
pub struct GenerateOptions {
    pub max_new_tokens: Option<u32>,
    pub min_new_tokens: Option<u32>,
    pub do_sample: Option<bool>,
    pub temperature: Option<f64>,
    pub top_k: Option<u32>,
    pub top_p: Option<f64>,
    pub min_p: Option<f64>,
    pub typical_p: Option<f64>,
    pub repetition_penalty: Option<f64>,
    pub no_repeat_ngram_size: Option<u32>,
    pub bad_words_ids: Option<Vec<Vec<u32>>>,
    pub eos_token_ids: Option<Vec<u32>>,
    pub stop_strings: Option<Vec<String>>,
    pub num_return_sequences: Option<u32>,
    pub seed: Option<BigInt>,
    pub prompt_lookup_num_tokens: Option<u32>,
    pub max_matching_ngram_size: Option<u32>,
    pub skip_special_tokens: Option<bool>,
    pub logprobs: Option<bool>,
    pub top_logprobs: Option<u32>,
    pub prompt_logprobs: Option<bool>,
}

impl GenerateOptions {
    /// These options laid over the checkpoint's.
    pub fn over(self, defaults: &GenerationDefaults) -> GenerationOptions {
        let base = GenerationOptions::from_defaults(defaults);
        let count = |given: Option<u32>, base: usize| given.map_or(base, |n| n as usize);
        GenerationOptions {
            max_new_tokens: count(self.max_new_tokens, base.max_new_tokens),
            min_new_tokens: count(self.min_new_tokens, base.min_new_tokens),
            do_sample: self.do_sample.unwrap_or(base.do_sample),
            temperature: self.temperature.unwrap_or(base.temperature),
            top_k: count(self.top_k, base.top_k),
            top_p: self.top_p.unwrap_or(base.top_p),
            min_p: self.min_p.or(base.min_p),
            typical_p: self.typical_p.unwrap_or(base.typical_p),
            repetition_penalty: self.repetition_penalty.unwrap_or(base.repetition_penalty),
            no_repeat_ngram_size: count(self.no_repeat_ngram_size, base.no_repeat_ngram_size),
            bad_words_ids: self.bad_words_ids.unwrap_or(base.bad_words_ids),
            eos_token_ids: self.eos_token_ids.unwrap_or(base.eos_token_ids),
            stop_strings: self.stop_strings.unwrap_or(base.stop_strings),
            num_return_sequences: count(self.num_return_sequences, base.num_return_sequences),
            seed: self.seed.map(|seed| seed.get_u64().1).or(base.seed),
            prompt_lookup_num_tokens: count(
                self.prompt_lookup_num_tokens,
                base.prompt_lookup_num_tokens,
            ),
            max_matching_ngram_size: count(
                self.max_matching_ngram_size,
                base.max_matching_ngram_size,
            ),
            skip_special_tokens: self.skip_special_tokens.unwrap_or(base.skip_special_tokens),
            logprobs: self.logprobs.unwrap_or(base.logprobs),
            top_logprobs: count(self.top_logprobs, base.top_logprobs),
            prompt_logprobs: self.prompt_logprobs.unwrap_or(base.prompt_logprobs),
            ..base
        }
    }
}
