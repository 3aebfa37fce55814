//! `train.yaml`: a run of this library's trainer over the folder, which can be started as it is, and changed.

use std::path::Path;

use olmo_core::config::ModelConfig;
use olmo_core::files::{read_text, MOST_CONFIG};
use olmo_core::prepare::RUN_CONFIG;
use olmo_core::{Error, Result};

use super::Files;
use crate::options::Format;
use crate::report::Tally;
use crate::setup::Run;

/// Times the data is read at least, as in OLMo-core's scripts for fine-tuning.
const EPOCHS: u64 = 3;
/// Steps that few conversations are repeated for.
const LEAST_STEPS: u64 = 100;
/// Steps of one time through few conversations.
const STEPS_OF_EPOCH: u64 = 16;
/// The shortest row that several conversations share.
const SHORTEST_ROW: u64 = 256;

/// Writes the config, if the tokenizer is that of a checkpoint, from which the run can start.
pub fn write(run: &Run, tally: &Tally, files: &mut Files) -> Result<()> {
    let start = &run.options.tokenizer;
    let path = start.join("config.json");
    if run.options.format == Format::OpenInstruct || !path.is_file() {
        return Ok(());
    }
    // Another architecture than OLMo 2's is not trained here.
    let Ok(model) = ModelConfig::from_json(&read_text(&path, MOST_CONFIG)?, &path) else {
        return Ok(());
    };
    let context = model.max_position_embeddings as u64;
    let total = tally.total();
    let padded = match run.options.format {
        Format::Olmo => run.options.max_seq_len.map(|length| length as u64),
        _ => None,
    };
    if padded.is_some_and(|length| length > context) {
        return Ok(());
    }
    let plan = match padded {
        Some(length) => Plan::new(length, total.examples),
        None => Plan::packed(tally.longest, total.tokens, context),
    };
    let start = std::path::absolute(start).map_err(|error| Error::io(start, error))?;
    let text = yaml(&plan, &start, total.tokens, learning_rate(model.num_params()));
    files.write(RUN_CONFIG, text.as_bytes())
}

/// The sizes of a run that suit some amount of data.
#[derive(Debug, PartialEq)]
struct Plan {
    sequence_length: u64,
    batch_size: u64,
    steps: u64,
    epochs: u64,
}

impl Plan {
    fn new(sequence_length: u64, rows: u64) -> Plan {
        let rows = rows.max(1);
        let batch_size = (rows / STEPS_OF_EPOCH).clamp(1, 32);
        let steps = (EPOCHS * rows).div_ceil(batch_size).max(LEAST_STEPS);
        let epochs = (steps * batch_size + rows / 2) / rows;
        Plan { sequence_length, batch_size, steps, epochs }
    }

    /// Of documents that share rows.
    fn packed(longest: u64, tokens: u64, context: u64) -> Plan {
        let length = longest.max(SHORTEST_ROW).next_multiple_of(64).min(context);
        Plan::new(length, tokens.div_ceil(length))
    }
}

/// A small model takes a high rate; the others have those of Open Instruct's scripts for OLMo 2
/// (`scripts/train/olmo2` at e6c3044).
fn learning_rate(num_params: u64) -> &'static str {
    match num_params {
        ..200_000_000 => "1.0e-3",
        200_000_000..3_000_000_000 => "3.0e-5",
        3_000_000_000..10_000_000_000 => "2.0e-5",
        10_000_000_000..20_000_000_000 => "5.0e-6",
        _ => "4.0e-6",
    }
}

fn yaml(plan: &Plan, start: &Path, tokens: u64, learning_rate: &str) -> String {
    let Plan { sequence_length, batch_size, steps, epochs } = plan;
    let quoted = serde_json::to_string(&start.to_string_lossy()).expect("a text can be written");
    let warmup = steps.div_ceil(33);
    format!(
        "# Fine-tunes a model on this folder, sized by its {tokens} tokens: olmo2 train {RUN_CONFIG}
# Change what you like. docs/training.md says what the keys mean.
start: {quoted}
output: checkpoints
sequence_length: {sequence_length}
document_masking: true # conversations of one row do not see each other
batch_size: {batch_size}
micro_batch_size: 1 # more is faster and takes more memory
optimizer:
  weight_decay: 0

stage1: # warm-up, then linearly to zero
  steps: {steps} # about {epochs} times over the data
  learning_rate: {learning_rate}
  warmup_steps: {warmup}
  decay: linear
  floor: 0
  data:
    - name: conversations
      prepared: .
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_sized_by_its_data() {
        let few = Plan::packed(40, 300, 512);
        assert_eq!(few, Plan { sequence_length: 256, batch_size: 1, steps: 100, epochs: 50 });
        let many = Plan::packed(700, 40_960_000, 4096);
        assert_eq!(many, Plan { sequence_length: 704, batch_size: 32, steps: 5455, epochs: 3 });
        assert_eq!(Plan::packed(9000, 100_000, 4096).sequence_length, 4096);
        assert_eq!(Plan::packed(9000, 0, 128).sequence_length, 128);
    }
}
