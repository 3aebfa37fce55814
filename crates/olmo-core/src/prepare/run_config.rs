//! `train.yaml`: a run over a prepared folder that can be started as it is, and changed.

use std::path::Path;

use super::manifest::{Manifest, SourceEntry};
use crate::files::hashed::write_file;
use crate::Result;

/// The name of the file.
pub const RUN_CONFIG: &str = "train.yaml";

/// A source with fewer tokens is left out: it would make the instances of all others as short.
const LEAST_TOKENS: u64 = 64;
/// Times the text is read in stage 1.
const EPOCHS: u64 = 4;

/// Writes a config to the folder, unless there is one: people change theirs.
///
/// `pad_token_id` is the tokenizer's, `context` how long texts may be.
pub(super) fn write(
    folder: &Path,
    manifest: &Manifest,
    pad_token_id: u32,
    context: usize,
) -> Result<()> {
    let file = folder.join(RUN_CONFIG);
    match yaml(manifest, pad_token_id, context) {
        Some(yaml) if !file.exists() => write_file(&file, yaml.as_bytes()).map(drop),
        _ => Ok(()),
    }
}

/// The sizes of a model and of a run that suit some amount of text.
struct Plan {
    hidden_size: usize,
    intermediate_size: usize,
    layers: usize,
    heads: usize,
    sequence_length: u64,
    batch_size: u64,
    steps: u64,
    anneal: u64,
}

impl Plan {
    /// `tokens` are those of all text, `shortest` those of the smallest source.
    fn new(tokens: u64, shortest: u64, context: u64) -> Plan {
        // Some twenty tokens a weight, of which those of a layer are 12 times the size squared.
        let sizes = [(64, 2), (128, 3), (192, 4), (256, 5), (384, 6), (512, 8)];
        let fits = |&&(hidden, layers): &&(usize, usize)| {
            20 * 12 * (layers * hidden * hidden) as u64 <= EPOCHS * tokens
        };
        let (hidden_size, layers) = *sizes.iter().rev().find(fits).unwrap_or(&sizes[0]);
        let sequence_length = context.min(shortest).max(2);
        let batch_size = (tokens / sequence_length / 50).clamp(4, 32);
        let steps = (EPOCHS * tokens).div_ceil(batch_size * sequence_length).max(50);
        Plan {
            hidden_size,
            // Eight thirds, as OLMo 2's, in whole sixteens.
            intermediate_size: (hidden_size * 8 / 3).next_multiple_of(16),
            layers,
            heads: hidden_size / 32,
            sequence_length,
            batch_size,
            steps,
            anneal: steps.div_ceil(10),
        }
    }

    /// Steps between checkpoints, and between validations.
    fn interval(&self) -> u64 {
        self.steps.div_ceil(5)
    }
}

/// The config; none if there is too little text to train on.
fn yaml(manifest: &Manifest, pad_token_id: u32, context: usize) -> Option<String> {
    let usable = |source: &&SourceEntry| source.train.tokens >= LEAST_TOKENS.min(context as u64);
    let sources: Vec<&SourceEntry> = manifest.sources.iter().filter(usable).collect();
    let tokens = sources.iter().map(|source| source.train.tokens).sum();
    let shortest = sources.iter().map(|source| source.train.tokens).min()?;
    let plan = Plan::new(tokens, shortest, context as u64);
    let data = list(&sources, "    ", |source| &source.train.file);
    Some(format!(
        "# A run over this folder, sized by its {tokens} tokens: olmo2 train {RUN_CONFIG}
# Change what you like. docs/training.md says what the keys mean.
model: # keys of config.json
  vocab_size: {vocab_size}
  hidden_size: {hidden_size}
  intermediate_size: {intermediate_size}
  num_hidden_layers: {layers}
  num_attention_heads: {heads}
  max_position_embeddings: {context}
  rope_theta: 10000
  tie_word_embeddings: true
  eos_token_id: {eos_token_id}
  pad_token_id: {pad_token_id}
output: checkpoints
tokenizer: tokenizer
sequence_length: {sequence_length}
batch_size: {batch_size}
micro_batch_size: 4 # more is faster and takes more memory

stage1: # warm-up, then a cosine
  steps: {steps} # {EPOCHS} times over the text
  learning_rate: 3.0e-3
  warmup_steps: {warmup}
  data:
{data}
stage2: # linearly to zero
  steps: {anneal}
  data:
{data}
checkpoint:
  interval: {interval}
{validation}",
        vocab_size = manifest.vocab_size,
        eos_token_id = manifest.eos_token_id,
        hidden_size = plan.hidden_size,
        intermediate_size = plan.intermediate_size,
        layers = plan.layers,
        heads = plan.heads,
        sequence_length = plan.sequence_length,
        batch_size = plan.batch_size,
        steps = plan.steps,
        anneal = plan.anneal,
        warmup = plan.steps.div_ceil(20),
        interval = plan.interval(),
        validation = validation(&sources, &plan),
    ))
}

/// The part on held-out text; none if nothing is held out.
fn validation(sources: &[&SourceEntry], plan: &Plan) -> String {
    let held_out = sources.iter().copied().filter(|source| source.validation.tokens > 1);
    let held_out: Vec<&SourceEntry> = held_out.collect();
    if held_out.is_empty() {
        return String::new();
    }
    let sources = list(&held_out, "    ", |source| &source.validation.file);
    format!("validation:\n  interval: {}\n  sources:\n{sources}", plan.interval())
}

/// Sources with their one file each. Texts are in quotes: JSON's are YAML's too.
fn list(sources: &[&SourceEntry], indent: &str, file: fn(&SourceEntry) -> &Path) -> String {
    let quoted = |text: &str| serde_json::to_string(text).expect("a text can be written");
    let item = |source: &&SourceEntry| {
        let (name, path) = (quoted(&source.name), quoted(&file(source).to_string_lossy()));
        format!("{indent}- name: {name}\n{indent}  paths: [{path}]\n")
    };
    sources.iter().map(item).collect()
}
