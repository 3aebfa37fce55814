//! Conversations on their way to training data, and a look at such data.

use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use napi::bindgen_prelude::Env;
use napi_derive::napi;
use olmo_core::jinja::Now;
use olmo_core::prepare::token_file::TokenType;
use olmo_core::Error;
use olmo_finetune as core;

use crate::error::{js_error, promise_blocking, Promise, Result};
use crate::job::{Backlog, Job, Step};

/// A preparation that is under way. It tells how far it is.
#[napi]
pub struct FineTunePreparation(Job<FineTuneProgress, FineTunePrepared>);

#[napi(object, object_to_js = false)]
pub struct FineTuneOptions {
    pub data: Vec<String>,
    pub out: String,
    pub tokenizer: String,
    /// What the tokenizer was called
    pub tokenizer_name: String,
    pub format: String,
    pub max_seq_len: Option<f64>,
    pub chat_template: Option<String>,
    pub add_bos: bool,
    /// None for the format's own; negative for the order of the rows
    pub shuffle_seed: Option<f64>,
    pub labels: String,
    pub on_error: String,
    pub dropped: Option<String>,
    pub resume: bool,
    pub shard: Option<String>,
    pub timestamp: String,
}

/// Bytes of the files, or examples.
#[napi(object, object_from_js = false)]
pub struct FineTuneProgress {
    #[napi(ts_type = "'counting' | 'encoding' | 'writing'")]
    pub stage: String,
    pub done: f64,
    pub total: f64,
}

/// The report in JSON, or what a shard waits for.
#[napi(object, object_from_js = false)]
pub struct FineTunePrepared {
    pub report: Option<String>,
    pub rows: f64,
    pub missing: Vec<u32>,
}

/// Starts to make training data.
#[napi(catch_unwind)]
pub fn prepare_fine_tune_data(options: FineTuneOptions) -> Result<FineTunePreparation> {
    let options = core_options(options).map_err(js_error)?;
    let job = Job::start("olmo2-finetune", Backlog::Newest, move |job| {
        let outcome = core::prepare(&options, &job.cancelled, &mut |progress| job.tell(progress))?;
        Ok(FineTunePrepared::from(outcome))
    })?;
    Ok(FineTunePreparation(job))
}

#[napi]
impl FineTunePreparation {
    #[napi(
        catch_unwind,
        ts_return_type = "Promise<{ events: Array<FineTuneProgress>, output?: FineTunePrepared }>"
    )]
    pub fn next(&self, env: &Env) -> Promise<Step<FineTuneProgress, FineTunePrepared>> {
        self.0.next(env)
    }

    /// Stops the work as soon as it can be stopped.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

#[napi(object, object_to_js = false)]
pub struct InspectFineTuneOptions {
    pub folder: String,
    pub tokenizer: Option<String>,
    pub dtype: Option<String>,
    pub max_seq_len: Option<f64>,
    pub examples: u32,
    pub from: f64,
}

/// What a folder of training data holds, in JSON.
#[napi(catch_unwind, ts_return_type = "Promise<string>")]
pub fn inspect_fine_tune_data(env: &Env, options: InspectFineTuneOptions) -> Promise<String> {
    promise_blocking(env, move || {
        let dtype = options.dtype.map(|name| {
            let found = TokenType::ALL.into_iter().find(|dtype| dtype.name() == name);
            found.ok_or_else(|| {
                let names = TokenType::ALL.map(TokenType::name).join(", ");
                Error::option("dtype", &name, format!("one of {names}"))
            })
        });
        let options = core::inspect::Options {
            folder: options.folder.into(),
            tokenizer: options.tokenizer.map(Into::into),
            dtype: dtype.transpose()?,
            max_seq_len: options.max_seq_len.map(|length| length as usize),
            examples: options.examples as usize,
            from: options.from as u64,
        };
        let found = core::inspect::inspect(&options, &AtomicBool::new(false))?;
        serde_json::to_string(&found).map_err(|error| Error::Internal(error.to_string()))
    })
}

fn core_options(given: FineTuneOptions) -> olmo_core::Result<core::Options> {
    let format = named("format", &given.format)?;
    let mut options = core::Options::new(format, given.out, given.tokenizer);
    options.data = given.data;
    options.tokenizer_name = given.tokenizer_name;
    options.max_seq_len = given.max_seq_len.map(|length| length as usize).or(options.max_seq_len);
    options.chat_template = given.chat_template;
    options.add_bos = given.add_bos;
    options.shuffle_seed = match given.shuffle_seed {
        None => options.shuffle_seed,
        Some(seed) if seed < 0.0 => None,
        Some(seed) => Some(seed as u64),
    };
    options.labels = named("labels", &given.labels)?;
    options.on_error = named("on_error", &given.on_error)?;
    options.dropped = given.dropped.map(Into::into);
    options.resume = given.resume;
    if let Some(shard) = given.shard {
        options.shard = core::Shard::parse(&shard)?;
    }
    options.timestamp = given.timestamp;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    options.now = Now { local_micros: since.as_micros() as i64, offset_seconds: 0 };
    Ok(options)
}

/// An option that is one of some names.
fn named<T: serde::de::DeserializeOwned>(option: &'static str, name: &str) -> olmo_core::Result<T> {
    serde_json::from_value(name.into())
        .map_err(|error| Error::option(option, name, error.to_string()))
}

impl From<core::Progress> for FineTuneProgress {
    fn from(progress: core::Progress) -> Self {
        let stage = match progress.stage {
            core::Stage::Counting => "counting",
            core::Stage::Encoding => "encoding",
            core::Stage::Writing => "writing",
        };
        let (done, total) = (progress.done as f64, progress.total as f64);
        FineTuneProgress { stage: stage.into(), done, total }
    }
}

impl From<core::Outcome> for FineTunePrepared {
    fn from(outcome: core::Outcome) -> Self {
        match outcome {
            core::Outcome::Whole(report) => {
                let rows = report.json["rows"].as_f64().unwrap_or_default();
                let report = Some(report.json.to_string());
                FineTunePrepared { report, rows, missing: Vec::new() }
            }
            core::Outcome::Waiting { rows, missing } => {
                FineTunePrepared { report: None, rows: rows as f64, missing }
            }
        }
    }
}
