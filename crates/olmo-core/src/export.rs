//! From a model to a checkpoint folder as Hugging Face saves it, a span of numbers at a time.
//!
//! A GGUF file's metadata become `config.json`, `generation_config.json`, `tokenizer.json` and
//! `tokenizer_config.json`; blocks become numbers. A folder's own files are copied.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::{json, Map, Value};

use crate::checkpoint::ModelSource;
use crate::config::ModelConfig;
use crate::dtype::{DType, TensorType};
use crate::files;
use crate::shapes::{weight_shapes, EMBEDDING, OUTPUT};
use crate::weights::gguf::Gguf;
use crate::weights::{read_f32, Access, Checkpoint, TensorData};
use crate::{Error, Result};

/// Numbers that are converted between two writes.
const SPAN: usize = 1 << 20;

/// Bytes written, of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub done: u64,
    pub total: u64,
}

/// Writes a model into `folder`, which is there. `dtype` is that of the new weights: without it the model's
/// own, and f16 for blocks; norms that it does not hold exactly then stay as they are. `progress` may stop the
/// work by returning an error.
///
/// Errors with [`Error::InvalidWeights`] on a number too large for its new type.
pub fn export(
    model: &Path,
    folder: &Path,
    dtype: Option<DType>,
    progress: &mut dyn FnMut(Progress) -> Result<()>,
) -> Result<()> {
    let source = ModelSource::open(model)?;
    let (mut config, checkpoint) = source.weights(Access::Map)?;
    if matches!(source, ModelSource::Gguf(_)) {
        config.tie_word_embeddings |= is_twice(&checkpoint);
    }
    let main = dtype.unwrap_or_else(|| checkpoint.dtype().float());
    match &source {
        ModelSource::Folder(dir) => copy_description(dir, folder, &config, main)?,
        ModelSource::Gguf(gguf) => write_description(gguf, &source, folder, &config, main)?,
    }
    let mut tensors = Vec::new();
    for (name, _) in weight_shapes(&config) {
        let tensor = checkpoint.get(&name)?;
        let stays = dtype.is_none() && tensor.shape.len() == 1 && !is_exact(tensor, main);
        tensors.push((tensor, if stays { tensor.dtype.float() } else { main }));
    }
    write_weights(&folder.join("model.safetensors"), &tensors, progress)
}

/// Whether the output matrix is the embedding table: a GGUF file made for llama.cpp has a tied one twice.
fn is_twice(checkpoint: &Checkpoint) -> bool {
    let (Ok(table), Ok(output)) = (checkpoint.get(EMBEDDING), checkpoint.get(OUTPUT)) else {
        return false;
    };
    table.dtype == output.dtype && table.shape == output.shape && table.bytes() == output.bytes()
}

fn copy_description(from: &Path, to: &Path, config: &ModelConfig, dtype: DType) -> Result<()> {
    let text = files::read_text(&from.join("config.json"), files::MOST_CONFIG)?;
    let mut json: Map<String, Value> = serde_json::from_str(&text)
        .map_err(|error| Error::Internal(format!("config.json was read before: {error}")))?;
    let key = if json.contains_key("dtype") { "dtype" } else { "torch_dtype" };
    json.insert(key.to_owned(), torch_name(dtype).into());
    if json.contains_key("tie_word_embeddings") {
        // The weights have the last word.
        json.insert("tie_word_embeddings".into(), config.tie_word_embeddings.into());
    }
    write_json(&to.join("config.json"), &json.into())?;
    files::copy_if_there(&["generation_config.json", "README.md"], from, to)?;
    files::copy_if_there(&crate::tokenizer::FILES, from, to)
}

fn write_description(
    gguf: &Gguf,
    source: &ModelSource,
    to: &Path,
    config: &ModelConfig,
    dtype: DType,
) -> Result<()> {
    write_json(&to.join("config.json"), &config_json(config, dtype))?;
    write_json(&to.join("generation_config.json"), &gguf.generation_config()?)?;
    let file = to.join("tokenizer.json");
    fs::write(&file, source.tokenizer()?.to_json()?).map_err(|error| Error::write(&file, error))?;
    let mut settings = json!({
        "model_max_length": config.max_position_embeddings,
        "tokenizer_class": "PreTrainedTokenizerFast",
    });
    for (name, text) in gguf.special_tokens() {
        settings[name] = text.into();
    }
    let templates = gguf.chat_templates();
    match templates.as_slice() {
        [] => {}
        [(_, template)] => settings["chat_template"] = template.clone().into(),
        several => {
            let named =
                |(name, template): &(String, String)| json!({ "name": name, "template": template });
            settings["chat_template"] = several.iter().map(named).collect();
        }
    }
    write_json(&to.join("tokenizer_config.json"), &settings)
}

/// The config of a model without one, as the published ones are spelt.
fn config_json(config: &ModelConfig, dtype: DType) -> Value {
    let eos = match config.eos_token_ids.as_slice() {
        [one] => json!(one),
        several => json!(several),
    };
    let mut json = json!({
        "architectures": ["Olmo2ForCausalLM"],
        "attention_bias": false,
        "attention_dropout": 0.0,
        "eos_token_id": eos,
        "hidden_act": "silu",
        "hidden_size": config.hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_position_embeddings,
        "model_type": "olmo2",
        "num_attention_heads": config.num_attention_heads,
        "num_hidden_layers": config.layers.len(),
        "num_key_value_heads": config.num_key_value_heads,
        "pad_token_id": config.pad_token_id,
        "rms_norm_eps": short(config.rms_norm_eps),
        "rope_scaling": null,
        "rope_theta": short(config.rope_theta),
        "tie_word_embeddings": config.tie_word_embeddings,
        "torch_dtype": torch_name(dtype),
        "use_cache": true,
        "vocab_size": config.vocab_size,
    });
    if config.query_dim() != config.hidden_size {
        json["head_dim"] = config.head_dim.into();
    }
    json
}

/// Metadata have f32: the shortest decimal that is this f32, which is what was meant.
fn short(number: f64) -> f64 {
    (number as f32).to_string().parse().unwrap_or(number)
}

fn torch_name(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "float32",
        DType::F16 => "float16",
        DType::BF16 => "bfloat16",
    }
}

fn write_json(file: &Path, json: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(json).expect("a JSON value can be written") + "\n";
    fs::write(file, text).map_err(|error| Error::write(file, error))
}

/// Whether every number of a tensor is one of another type, too.
fn is_exact(tensor: &TensorData, dtype: DType) -> bool {
    tensor.to_f32().into_iter().all(|n| match dtype {
        DType::F32 => true,
        DType::F16 => half::f16::from_f32(n).to_f32() == n,
        DType::BF16 => half::bf16::from_f32(n).to_f32() == n,
    })
}

/// Writes a safetensors file: the length of its header in 8 bytes, the header, the numbers. Each tensor comes
/// with its new type.
fn write_weights(
    path: &Path,
    tensors: &[(&TensorData, DType)],
    progress: &mut dyn FnMut(Progress) -> Result<()>,
) -> Result<()> {
    let mut header = json!({ "__metadata__": { "format": "pt" } });
    let mut total = 0;
    for (tensor, dtype) in tensors {
        let end = total + tensor.elements() * dtype.size();
        let name = dtype.name().to_uppercase();
        header[&tensor.name] =
            json!({ "dtype": name, "shape": tensor.shape, "data_offsets": [total, end] });
        total = end;
    }
    let mut header = header.to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let failed = |error: std::io::Error| Error::write(path, error);
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    file.write_all(&(header.len() as u64).to_le_bytes()).map_err(failed)?;
    file.write_all(header.as_bytes()).map_err(failed)?;
    let (mut done, total) = (0, total as u64);
    progress(Progress { done, total })?;
    for (tensor, dtype) in tensors {
        convert(tensor, *dtype, &mut |bytes| {
            file.write_all(bytes).map_err(failed)?;
            done += bytes.len() as u64;
            progress(Progress { done, total })
        })?;
        tensor.release();
    }
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)
}

/// Gives the numbers of a tensor in another type, a span at a time.
fn convert(
    tensor: &TensorData,
    dtype: DType,
    take: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    if tensor.dtype == TensorType::Float(dtype) {
        return tensor.bytes().chunks(4 * SPAN).try_for_each(take);
    }
    // Blocks are of one row, so a span is of whole rows.
    let row = tensor.shape.last().copied().unwrap_or(1).max(1);
    let row_bytes = tensor.bytes().len() / (tensor.elements() / row).max(1);
    let rows = (SPAN / row).max(1);
    for stored in tensor.bytes().chunks(rows * row_bytes) {
        let mut numbers = vec![0.0f32; stored.len() / row_bytes * row];
        read_f32(tensor.dtype, stored, &mut numbers);
        let bytes: Vec<u8> = match dtype {
            DType::F32 => numbers.iter().flat_map(|n| n.to_le_bytes()).collect(),
            DType::BF16 => {
                numbers.iter().flat_map(|&n| half::bf16::from_f32(n).to_le_bytes()).collect()
            }
            DType::F16 => {
                let fits = |&n: &f32| !n.is_finite() || half::f16::from_f32(n).is_finite();
                if let Some(large) = numbers.iter().find(|&n| !fits(n)) {
                    let problem = format!("has {large}, which is too large for f16");
                    return Err(Error::InvalidWeights {
                        file: tensor.file.to_path_buf(),
                        tensor: tensor.name.clone(),
                        problem,
                    });
                }
                numbers.iter().flat_map(|&n| half::f16::from_f32(n).to_le_bytes()).collect()
            }
        };
        take(&bytes)?;
    }
    Ok(())
}
