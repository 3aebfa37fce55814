//! Token files and prepared conversations, and the order in which a run reads them.
//!
//! A file is cut into instances of one length; a rest at the end is left out. What comes when is a pure
//! function of the seed and of the instance's number in the run, so resuming needs no more than that number.

use std::ops::Range;
use std::path::PathBuf;

use rand_chacha::rand_core::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::config::SourceConfig;
use super::instance::Instance;
use super::labelled::{Labelled, Reading};
pub use crate::prepare::token_file::{TokenFile, TokenType};
use crate::{Error, Result};

/// Opens the files of one source.
pub fn open_files(
    paths: &[PathBuf],
    dtype: Option<TokenType>,
    vocab_size: usize,
) -> Result<Vec<TokenFile>> {
    paths.iter().map(|path| TokenFile::open_for(path, dtype, vocab_size)).collect()
}

/// Lengths of the documents in an instance. A document ends with an end-of-text token; the last one
/// may be cut off (`get_document_lengths` in OLMo).
pub fn document_lengths(tokens: &[u32], eos: u32) -> Vec<usize> {
    tokens.split_inclusive(|&id| id == eos).map(<[u32]>::len).collect()
}

/// Instances of an epoch, whose order is in memory: 4 bytes each.
const MAX_EPOCH: usize = 1 << 30;

/// What instances are cut from.
enum Store {
    File(TokenFile),
    Labelled(Labelled),
}

/// The instances of one stage, in order and without end.
pub struct Mix {
    stores: Vec<Store>,
    /// The source of each store.
    names: Vec<String>,
    /// Number of the first instance of each store, and one past the last of all.
    firsts: Vec<usize>,
    /// A source's instances, and how many of them one epoch has.
    sources: Vec<(Range<usize>, usize)>,
    sequence_length: usize,
    vocab_size: usize,
    seed: u64,
    /// The last epoch asked for.
    epoch: Option<(u64, Vec<u32>)>,
}

impl Mix {
    /// `instances` is how many the stage will read, of which weighted sources get their share.
    pub fn open(
        sources: &[SourceConfig],
        sequence_length: usize,
        vocab_size: usize,
        seed: u64,
        instances: u64,
    ) -> Result<Mix> {
        let weights: f64 = sources.iter().filter_map(|source| source.weight).sum();
        let mut mix = Mix {
            stores: Vec::new(),
            names: Vec::new(),
            firsts: vec![0],
            sources: Vec::new(),
            sequence_length,
            vocab_size,
            seed,
            epoch: None,
        };
        for source in sources {
            let start = mix.total();
            mix.add(source)?;
            let range = start..mix.total();
            if range.is_empty() {
                return Err(empty(source, sequence_length));
            }
            let count = match source.weight {
                Some(weight) => instances as f64 * weight / weights,
                None => range.len() as f64 * source.repeat.unwrap_or(1.0),
            };
            let count = count.round().max(1.0);
            let total = mix.epoch_len() as f64 + count;
            if total > MAX_EPOCH as f64 {
                return Err(Error::InvalidFile {
                    file: source.place(),
                    problem: format!(
                        "source `{}` would make an epoch of {total} instances, of which {MAX_EPOCH} are \
                         possible; lower its repeat, or the steps",
                        source.name
                    ),
                });
            }
            mix.sources.push((range, count as usize));
        }
        Ok(mix)
    }

    /// Opens what a source names.
    fn add(&mut self, source: &SourceConfig) -> Result<()> {
        let (sequence_length, vocab_size) = (self.sequence_length, self.vocab_size);
        for file in open_files(&source.paths, source.dtype, vocab_size)? {
            self.firsts.push(self.total() + file.len() / sequence_length);
            self.stores.push(Store::File(file));
            self.names.push(source.name.clone());
        }
        let Some(folder) = &source.prepared else { return Ok(()) };
        let (dtype, pack) = (source.dtype, source.pack.unwrap_or(true));
        let reading = Reading { sequence_length, vocab_size, dtype, pack };
        let labelled = Labelled::open(folder, reading)?;
        self.firsts.push(self.total() + labelled.len());
        self.stores.push(Store::Labelled(labelled));
        self.names.push(source.name.clone());
        Ok(())
    }

    /// What of the prepared folders is not learned, in words.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for (source, store) in self.names.iter().zip(&self.stores) {
            let Store::Labelled(labelled) = store else { continue };
            let length = self.sequence_length;
            if labelled.unlabelled > 0 {
                let count = labelled.unlabelled;
                notes.push(format!(
                    "{source}: left out {count} documents with no labelled token in the first {length}"
                ));
            }
            if labelled.cut > 0 {
                let count = labelled.cut;
                notes.push(format!("{source}: {count} documents are cut at {length} tokens"));
            }
        }
        notes
    }

    fn total(&self) -> usize {
        *self.firsts.last().expect("starts with one")
    }

    /// Instances in one epoch.
    pub fn epoch_len(&self) -> usize {
        self.sources.iter().map(|(_, count)| count).sum()
    }

    /// The stage's instance number `number`, counted from 0.
    pub fn instance(&mut self, number: u64) -> Result<Instance> {
        let length = self.epoch_len() as u64;
        let (epoch, index) = (number / length, number % length);
        if self.epoch.as_ref().is_none_or(|(known, _)| *known != epoch) {
            self.epoch = Some((epoch, self.order(epoch)));
        }
        let (_, order) = self.epoch.as_ref().expect("just set");
        let instance = order[index as usize] as usize;
        let store = self.firsts.partition_point(|&first| first <= instance) - 1;
        let index = instance - self.firsts[store];
        match &self.stores[store] {
            Store::Labelled(labelled) => labelled.row(index),
            Store::File(file) => {
                let start = index * self.sequence_length;
                let range = start..start + self.sequence_length;
                Ok(Instance::plain(file.read(range, self.vocab_size)?))
            }
        }
    }

    /// All instances of an epoch: each source as often as it is due, all shuffled together.
    fn order(&self, epoch: u64) -> Vec<u32> {
        let streams = self.sources.len() as u64 + 1;
        let rng = |stream: u64| {
            let mut rng = ChaCha12Rng::seed_from_u64(self.seed);
            rng.set_stream(epoch * streams + stream);
            rng
        };
        let mut order = Vec::with_capacity(self.epoch_len());
        for (source, (range, count)) in self.sources.iter().enumerate() {
            let all: Vec<u32> = range.clone().map(|instance| instance as u32).collect();
            for _ in 0..count / all.len() {
                order.extend_from_slice(&all);
            }
            let mut part = all;
            shuffle(&mut part, &mut rng(source as u64 + 1));
            order.extend_from_slice(&part[..count % range.len()]);
        }
        shuffle(&mut order, &mut rng(0));
        order
    }
}

fn empty(source: &SourceConfig, sequence_length: usize) -> Error {
    let name = &source.name;
    let problem = match source.prepared {
        Some(_) => {
            format!("source `{name}` has no labelled token in the first {sequence_length} of any document")
        }
        None => format!("source `{name}` is shorter than one instance of {sequence_length} tokens"),
    };
    Error::InvalidFile { file: source.place(), problem }
}

/// Fisher and Yates' shuffle.
fn shuffle(items: &mut [u32], rng: &mut ChaCha12Rng) {
    for last in (1..items.len()).rev() {
        // The high half of a 64 by 64 bit product: a bias below 2⁻³² for what fits in memory.
        let at = (rng.next_u64() as u128 * (last as u128 + 1)) >> 64;
        items.swap(last, at as usize);
    }
}
