//! Options as JavaScript passes them: absent means the default. `src/options.ts` documents them and
//! has checked that counts are whole numbers in range; the engine checks the rest.

use std::path::PathBuf;

use napi::bindgen_prelude::{BigInt, Object};
use napi_derive::napi;
use olmo_core::checkpoint as core;
use olmo_core::limits::Limits;
use olmo_core::sampling::{
    describe, JsonSchema, Kind, OptionEntry, OptionValue, PartialOptions, OPTIONS,
};
use olmo_core::weights::Access;

#[napi(object, object_to_js = false)]
pub struct LoadOptions {
    pub dtype: Option<String>,
    pub cache_dtype: Option<String>,
    pub device: Option<String>,
    pub gpu_layers: Option<u32>,
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
            gpu_layers: self.gpu_layers.map(|n| n as usize),
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

/// The table of options of a generation, as JSON: what `scripts/generation-options.mjs` writes the
/// TypeScript type, the command's flags and the table of the docs from.
#[napi]
pub fn generation_options() -> String {
    describe().to_string()
}

/// The options of a generation that a caller set, under the engine's names.
pub fn partial_options(object: &Object) -> napi::Result<PartialOptions> {
    let mut options = PartialOptions::default();
    for entry in OPTIONS {
        if let Some(value) = option_value(object, entry)? {
            options.set(entry.name, value);
        }
    }
    Ok(options)
}

fn option_value(object: &Object, entry: &OptionEntry) -> napi::Result<Option<OptionValue>> {
    let name = entry.name;
    Ok(match entry.kind {
        Kind::Flag => object.get(name)?.map(OptionValue::Flag),
        Kind::Count => object.get(name)?.map(|count: u32| OptionValue::Count(count as usize)),
        Kind::Number => object.get(name)?.map(OptionValue::Number),
        Kind::Seed => object.get(name)?.map(|seed: BigInt| OptionValue::Seed(seed.get_u64().1)),
        Kind::Ids => object.get(name)?.map(OptionValue::Ids),
        Kind::IdLists => object.get(name)?.map(OptionValue::IdLists),
        Kind::Texts => object.get(name)?.map(OptionValue::Texts),
        Kind::Biases => object.get(name)?.map(|pairs: Vec<(u32, f64)>| OptionValue::Biases(pairs)),
        Kind::Text => object.get(name)?.map(OptionValue::Text),
        Kind::Schema => object.get(name)?.map(|json: String| OptionValue::Schema(JsonSchema(json))),
    })
}
