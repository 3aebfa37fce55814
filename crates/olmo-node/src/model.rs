//! A loaded model.

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Float32Array, Object, Uint32Array};
use napi_derive::napi;
use olmo_core::engine::{self as core, Engine, ForwardOptions, ForwardOutput};
use olmo_core::evaluate;
use olmo_core::sampling::GenerationOptions;

use crate::cancellation::{unless, Cancellation};
use crate::error::{js_error, promise, promise_blocking, unreadable, Promise, Result};
use crate::evaluation::{Evaluation, PerplexityOptions};
use crate::generation::{Alternative, AnswerForm, Generation, Score};
use crate::inspection::ModelInfo;
use crate::options::partial_options;
use crate::scoring::{HeldOutScoring, TextScoring};
use crate::tasks::{TaskRequest, TaskScoring};
use crate::tokenizer::Tokenizer;

#[napi]
pub struct Model {
    engine: Arc<Engine>,
}

impl Model {
    pub fn new(engine: Engine) -> Model {
        Model { engine: Arc::new(engine) }
    }

    fn options(&self, given: &Object) -> napi::Result<GenerationOptions> {
        let defaults = GenerationOptions::from_defaults(self.engine.defaults());
        Ok(partial_options(given)?.apply(defaults))
    }
}

#[napi]
impl Model {
    #[napi(catch_unwind)]
    pub fn info(&self) -> ModelInfo {
        ModelInfo::of(self.engine.info(), self.engine.defaults())
    }

    #[napi(catch_unwind)]
    pub fn tokenizer(&self) -> Tokenizer {
        Tokenizer::of(self.engine.clone())
    }

    /// Compiles the form that the options ask of an answer, if they ask for one.
    #[napi(catch_unwind, ts_return_type = "Promise<AnswerForm>")]
    pub fn compile(
        &self,
        env: &Env,
        #[napi(ts_arg_type = "Record<string, unknown>")] options: Object,
    ) -> Promise<AnswerForm> {
        let options = self.options(&options)?;
        let engine = self.engine.clone();
        promise_blocking(env, move || Ok(AnswerForm(engine.compile(&options)?)))
    }

    /// Starts one answer per prompt and sequence; `form` is what [`Model::compile`] made of the same options.
    #[napi(catch_unwind)]
    pub fn generate(
        &self,
        prompts: Vec<Uint32Array>,
        #[napi(ts_arg_type = "Record<string, unknown>")] options: Object,
        form: Option<&AnswerForm>,
    ) -> Result<Generation> {
        let prompts = prompts.iter().map(|ids| ids.to_vec()).collect();
        let options = self.options(&options).map_err(unreadable)?;
        let form = form.and_then(|form| form.0.clone());
        let generation = self.engine.generate_formed(prompts, options, form).map_err(js_error)?;
        Ok(Generation::new(generation))
    }

    /// One pass over the whole text.
    #[napi(catch_unwind, ts_return_type = "Promise<ForwardResult>")]
    pub fn forward(
        &self,
        env: &Env,
        ids: Uint32Array,
        options: ForwardRequest,
        cancellation: &Cancellation,
    ) -> Promise<ForwardResult> {
        let (engine, ids) = (self.engine.clone(), ids.to_vec());
        let options = ForwardOptions {
            hidden_states: options.hidden_states.into_iter().map(|index| index as usize).collect(),
            attentions: options.attentions.into_iter().map(|layer| layer as usize).collect(),
            logits_from: options.logits_from as usize,
        };
        let stopped = cancellation.wait();
        let work = async move { Ok(engine.forward(ids, options).await?.into()) };
        promise(env, unless(stopped, work))
    }

    /// How likely each continuation is after the prompt.
    #[napi(catch_unwind, ts_return_type = "Promise<Array<Score>>")]
    pub fn score(
        &self,
        env: &Env,
        prompt: Uint32Array,
        continuations: Vec<Uint32Array>,
        cancellation: &Cancellation,
    ) -> Promise<Vec<Score>> {
        let (engine, prompt) = (self.engine.clone(), prompt.to_vec());
        let continuations: Vec<Vec<u32>> = continuations.iter().map(|ids| ids.to_vec()).collect();
        let stopped = cancellation.wait();
        let work = async move {
            let scores = engine.score_all(&prompt, &continuations).await?;
            Ok(scores.into_iter().map(Score::from).collect())
        };
        promise(env, unless(stopped, work))
    }

    /// Begins to measure the perplexity of a text.
    #[napi(catch_unwind)]
    pub fn perplexity(&self, ids: Uint32Array, options: PerplexityOptions) -> Result<Evaluation> {
        Evaluation::new(self.engine.clone(), ids.to_vec(), options)
    }

    /// Begins to add up the surprise of a text, in contexts that each begin anew.
    #[napi(catch_unwind)]
    pub fn score_text(&self, ids: Uint32Array) -> Result<TextScoring> {
        TextScoring::new(self.engine.clone(), ids.to_vec())
    }

    /// Begins to score what a preparation held out.
    #[napi(catch_unwind)]
    pub fn score_held_out(&self, folder: String) -> Result<HeldOutScoring> {
        HeldOutScoring::new(self.engine.clone(), folder.into())
    }

    /// Begins to score a task's documents.
    #[napi(catch_unwind)]
    pub fn score_task(&self, request: TaskRequest) -> Result<TaskScoring> {
        TaskScoring::new(self.engine.clone(), request)
    }

    /// The likeliest next tokens by the model's own distribution, likeliest first.
    #[napi(catch_unwind, ts_return_type = "Promise<Array<Alternative>>")]
    pub fn likeliest(&self, env: &Env, prompt: Uint32Array, n: u32) -> Promise<Vec<Alternative>> {
        let (engine, prompt) = (self.engine.clone(), prompt.to_vec());
        promise(env, async move {
            let top = evaluate::likeliest(&engine, prompt, n as usize).await?;
            Ok(top.into_iter().map(Alternative::from).collect())
        })
    }

    /// Tokens that the cache holds.
    #[napi(catch_unwind, ts_return_type = "Promise<CacheUse>")]
    pub fn cache_use(&self, env: &Env) -> Promise<CacheUse> {
        let engine = self.engine.clone();
        promise(env, async move { Ok(engine.cache_use().await?.into()) })
    }

    /// Writes what the cache keeps for later texts into a file.
    #[napi(catch_unwind, ts_return_type = "Promise<KeptCache>")]
    pub fn save_cache(&self, env: &Env, path: String) -> Promise<KeptCache> {
        let engine = self.engine.clone();
        promise_blocking(env, move || Ok(engine.save_cache(path.as_ref())?.into()))
    }

    /// Keeps what such a file holds.
    #[napi(catch_unwind, ts_return_type = "Promise<KeptCache>")]
    pub fn load_cache(&self, env: &Env, path: String) -> Promise<KeptCache> {
        let engine = self.engine.clone();
        promise_blocking(env, move || Ok(engine.load_cache(path.as_ref())?.into()))
    }

    /// Frees the weights; what still runs ends with an error.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn dispose(&self, env: &Env) -> Promise<()> {
        let engine = self.engine.clone();
        promise(env, async move {
            engine.dispose().await;
            Ok(())
        })
    }
}

/// Tokens that the cache has room for, that texts in work have, and that a later text can begin with.
#[napi(object, object_from_js = false)]
pub struct CacheUse {
    pub tokens: u32,
    pub in_use: u32,
    pub kept: u32,
}

impl From<core::CacheUse> for CacheUse {
    fn from(core::CacheUse { tokens, in_use, kept }: core::CacheUse) -> Self {
        CacheUse { tokens: tokens as u32, in_use: in_use as u32, kept: kept as u32 }
    }
}

/// Tokens that went into a file or came out of it, and the file's bytes.
#[napi(object, object_from_js = false)]
pub struct KeptCache {
    pub tokens: u32,
    pub bytes: f64,
}

impl From<core::KeptCache> for KeptCache {
    fn from(core::KeptCache { tokens, bytes }: core::KeptCache) -> Self {
        KeptCache { tokens: tokens as u32, bytes: bytes as f64 }
    }
}

/// What a forward pass is to give: indices of hidden states, layers, and the first position of the logits.
#[napi(object, object_to_js = false)]
pub struct ForwardRequest {
    pub hidden_states: Vec<u32>,
    pub attentions: Vec<u32>,
    pub logits_from: u32,
}

/// Arrays are handed to JavaScript as they are, without a copy where the runtime allows it.
#[napi(object, object_from_js = false)]
pub struct ForwardResult {
    /// `[positions, vocab]`
    pub logits: Float32Array,
    /// `[positions, hidden]` of each that was asked for
    pub hidden_states: Vec<Float32Array>,
    pub attentions: Vec<LayerAttention>,
}

#[napi(object, object_from_js = false)]
pub struct LayerAttention {
    pub layer: u32,
    /// `[heads, positions, positions]`
    pub probabilities: Float32Array,
}

impl From<ForwardOutput> for ForwardResult {
    fn from(output: ForwardOutput) -> Self {
        ForwardResult {
            logits: output.logits.into(),
            hidden_states: output.hidden_states.into_iter().map(Float32Array::from).collect(),
            attentions: output
                .attentions
                .into_iter()
                .map(|(layer, p)| LayerAttention { layer: layer as u32, probabilities: p.into() })
                .collect(),
        }
    }
}
