//! From a model to a GGUF file in another type, a few rows at a time.
//!
//! The steps: read the model's head, choose a type for each tensor, learn what matters if asked
//! ([`importance`]), then read, convert and write tensor after tensor. Memory holds a span of rows.

pub mod importance;
mod inputs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use rayon::prelude::*;

use crate::checkpoint::ModelSource;
use crate::config::ModelConfig;
use crate::dtype::{DType, TensorType};
use crate::precision::Precision;
use crate::quant::Unquantizable;
use crate::shapes::weight_shapes;
use crate::weights::gguf::{
    convert_metadata, lay_over, names, GgufWriter, Metadata, NewTensor, Value,
};
use crate::weights::{read_f32, Access, TensorData};
use crate::{Error, Result};
use importance::Importance;

/// Numbers that are converted between two writes: of so many rows as hold them, one at least.
const SPAN: usize = 1 << 22;

#[derive(Debug, Clone)]
pub struct Options {
    /// A checkpoint folder or a GGUF file; see [`ModelSource`].
    pub model: PathBuf,
    /// The GGUF file to write.
    pub out: PathBuf,
    /// The type of the new file's matrices.
    pub target: Precision,
    /// A text to learn from what matters, or a file that says it; see [`importance`].
    pub importance: Option<PathBuf>,
    /// Threads that compute. Default: one per core.
    pub threads: Option<usize>,
}

/// How far the work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Tokens of the text that importance is learned from.
    Text { done: u64, total: u64 },
    /// Bytes of the new file.
    Weights { done: u64, total: u64 },
}

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Bytes of all tensors.
    pub bytes: u64,
    pub num_params: u64,
    /// Of each type the number of tensors and their bytes, by its name.
    pub types: BTreeMap<&'static str, (usize, u64)>,
}

/// Bytes that the tensors of the new file take, found without reading a weight.
pub fn size(model: &Path, target: Precision) -> Result<u64> {
    let (config, _) = ModelSource::open(model)?.weights(Access::Map)?;
    Ok(plan(&config, target).iter().map(|planned| planned.bytes()).sum())
}

/// Writes the file. `progress` may stop the work by returning an error; nothing is left then.
///
/// Errors with [`Error::InvalidWeights`] on weights that are no numbers or too large for their new
/// type, and on blocks that would have to be quantised again.
pub fn quantize(
    options: &Options,
    progress: &mut dyn FnMut(Progress) -> Result<()>,
) -> Result<Summary> {
    if let Some(threads) = options.threads.filter(|threads| !(1..=1024).contains(threads)) {
        return Err(Error::option("threads", threads, "it must be from 1 to 1024"));
    }
    let threads = options.threads.unwrap_or(0); // rayon then counts the cores
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|error| Error::Internal(format!("threads: {error}")))?;
    let source = ModelSource::open(&options.model)?;
    let (config, checkpoint) = source.weights(Access::Map)?;
    inputs::refuse_as_output(&options.out, &source, options.importance.as_deref())?;
    let plan = plan(&config, options.target);
    for planned in &plan {
        check(checkpoint.get(&planned.source)?, planned.new.dtype)?;
    }
    let mut metadata = metadata(&source, options.target)?;
    let importance = match &options.importance {
        None => Importance::default(),
        Some(file) => {
            let importance = importance::of_file(file, &source, options.threads, progress)?;
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            metadata.set("quantize.imatrix.dataset", Value::String(name.into_owned()));
            importance
        }
    };

    let total = plan.iter().map(Planned::bytes).sum();
    let mut summary =
        Summary { bytes: total, num_params: config.num_params(), types: BTreeMap::new() };
    let tensors: Vec<NewTensor> = plan.iter().map(|planned| planned.new.clone()).collect();
    let mut writer = GgufWriter::create(&options.out, &metadata, &tensors)?;
    let mut done = 0;
    progress(Progress::Weights { done, total })?;
    for planned in &plan {
        let tensor = checkpoint.get(&planned.source)?;
        let importance = importance.of(&planned.source);
        convert(tensor, planned.new.dtype, importance, &pool, &mut |bytes| {
            writer.write(&planned.new.name, bytes)?;
            done += bytes.len() as u64;
            progress(Progress::Weights { done, total })
        })?;
        let (tensors, bytes) = summary.types.entry(planned.new.dtype.name()).or_default();
        *tensors += 1;
        *bytes += planned.bytes();
    }
    writer.finish()?;
    Ok(summary)
}

/// A tensor of the new file.
struct Planned {
    new: NewTensor,
    /// Hugging Face's name of the one it is made of.
    source: String,
}

impl Planned {
    fn bytes(&self) -> u64 {
        self.new.bytes().expect("the target chooses a type that fits") as u64
    }
}

fn plan(config: &ModelConfig, target: Precision) -> Vec<Planned> {
    let shapes: BTreeMap<String, Vec<usize>> = weight_shapes(config).into_iter().collect();
    // A table that is the output matrix too is written as both, so in the file nothing is tied.
    let untied = ModelConfig { tie_word_embeddings: false, ..config.clone() };
    let planned = |(name, source): (String, String)| {
        let shape = shapes[&source].clone();
        let role = names::to_hugging_face(&name).expect("one of the names that have one there");
        let dtype = target.in_file(&role, &shape, &untied);
        Planned { new: NewTensor { name, dtype, shape }, source }
    };
    names::all(config).into_iter().map(planned).collect()
}

/// The metadata of the file: of a GGUF file its own, with what lies beside it laid over,
/// else made of the folder's files.
fn metadata(source: &ModelSource, target: Precision) -> Result<Metadata> {
    match source {
        ModelSource::Folder(dir) => convert_metadata(dir, target.file_type()),
        ModelSource::Gguf(gguf) => {
            let mut metadata = gguf.metadata().clone();
            metadata.set("general.file_type", Value::U32(target.file_type()));
            metadata.set("general.quantization_version", Value::U32(2));
            let defaults = source.generation_defaults(&source.config()?)?;
            lay_over(&mut metadata, source.dir(), &defaults)?;
            Ok(metadata)
        }
    }
}

/// Blocks lose precision; making other blocks of them would lose it twice.
fn check(tensor: &TensorData, wanted: TensorType) -> Result<()> {
    match (tensor.dtype, wanted) {
        (TensorType::Block(is), TensorType::Block(wanted)) if is != wanted => {
            let (is, wanted) = (is.name(), wanted.name());
            let problem =
                format!("is {is} and would have to be {wanted}: quantise the model it was made of");
            Err(tensor.error(problem))
        }
        _ => Ok(()),
    }
}

/// Hands the tensor's bytes in the new type to `write`, span after span.
fn convert(
    tensor: &TensorData,
    wanted: TensorType,
    importance: Option<&[f32]>,
    pool: &rayon::ThreadPool,
    write: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let columns = tensor.shape.last().copied().unwrap_or(1);
    let fits = "the shape was checked against the config";
    let row_bytes = (tensor.dtype.bytes(columns).expect(fits), wanted.bytes(columns).expect(fits));
    let span = SPAN.div_ceil(columns);
    let mut out = Vec::new();
    for rows in tensor.bytes().chunks(span * row_bytes.0) {
        if tensor.dtype == wanted {
            write(rows)?;
            continue;
        }
        out.resize(rows.len() / row_bytes.0 * row_bytes.1, 0);
        let pairs = rows.par_chunks_exact(row_bytes.0).zip(out.par_chunks_exact_mut(row_bytes.1));
        let work = || {
            pairs.try_for_each_init(
                || vec![0.0; columns],
                |numbers, (row, out)| {
                    read_f32(tensor.dtype, row, numbers);
                    convert_row(numbers, wanted, importance, out)
                },
            )
        };
        pool.install(work).map_err(|problem| tensor.error(format!("{problem}")))?;
        write(&out)?;
    }
    Ok(())
}

/// Why a row cannot be converted.
#[derive(Debug)]
enum Unconvertible {
    Quantize(Unquantizable),
    F16,
}

impl std::fmt::Display for Unconvertible {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Unconvertible::Quantize(problem) => problem.fmt(f),
            Unconvertible::F16 => f.write_str("holds numbers too large for f16: take bf16"),
        }
    }
}

fn convert_row(
    row: &[f32],
    wanted: TensorType,
    importance: Option<&[f32]>,
    out: &mut [u8],
) -> Result<(), Unconvertible> {
    match wanted {
        TensorType::Block(block) => {
            return block.quantize(row, importance, out).map_err(Unconvertible::Quantize);
        }
        TensorType::Float(DType::F32) => {
            for (out, x) in out.as_chunks_mut().0.iter_mut().zip(row) {
                *out = x.to_le_bytes();
            }
        }
        TensorType::Float(DType::BF16) => {
            for (out, &x) in out.as_chunks_mut().0.iter_mut().zip(row) {
                *out = bf16::from_f32(x).to_le_bytes();
            }
        }
        TensorType::Float(DType::F16) => {
            for (out, &x) in out.as_chunks_mut().0.iter_mut().zip(row) {
                let narrow = f16::from_f32(x);
                if narrow.is_infinite() && x.is_finite() {
                    return Err(Unconvertible::F16);
                }
                *out = narrow.to_le_bytes();
            }
        }
    }
    match row.iter().all(|x| x.is_finite()) {
        true => Ok(()),
        false => Err(Unconvertible::Quantize(Unquantizable::NotFinite)),
    }
}
