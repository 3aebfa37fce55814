//! The statistics that Open Instruct puts beside its parts.
//!
//! Source: `write_dataset_statistics` in `open_instruct/numpy_dataset_conversion.py` at e6c3044.

use std::fmt::Write as _;

use crate::python::Json;
use crate::report::{Mixed, Tally, Written};
use crate::setup::Run;

pub struct Statistics {
    timestamp: String,
    out: String,
    tokenizer: String,
    max_seq_len: Option<usize>,
    chat_template: Option<String>,
    sets: Vec<Set>,
    /// Of all sets.
    total: Written,
}

/// One set of data.
struct Set {
    name: String,
    mixed: Mixed,
    amount: Json,
    written: Written,
}

pub fn of(run: &Run, tally: &Tally) -> Statistics {
    let mut sets: Vec<Set> = Vec::new();
    // In the order in which they first come in the output; one that was named twice is one.
    for &index in tally.first_written() {
        let source = &tally.sources[index];
        if let Some(set) = sets.iter_mut().find(|set| set.name == source.name) {
            set.written.add(&source.written);
            continue;
        }
        // What is known before the tokens are is that of the last of the name.
        let last = tally.sources.iter().rposition(|other| other.name == source.name);
        let last = last.unwrap_or(index);
        sets.push(Set {
            name: source.name.clone(),
            mixed: tally.sources[last].mixed,
            amount: run.plan.sources[last].amount.to_json(),
            written: source.written,
        });
    }
    let mut total = Written::default();
    sets.iter().for_each(|set| total.add(&set.written));
    let options = run.options;
    Statistics {
        timestamp: options.timestamp.clone(),
        out: options.out.to_string_lossy().into_owned(),
        tokenizer: options.tokenizer_name.clone(),
        max_seq_len: options.max_seq_len,
        chat_template: options.chat_template.clone(),
        sets,
        total,
    }
}

fn part(of: u64, all: u64) -> f64 {
    if all == 0 {
        0.0
    } else {
        of as f64 / all as f64
    }
}

impl Set {
    fn is_upsampled(&self) -> bool {
        self.mixed.wanted > self.mixed.rows
    }

    fn factor(&self) -> f64 {
        if self.mixed.rows == 0 {
            1.0
        } else {
            part(self.mixed.wanted, self.mixed.rows)
        }
    }

    fn json(&self, total: &Written) -> Json {
        let (mixed, written) = (&self.mixed, &self.written);
        Json::Dict(vec![
            ("dataset_name", Json::Text(self.name.clone())),
            ("dataset_split", Json::Text("train".to_owned())),
            ("initial_instances", Json::Int(mixed.wanted)),
            ("instances_after_transformation", Json::Int(mixed.kept)),
            ("instances_filtered_during_transformation", Json::Int(mixed.wanted - mixed.kept)),
            ("frac_or_num_samples", self.amount.clone()),
            ("original_dataset_size", Json::Int(mixed.rows)),
            ("is_upsampled", Json::Bool(self.is_upsampled())),
            ("upsampling_factor", Json::Float(self.factor())),
            ("final_instances_in_output", Json::Int(written.examples)),
            ("final_tokens_in_output", Json::Int(written.tokens)),
            ("final_trainable_tokens_in_output", Json::Int(written.labelled)),
            ("instances_filtered_after_tokenization", Json::Int(0)),
            ("avg_tokens_per_instance", Json::Float(part(written.tokens, written.examples))),
            ("percentage_of_total_tokens", Json::Float(part(written.tokens, total.tokens) * 100.0)),
            (
                "percentage_of_total_instances",
                Json::Float(part(written.examples, total.examples) * 100.0),
            ),
        ])
    }

    fn text(&self, out: &mut String, total: &Written) {
        let (mixed, written) = (&self.mixed, &self.written);
        let amount = match &self.amount {
            Json::Float(share) => format!("Sampling fraction: {}", crate::python::float(*share)),
            amount => format!("Sample count: {}", amount.write()),
        };
        let _ = write!(
            out,
            "\nDataset: {}\n- Split: train\n\nPre-transformation:\n  - Instances loaded: {}\n  \
             - Instances after transformation: {}\n  - Instances filtered during transformation: {}\n  \
             - {amount}\n",
            self.name,
            mixed.wanted,
            mixed.kept,
            mixed.wanted - mixed.kept,
        );
        if self.is_upsampled() {
            let _ = write!(
                out,
                "  - Original dataset size: {}\n  - Upsampling factor: {:.2}x\n  - Upsampled to: {} instances\n",
                mixed.rows,
                self.factor(),
                mixed.kept,
            );
        }
        let _ = write!(
            out,
            "\nFinal output statistics (after shuffling):\n  - Instances in output: {}\n  \
             - Total tokens: {}\n  - Trainable tokens: {}\n  - Instances with no labels: 0\n  \
             - Average tokens per instance: {:.1}\n  - Percentage of total tokens: {:.1}%\n  \
             - Percentage of total instances: {:.1}%\n",
            grouped(written.examples),
            grouped(written.tokens),
            grouped(written.labelled),
            part(written.tokens, written.examples),
            part(written.tokens, total.tokens) * 100.0,
            part(written.examples, total.examples) * 100.0,
        );
    }
}

impl Statistics {
    pub fn json(&self) -> String {
        let total = &self.total;
        let text = |text: &str| Json::Text(text.to_owned());
        let number = |number: usize| Json::Int(number as u64);
        Json::Dict(vec![
            ("timestamp", text(&self.timestamp)),
            ("output_directory", text(&self.out)),
            (
                "configuration",
                Json::Dict(vec![
                    ("tokenizer", text(&self.tokenizer)),
                    ("max_sequence_length", self.max_seq_len.map_or(Json::Null, number)),
                    ("chat_template", self.chat_template.as_deref().map_or(Json::Null, text)),
                ]),
            ),
            (
                "per_dataset_statistics",
                Json::List(self.sets.iter().map(|set| set.json(total)).collect()),
            ),
            (
                "overall_statistics",
                Json::Dict(vec![
                    ("total_datasets", number(self.sets.len())),
                    ("total_instances", Json::Int(total.examples)),
                    ("total_tokens", Json::Int(total.tokens)),
                    ("trainable_tokens", Json::Int(total.labelled)),
                    (
                        "trainable_percentage",
                        Json::Float(part(total.labelled, total.tokens) * 100.0),
                    ),
                    ("instances_filtered", Json::Int(0)),
                    ("average_sequence_length", Json::Float(part(total.tokens, total.examples))),
                ]),
            ),
        ])
        .write()
    }

    /// The same to be read.
    pub fn text(&self) -> String {
        let (double, single) = ("=".repeat(80), "-".repeat(40));
        let none = || "None".to_owned();
        let mut out = format!(
            "Dataset Statistics Report\n{double}\nGenerated: {}\nOutput Directory: {}\n\nConfiguration:\n\
             {single}\n- Tokenizer: {}\n- Max Sequence Length: {}\n- Chat Template: {}\n\n\
             Per-Dataset Statistics:\n{double}\n",
            self.timestamp,
            self.out,
            self.tokenizer,
            self.max_seq_len.map_or_else(none, |length| length.to_string()),
            self.chat_template.clone().unwrap_or_else(none),
        );
        self.sets.iter().for_each(|set| set.text(&mut out, &self.total));
        let total = &self.total;
        let _ = write!(
            out,
            "\n{double}\nOverall Statistics:\n{double}\n- Total datasets: {}\n- Total instances: {}\n\
             - Total tokens: {}\n- Trainable tokens: {} ({:.1}%)\n- Instances filtered out: 0\n\
             - Average sequence length: {:.1}\n",
            self.sets.len(),
            grouped(total.examples),
            grouped(total.tokens),
            grouped(total.labelled),
            part(total.labelled, total.tokens) * 100.0,
            part(total.tokens, total.examples),
        );
        out
    }
}

/// With commas between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
