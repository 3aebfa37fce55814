//! How much the error of each weight matters: by the mean square of the input it is multiplied with,
//! over a text.
//!
//! Weights of one column of a projection share an input, so there is a number for each column. They
//! are found by running the model over the text in windows, as llama.cpp's `llama-imatrix` does; or
//! read from the file that it writes.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use super::Progress;
use crate::backend::cpu::CpuOps;
use crate::cache::{blocks_for, CacheDType};
use crate::checkpoint::ModelSource;
use crate::config::ModelConfig;
use crate::files;
use crate::limits::Limits;
use crate::memory::{available_memory, MemoryPlan};
use crate::model::{Input, Model, Probe, Runtime};
use crate::ops::Batch;
use crate::shapes::weight_shapes;
use crate::weights::gguf::{names, Gguf};
use crate::weights::Access;
use crate::{Error, Result};

/// Tokens that are read together, as in llama.cpp.
const WINDOW: usize = 512;

/// The longest text that is read. A few hundred kilobytes say all that there is to learn.
const MOST_TEXT: u64 = 1 << 30;

/// Numbers beyond this come from no model, and would overflow in a search.
const LARGEST: f32 = 1e12;

/// The mean squares, by the name (Hugging Face's) of the projection. There are none for the embedding
/// table, which multiplies nothing, and none for the output matrix, as in llama.cpp.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Importance(HashMap<String, Vec<f32>>);

impl Importance {
    /// A number for each column of a matrix.
    pub fn of(&self, name: &str) -> Option<&[f32]> {
        self.0.get(name).map(Vec::as_slice)
    }
}

/// Reads a file: `llama-imatrix`'s if it is GGUF, else a text in UTF-8.
pub fn of_file(
    file: &Path,
    source: &ModelSource,
    threads: Option<usize>,
    progress: &mut dyn FnMut(Progress) -> Result<()>,
) -> Result<Importance> {
    let mut magic = [0; 4];
    let mut opened = files::open(file)?;
    if opened.read_exact(&mut magic).is_ok() && magic == *b"GGUF" {
        return of_gguf(&Gguf::open(file)?, &source.config()?);
    }
    let text = files::read_text(file, MOST_TEXT)?;
    let ids = source.tokenizer()?.encode(&text, false)?;
    if ids.is_empty() {
        let problem = "there is no text in it to learn from".into();
        return Err(Error::InvalidFile { file: file.to_owned(), problem });
    }
    of_ids(&ids, source, threads, progress)
}

/// Sums of squares `NAME.in_sum2` and the number of rows in each, `NAME.counts`.
///
/// Source: `tools/imatrix/imatrix.cpp` of llama.cpp.
fn of_gguf(gguf: &Gguf, config: &ModelConfig) -> Result<Importance> {
    let tensors: HashMap<String, _> =
        gguf.tensors().map(|tensor| (tensor.name.clone(), tensor)).collect();
    let mut importance = HashMap::new();
    for (name, shape) in weight_shapes(config) {
        let own = names::from_hugging_face(&name).unwrap_or_default();
        let (Some(sums), Some(counts)) =
            (tensors.get(&format!("{own}.in_sum2")), tensors.get(&format!("{own}.counts")))
        else {
            continue;
        };
        let columns = shape.last().copied().unwrap_or_default();
        if sums.elements() != columns || counts.elements() != 1 {
            let problem = format!("is not a number for each of {columns} columns: the file was made for another model");
            return Err(sums.error(problem));
        }
        let count = counts.to_f32()[0];
        if !(count.is_finite() && count > 0.0) {
            let problem = format!("is {count}, but a number of rows above 0 is needed");
            return Err(counts.error(problem));
        }
        let means: Vec<f32> = sums.to_f32().iter().map(|sum| sum / count).collect();
        if !means.iter().all(|mean| (0.0..=LARGEST).contains(mean)) {
            return Err(sums.error("holds numbers that are no mean squares".into()));
        }
        if means.iter().all(|mean| *mean == 0.0) {
            let problem =
                "is all zeros: by it no weight would matter, and the model would be ruined";
            return Err(sums.error(problem.into()));
        }
        importance.insert(name, means);
    }
    if importance.is_empty() {
        let problem = "it holds no importance of this model's matrices".into();
        return Err(Error::InvalidFile { file: gguf.path().to_owned(), problem });
    }
    Ok(Importance(importance))
}

/// Runs the model over token ids in whole windows, or over all of fewer.
pub fn of_ids(
    ids: &[u32],
    source: &ModelSource,
    threads: Option<usize>,
    progress: &mut dyn FnMut(Progress) -> Result<()>,
) -> Result<Importance> {
    let (config, checkpoint) = source.weights(Access::Map)?;
    let dtype = checkpoint.dtype().float();
    let window = WINDOW.min(config.max_position_embeddings).min(ids.len());
    let total = (ids.len() / window * window) as u64;
    let cache: CacheDType = dtype.into();
    let limits = Limits::default();
    MemoryPlan::fit(&config, dtype.into(), cache, Some(window), &limits, available_memory())?;
    let ops = CpuOps::new(dtype, threads)?;
    let mut report = |done| progress(Progress::Text { done, total });
    report(0)?;
    let mut loading = |_| report(0);
    let blocks = blocks_for(window);
    let mut model = Runtime::load(ops, &config, &checkpoint, blocks, &mut loading)?;

    let blocks: Vec<u32> = (0..blocks as u32).collect();
    let mut squares = Squares { rows: window, sums: HashMap::new() };
    let mut logits = Vec::new();
    for (i, ids) in ids.chunks_exact(window).enumerate() {
        let mut batch = Batch::default();
        batch.push(ids, 0, &blocks, 0..0);
        model.forward(&batch, &mut squares, &mut logits)?;
        report(((i + 1) * window) as u64)?;
    }
    Ok(squares.importance(total))
}

/// Sums of the squared inputs of all rows.
struct Squares {
    /// Rows of a batch.
    rows: usize,
    sums: HashMap<(usize, Input), Vec<f64>>,
}

impl Probe for Squares {
    fn wants_inputs(&self) -> bool {
        true
    }

    fn input(&mut self, layer: usize, input: Input, values: &[f32]) {
        let width = values.len() / self.rows;
        let sums = self.sums.entry((layer, input)).or_insert_with(|| vec![0.0; width]);
        for row in values.chunks_exact(width) {
            for (sum, &x) in sums.iter_mut().zip(row) {
                *sum += f64::from(x) * f64::from(x);
            }
        }
    }
}

impl Squares {
    fn importance(self, rows: u64) -> Importance {
        let mut importance = HashMap::new();
        for ((layer, input), sums) in self.sums {
            let mean = |sum: &f64| ((sum / rows as f64) as f32).min(LARGEST);
            let means: Vec<f32> = sums.iter().map(mean).collect();
            for name in input.projections() {
                importance.insert(format!("model.layers.{layer}.{name}"), means.clone());
            }
        }
        Importance(importance)
    }
}
