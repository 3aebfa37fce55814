//! What resuming needs beyond the weights: the optimizer's averages, and where the run was.
//!
//! The order of the data follows from the seed and the step, so there is no other random state.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde_json::{json, Value};

use super::checkpoint::{write_tensors, Array, STATE_FILE};
use super::config::TrainConfig;
use super::optimizer::AdamW;
use crate::dtype::DType;
use crate::ops::Parameter;
use crate::{Error, Result};

/// Keys of a config that decide what the weights become; the others may change between sittings.
const DECISIVE: [&str; 8] = [
    "model",
    "sequence_length",
    "document_masking",
    "batch_size",
    "micro_batch_size",
    "seed",
    "z_loss",
    "optimizer",
];

const FORMAT: &str = "olmo2-trainer-state";
const VERSION: &str = "1";

/// The decisive part of a config, as JSON.
fn fingerprint(config: &TrainConfig) -> Value {
    let all = serde_json::to_value(config).expect("a config can be written as JSON");
    DECISIVE.iter().map(|&key| (key.to_owned(), all[key].clone())).collect::<Value>()
}

/// What the stages do, as JSON: their steps, rates and mixes.
fn stages(config: &TrainConfig) -> Value {
    without_files(json!({ "stage1": config.stage1, "stage2": config.stage2 }))
}

/// Leaves out where files are and how ids are stored in them.
fn without_files(mut stages: Value) -> Value {
    for stage in ["stage1", "stage2"] {
        for source in stages[stage]["data"].as_array_mut().into_iter().flatten() {
            for key in ["paths", "prepared", "dtype"] {
                source.as_object_mut().map(|source| source.remove(key));
            }
        }
    }
    stages
}

/// What the stages do otherwise than before: a longer run is a fine thing to resume, but nobody
/// should get one by mistake.
fn changes(then: &Value, now: &Value) -> Vec<Change> {
    let keys = |value: &Value| -> Vec<(String, Value)> {
        let stages = value.as_object().into_iter().flatten();
        stages
            .flat_map(|(stage, keys)| {
                let keys = keys.as_object().into_iter().flatten();
                keys.map(move |(key, value)| (format!("{stage}.{key}"), value.clone()))
            })
            .collect()
    };
    let (then, now) = (keys(then), keys(now));
    let names: BTreeSet<&String> = then.iter().chain(&now).map(|(key, _)| key).collect();
    let value = |all: &[(String, Value)], name: &String| {
        all.iter().find(|(key, _)| key == name).map_or(Value::Null, |(_, value)| value.clone())
    };
    names
        .into_iter()
        .map(|key| Change { key: key.clone(), then: value(&then, key), now: value(&now, key) })
        .filter(|change| change.then != change.now)
        .collect()
}

/// A key of the config with another value than before.
#[derive(Debug)]
struct Change {
    key: String,
    then: Value,
    now: Value,
}

impl Change {
    fn note(&self) -> String {
        let Change { key, then, now } = self;
        format!("{key} was {then} before and is {now} now")
    }
}

/// Writes the state into a checkpoint's folder. The weights are included if the model file holds
/// them rounded.
pub fn write(
    folder: &Path,
    config: &TrainConfig,
    parameters: &[Parameter],
    optimizer: &AdamW,
    model_dtype: DType,
) -> Result<()> {
    let mut tensors = Vec::new();
    for (parameter, moments) in parameters.iter().zip(&optimizer.moments) {
        let mut push = |kind: &str, values| {
            let array = Array { shape: &parameter.shape, values, dtype: DType::F32 };
            tensors.push((format!("{kind}.{}", parameter.name), array));
        };
        push("mean", &moments.mean);
        push("square", &moments.square);
        if model_dtype != DType::F32 {
            push("weight", &parameter.value);
        }
    }
    let metadata = HashMap::from([
        ("format".to_owned(), FORMAT.to_owned()),
        ("version".to_owned(), VERSION.to_owned()),
        ("optimizer_steps".to_owned(), optimizer.steps.to_string()),
        ("config".to_owned(), fingerprint(config).to_string()),
        ("stages".to_owned(), stages(config).to_string()),
    ]);
    write_tensors(&folder.join(STATE_FILE), tensors, metadata)
}

/// Puts a checkpoint's state into the optimizer and, where the model file is rounded, into the
/// parameters. Returns what is to be done otherwise than before, for the user to know; the keys
/// `settled` must be as they were.
pub fn read(
    folder: &Path,
    config: &TrainConfig,
    settled: &[&str],
    parameters: &mut [Parameter],
    optimizer: &mut AdamW,
) -> Result<Vec<String>> {
    let file = folder.join(STATE_FILE);
    let invalid = |problem: String| Error::InvalidFile { file: file.clone(), problem };
    let bytes = std::fs::read(&file).map_err(|error| Error::io(&file, error))?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| invalid(e.to_string()))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| invalid(e.to_string()))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let field = |key: &str| metadata.get(key).map(String::as_str).unwrap_or_default();
    if (field("format"), field("version")) != (FORMAT, VERSION) {
        return Err(invalid("this is not a trainer state that this version can read".into()));
    }
    check_config(&file, field("config"), config)?;
    optimizer.steps = field("optimizer_steps")
        .parse()
        .map_err(|_| invalid("optimizer_steps is not a number".into()))?;

    let load = |kind: &str, name: &str, into: &mut [f32]| -> Result<bool> {
        let Ok(tensor) = tensors.tensor(&format!("{kind}.{name}")) else { return Ok(false) };
        if tensor.data().len() != into.len() * 4 {
            return Err(invalid(format!("tensor `{kind}.{name}` has another size")));
        }
        for (value, bytes) in into.iter_mut().zip(tensor.data().chunks_exact(4)) {
            *value = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        Ok(true)
    };
    for (parameter, moments) in parameters.iter_mut().zip(&mut optimizer.moments) {
        let whole = load("mean", &parameter.name, &mut moments.mean)?
            && load("square", &parameter.name, &mut moments.square)?;
        if !whole {
            return Err(invalid(format!("the averages of `{}` are missing", parameter.name)));
        }
        load("weight", &parameter.name, &mut parameter.value)?;
    }
    let then: Value = serde_json::from_str(field("stages")).unwrap_or_default();
    let changes = match then {
        Value::Null => Vec::new(),
        then => changes(&without_files(then), &stages(config)),
    };
    match changes.iter().find(|change| settled.contains(&change.key.as_str())) {
        None => Ok(changes.iter().map(Change::note).collect()),
        Some(Change { key, then, now }) => Err(Error::InvalidConfig {
            file,
            key: key.clone(),
            problem: format!("was {then} and is {now} now, but that stage is at its end"),
        }),
    }
}

fn check_config(file: &Path, then: &str, now: &TrainConfig) -> Result<()> {
    let then: Value = serde_json::from_str(then).unwrap_or_default();
    let now = fingerprint(now);
    match DECISIVE.iter().find(|&&key| then[key] != now[key]) {
        None => Ok(()),
        Some(&key) => Err(Error::InvalidConfig {
            file: PathBuf::from(file),
            key: key.to_owned(),
            problem: format!(
                "was {} when this run began and is {} now; start a new run in another output folder",
                then[key], now[key]
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_name_the_keys_and_both_values() {
        let stage = json!({ "steps": 40, "data": [{ "name": "tales", "weight": 0.5 }] });
        let then = json!({ "stage1": stage, "stage2": null });
        assert!(changes(&then, &then).is_empty());
        let mut now = then.clone();
        now["stage1"]["steps"] = json!(60);
        now["stage2"] = json!({ "steps": 10 });
        let expected = [
            "stage1.steps was 40 before and is 60 now",
            "stage2.steps was null before and is 10 now",
        ];
        let notes: Vec<String> = changes(&then, &now).iter().map(Change::note).collect();
        assert_eq!(notes, expected);
    }
}
