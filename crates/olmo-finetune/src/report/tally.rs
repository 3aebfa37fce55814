//! Counting.

use serde::Serialize;

use crate::conversation::Shape;
use crate::labels::Reason;
use crate::spool::{flags, Record};

/// What is counted of one source.
#[derive(Debug, Clone, Default)]
pub struct SourceTally {
    pub name: String,
    pub mixed: Mixed,
    pub written: Written,
    shapes: [u64; Shape::ALL.len()],
}

/// Rows before and after the mixer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mixed {
    /// In the files.
    pub rows: u64,
    /// Asked for, each as often as it was.
    pub wanted: u64,
    /// Of those, not dropped.
    pub kept: u64,
}

/// What is in the output.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Written {
    pub examples: u64,
    pub tokens: u64,
    pub labelled: u64,
}

impl Written {
    pub fn add(&mut self, other: &Written) {
        self.examples += other.examples;
        self.tokens += other.tokens;
        self.labelled += other.labelled;
    }
}

/// What a user would not see otherwise, of the examples in the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Notices {
    /// OLMo-core melts a document without the ending token into the next.
    pub without_final_eos: u64,
    /// Messages that spell special tokens, which become special.
    pub spelling_tokens: u64,
    pub cut: u64,
    /// With labelled tokens that are no answer's.
    pub with_labels_beside_answers: u64,
    pub labels_beside_answers: u64,
    /// Under exact labels: that Open Instruct's rule would drop.
    pub open_instruct_drops: u64,
    /// Tokens that it would label.
    pub open_instruct_labels: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Tokens of an example, from and up to.
    pub from: u64,
    pub to: u64,
    pub examples: u64,
}

#[derive(Debug, Clone)]
pub struct Tally {
    pub sources: Vec<SourceTally>,
    dropped: Vec<u64>,
    first_written: Vec<usize>,
    pub notices: Notices,
    pub longest: u64,
    /// By the number of bits of the number of tokens.
    histogram: [u64; 33],
}

impl Tally {
    pub fn new(names: Vec<String>) -> Tally {
        let source = |name| SourceTally { name, ..SourceTally::default() };
        Tally {
            sources: names.into_iter().map(source).collect(),
            dropped: vec![0; Reason::ALL.len()],
            first_written: Vec::new(),
            notices: Notices::default(),
            longest: 0,
            histogram: [0; 33],
        }
    }

    /// Counts a row that was read.
    pub fn read(&mut self, source: usize, record: &Record) {
        if let Some(reason) = record.reason() {
            self.dropped[reason as usize - 1] += 1;
        }
        if record.reason() != Some(Reason::Invalid) {
            let shapes = &mut self.sources[source].shapes;
            if let Some(count) = shapes.get_mut(usize::from(record.shape)) {
                *count += 1;
            }
        }
    }

    /// Says what the mixer made of a source.
    pub fn mixed(&mut self, source: usize, rows: u64, wanted: usize, kept: usize) {
        self.sources[source].mixed = Mixed { rows, wanted: wanted as u64, kept: kept as u64 };
    }

    /// Counts an example of the output.
    pub fn written(&mut self, source: usize, record: &Record) {
        let written = &mut self.sources[source].written;
        if written.examples == 0 {
            self.first_written.push(source);
        }
        let tokens = u64::from(record.tokens);
        written.add(&Written { examples: 1, tokens, labelled: record.labelled.into() });
        self.longest = self.longest.max(tokens);
        self.histogram[(32 - record.tokens.leading_zeros()) as usize] += 1;
        let notices = &mut self.notices;
        notices.without_final_eos += u64::from(record.is(flags::NO_END));
        notices.spelling_tokens += u64::from(record.is(flags::SPELLS_TOKENS));
        notices.cut += u64::from(record.is(flags::CUT));
        notices.with_labels_beside_answers += u64::from(record.beside > 0);
        notices.labels_beside_answers += u64::from(record.beside);
        notices.open_instruct_drops += u64::from(record.is(flags::OTHER_DROPS));
        notices.open_instruct_labels += u64::from(record.other);
    }

    /// Sources in the order in which the output has them first.
    pub fn first_written(&self) -> &[usize] {
        &self.first_written
    }

    pub fn total(&self) -> Written {
        let mut total = Written::default();
        self.sources.iter().for_each(|source| total.add(&source.written));
        total
    }

    pub fn dropped(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        let all = Reason::ALL.into_iter().zip(self.dropped.iter().copied());
        all.filter(|(_, rows)| *rows > 0)
    }

    pub fn reasons_in_words(&self) -> String {
        let words: Vec<String> =
            self.dropped().map(|(reason, rows)| format!("{rows}: {}", reason.about())).collect();
        words.join("; ")
    }

    /// Examples by their numbers of tokens, from a power of two to the next.
    pub fn bins(&self) -> Vec<Bin> {
        let bin = |(bits, &examples): (usize, &u64)| Bin {
            from: if bits == 0 { 0 } else { 1 << (bits - 1) },
            to: (1 << bits) - 1,
            examples,
        };
        let all: Vec<Bin> = self.histogram.iter().enumerate().map(bin).collect();
        let first = all.iter().position(|bin| bin.examples > 0);
        let last = all.iter().rposition(|bin| bin.examples > 0);
        first.zip(last).map_or(Vec::new(), |(first, last)| all[first..=last].to_vec())
    }
}

impl SourceTally {
    pub fn shapes(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let all = Shape::ALL.into_iter().map(Shape::columns).zip(self.shapes);
        all.filter(|(_, rows)| *rows > 0)
    }
}
