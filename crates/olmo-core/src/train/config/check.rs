//! Which value of a config makes no sense.

use super::{SourceConfig, TrainConfig};
use crate::device::Device;
use crate::dtype::DType;

/// A key, and what is wrong with its value.
pub(super) type Problem = (&'static str, String);

impl TrainConfig {
    /// The first value that makes no sense, by key.
    pub(super) fn problem(&self) -> Option<Problem> {
        let longest = self.model.max_position_embeddings;
        let optimizer = &self.optimizer;
        let validation = self.validation.as_ref();
        let anneal = self.stage2.as_ref();
        let wrong =
            |found: bool, key, problem: &dyn Fn() -> String| found.then(|| (key, problem()));
        let checks = [
            wrong(!(2..=longest).contains(&self.sequence_length), "sequence_length", &|| {
                format!(
                    "is {}, but the model needs 2 to {longest} (max_position_embeddings)",
                    self.sequence_length
                )
            }),
            wrong(
                !matches!(self.checkpoint_dtype(), Ok(DType::F32 | DType::BF16)),
                "checkpoint.dtype",
                &|| format!("is `{}`, but float32 or bfloat16 is needed", self.checkpoint.dtype),
            ),
            wrong(!self.device.parse().is_ok_and(Device::can_train), "device", &|| {
                format!("is `{}`, but cpu, cuda, cuda:N, metal or auto is needed", self.device)
            }),
            counted("batch_size", self.batch_size as u64, MOST_INSTANCES),
            counted("micro_batch_size", self.micro_batch_size as u64, MOST_INSTANCES),
            counted("stage1.steps", self.stage1.steps, MOST_STEPS),
            positive("stage1.learning_rate", self.stage1.learning_rate),
            share("stage1.floor", self.stage1.floor),
            mix("stage1.data", &self.stage1.data),
            anneal.and_then(|stage| counted("stage2.steps", stage.steps, MOST_STEPS)),
            anneal.and_then(|stage| {
                let seeds = stage.seeds.len() as u64;
                counted("stage2.seeds", seeds.max(1), MOST_ANNEALS)
            }),
            anneal.and_then(|stage| positive("stage2.learning_rate", stage.learning_rate?)),
            anneal.and_then(|stage| mix("stage2.data", &stage.data)),
            share("optimizer.betas", optimizer.betas[0]),
            share("optimizer.betas", optimizer.betas[1]),
            // The averages would stay as they are, at nothing.
            wrong(optimizer.betas.contains(&1.0), "optimizer.betas", &|| {
                "has 1, but less is needed".to_owned()
            }),
            positive("optimizer.eps", optimizer.eps),
            share("optimizer.weight_decay", optimizer.weight_decay),
            share("z_loss", self.z_loss),
            positive("optimizer.max_grad_norm", optimizer.max_grad_norm),
            at_least_one("checkpoint.interval", self.checkpoint.interval),
            validation
                .and_then(|validation| at_least_one("validation.interval", validation.interval)),
            validation.and_then(|validation| {
                at_least_one("validation.tokens", validation.tokens? as u64)
            }),
            validation.and_then(|validation| {
                let source = validation.sources.iter().find(|source| source.bytes == Some(0))?;
                Some(("validation.sources", format!("gives `{}` no bytes", source.name)))
            }),
            self.threads.and_then(|threads| counted("threads", threads as u64, MOST_THREADS)),
        ];
        checks.into_iter().flatten().next()
    }
}

/// Bounds far beyond any run, below which products of counts cannot overflow.
const MOST_INSTANCES: u64 = 1 << 24;
const MOST_STEPS: u64 = 1 << 36;
const MOST_ANNEALS: u64 = 1 << 10;
const MOST_THREADS: u64 = 1 << 10;

fn counted(key: &'static str, value: u64, most: u64) -> Option<Problem> {
    let too_many = || (value > most).then(|| (key, format!("is {value}, but {most} is the most")));
    at_least_one(key, value).or_else(too_many)
}

fn at_least_one(key: &'static str, value: u64) -> Option<Problem> {
    (value == 0).then(|| (key, "is 0, but 1 is the least".to_owned()))
}

fn positive(key: &'static str, value: f64) -> Option<Problem> {
    let wrong = !(value > 0.0 && value.is_finite());
    wrong.then(|| (key, format!("is {value}, but a number above 0 is needed")))
}

fn share(key: &'static str, value: f64) -> Option<Problem> {
    let wrong = !(0.0..=1.0).contains(&value);
    wrong.then(|| (key, format!("is {value}, but a number from 0 to 1 is needed")))
}

fn mix(key: &'static str, sources: &[SourceConfig]) -> Option<Problem> {
    let weights = sources.iter().filter(|source| source.weight.is_some()).count();
    let bad = |n: Option<f64>| n.is_some_and(|n| !(n > 0.0 && n.is_finite()));
    let both = |source: &&SourceConfig| source.paths.is_empty() == source.prepared.is_none();
    if let Some(source) = sources.iter().find(both) {
        let problem = format!("needs either paths or a prepared folder in `{}`", source.name);
        return Some((key, problem));
    }
    if let Some(source) =
        sources.iter().find(|source| source.pack.is_some() && source.prepared.is_none())
    {
        return Some((key, format!("packs `{}`, which is no prepared folder", source.name)));
    }
    if sources.is_empty() {
        return Some((key, "needs sources with paths".to_owned()));
    }
    if weights != 0 && weights != sources.len() {
        return Some((key, "gives some sources a weight and others none".to_owned()));
    }
    let wrong = sources.iter().find(|source| bad(source.repeat) || bad(source.weight))?;
    Some((key, format!("repeat and weight of `{}` must be above 0", wrong.name)))
}
