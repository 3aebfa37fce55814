//! Text on its way to the token files of a training.

use napi::bindgen_prelude::Env;
use napi_derive::napi;
use olmo_core::evaluate::baseline;
use olmo_core::prepare as core;

use crate::error::{js_error, Promise, Result};
use crate::job::{Backlog, Job, Step};

/// A preparation that is under way. It tells what begins.
#[napi]
pub struct Preparation(Job<String, Prepared>);

#[napi(object, object_to_js = false)]
pub struct PrepareOptions {
    pub text: String,
    pub out: String,
    pub vocab_size: Option<u32>,
    pub seed: Option<f64>,
    pub context: Option<u32>,
    /// Orders of n-gram models to measure
    pub baseline: Vec<u32>,
}

/// The manifest and the n-gram models' scores, in JSON.
#[napi(object, object_from_js = false)]
pub struct Prepared {
    pub manifest: String,
    pub baselines: String,
}

/// Starts to make token files and a tokenizer from a folder of text.
#[napi(catch_unwind)]
pub fn prepare(options: PrepareOptions) -> Result<Preparation> {
    let mut core_options = core::Options::new(options.text, options.out);
    core_options.vocab_size = options.vocab_size.map_or(core_options.vocab_size, |n| n as usize);
    core_options.seed = options.seed.map_or(core_options.seed, |n| n as u64);
    core_options.context = options.context.map_or(core_options.context, |n| n as usize);
    let orders: Vec<usize> = options.baseline.into_iter().map(|order| order as usize).collect();
    baseline::check_orders(&orders).map_err(js_error)?;
    let job = Job::start("olmo2-prepare", Backlog::All, move |job| {
        let mut say = |what: &str| job.tell(what);
        let manifest = core::prepare(&core_options, &job.cancelled, &mut say)?;
        let baselines =
            baseline::measure_all(&core_options.out, &orders, &job.cancelled, &mut say)?;
        Ok(Prepared { manifest: manifest.to_json(), baselines: baseline::to_json(&baselines) })
    })?;
    Ok(Preparation(job))
}

#[napi]
impl Preparation {
    #[napi(catch_unwind, ts_return_type = "Promise<{ events: Array<string>, output?: Prepared }>")]
    pub fn next(&self, env: &Env) -> Promise<Step<String, Prepared>> {
        self.0.next(env)
    }

    /// Stops the work as soon as it can be stopped.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.0.cancel();
    }
}
