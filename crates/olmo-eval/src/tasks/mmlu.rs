//! MMLU: four choices in 57 subjects, asked in several ways.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use olmo_core::{Error, Result};

use super::{after_blank, FILE};
use crate::data::{read_rows, DataFolder, Row};
use crate::document::Document;
use crate::python::strip;
use crate::table::{Label, Metric, Prompts};

/// What each category is made of, in the order of its documents.
const CATEGORIES: [(&str, &[&str]); 4] = [
    ("stem", &["physics", "chemistry", "biology", "computer science", "math", "engineering"]),
    ("humanities", &["history", "philosophy", "law"]),
    ("social_sciences", &["politics", "culture", "economics", "geography", "psychology"]),
    ("other", &["other", "business", "health"]),
];

/// The harnesses' table of subjects, in its order, which is that of the documents of one kind.
const SUBJECTS: [(&str, &str); 57] = [
    ("abstract_algebra", "math"),
    ("anatomy", "health"),
    ("astronomy", "physics"),
    ("business_ethics", "business"),
    ("clinical_knowledge", "health"),
    ("college_biology", "biology"),
    ("college_chemistry", "chemistry"),
    ("college_computer_science", "computer science"),
    ("college_mathematics", "math"),
    ("college_medicine", "health"),
    ("college_physics", "physics"),
    ("computer_security", "computer science"),
    ("conceptual_physics", "physics"),
    ("econometrics", "economics"),
    ("electrical_engineering", "engineering"),
    ("elementary_mathematics", "math"),
    ("formal_logic", "philosophy"),
    ("global_facts", "other"),
    ("high_school_biology", "biology"),
    ("high_school_chemistry", "chemistry"),
    ("high_school_computer_science", "computer science"),
    ("high_school_european_history", "history"),
    ("high_school_geography", "geography"),
    ("high_school_government_and_politics", "politics"),
    ("high_school_macroeconomics", "economics"),
    ("high_school_mathematics", "math"),
    ("high_school_microeconomics", "economics"),
    ("high_school_physics", "physics"),
    ("high_school_psychology", "psychology"),
    ("high_school_statistics", "math"),
    ("high_school_us_history", "history"),
    ("high_school_world_history", "history"),
    ("human_aging", "health"),
    ("human_sexuality", "culture"),
    ("international_law", "law"),
    ("jurisprudence", "law"),
    ("logical_fallacies", "philosophy"),
    ("machine_learning", "computer science"),
    ("management", "business"),
    ("marketing", "business"),
    ("medical_genetics", "health"),
    ("miscellaneous", "other"),
    ("moral_disputes", "philosophy"),
    ("moral_scenarios", "philosophy"),
    ("nutrition", "health"),
    ("philosophy", "philosophy"),
    ("prehistory", "history"),
    ("professional_accounting", "other"),
    ("professional_law", "law"),
    ("professional_medicine", "health"),
    ("professional_psychology", "psychology"),
    ("public_relations", "politics"),
    ("security_studies", "politics"),
    ("sociology", "culture"),
    ("us_foreign_policy", "politics"),
    ("virology", "health"),
    ("world_religions", "philosophy"),
];

const COLUMNS: &[&str] = &["question", "subject", "choices", "answer"];
const LETTERS: [&str; 4] = ["A", "B", "C", "D"];

/// One of the prompts that a question gets.
#[derive(Clone, Copy)]
struct Prompt {
    /// Whether it begins by saying what is to come.
    instructs: bool,
    examples: usize,
}

const PLAIN: Prompt = Prompt { instructs: false, examples: 0 };

fn prompts(of: Prompts) -> Vec<Prompt> {
    let instructed = |examples| Prompt { instructs: true, examples };
    match of {
        Prompts::Plain => vec![PLAIN],
        Prompts::Examples(count) => vec![instructed(count)],
        Prompts::Variations => std::iter::once(PLAIN).chain((0..=5).map(instructed)).collect(),
    }
}

/// The subjects of a category, in the order of its documents.
pub fn subjects(category: &str) -> impl Iterator<Item = &'static str> {
    let kinds = CATEGORIES.iter().find(|(name, _)| *name == category).map_or(&[][..], |c| c.1);
    kinds.iter().flat_map(|kind| SUBJECTS.iter().filter(move |(_, of)| of == kind)).map(|s| s.0)
}

pub fn documents(
    label: &Label,
    metric: Metric,
    data: &DataFolder,
    range: Range<usize>,
) -> Result<Vec<Document>> {
    let prompts = prompts(label.prompts);
    let (mut next, mut documents) = (0, Vec::new());
    let mut task = Task { label, metric, data, examples: HashMap::new() };
    for subject in subjects(label.subjects) {
        if next >= range.end {
            break;
        }
        let (path, rows) = task.rows(subject, label.split)?;
        for (place, row) in rows.iter().enumerate() {
            for prompt in &prompts {
                let id = next;
                next += 1;
                if range.contains(&id) {
                    documents.push(task.document(id, row, *prompt).map_err(
                        |fault| match fault {
                            Fault::Row(problem) => Error::InvalidFile {
                                file: path.clone(),
                                problem: format!("row {place}: {problem}"),
                            },
                            Fault::Other(error) => error,
                        },
                    )?);
                }
            }
        }
    }
    Ok(documents)
}

struct Task<'a> {
    label: &'a Label,
    metric: Metric,
    data: &'a DataFolder,
    /// By subject.
    examples: HashMap<String, Vec<Row>>,
}

enum Fault {
    Row(String),
    Other(Error),
}

impl From<String> for Fault {
    fn from(problem: String) -> Fault {
        Fault::Row(problem)
    }
}

impl Task<'_> {
    fn rows(&self, subject: &str, split: &str) -> Result<(PathBuf, Vec<Row>)> {
        let folder = self.label.data.replace('*', subject);
        let path = self.data.find(&Path::new(&folder).join(split).join(FILE))?;
        let rows = read_rows(&path, COLUMNS)?;
        Ok((path, rows))
    }

    fn document(&mut self, id: usize, row: &Row, prompt: Prompt) -> Result<Document, Fault> {
        let subject = row.text("subject")?;
        let mut context = String::new();
        if prompt.instructs {
            let about = subject.replace('_', " ");
            context = format!(
                "The following are multiple choice questions (with answers) about {about}:\n\n"
            );
        }
        if prompt.examples > 0 {
            if !self.examples.contains_key(subject) {
                let rows = self.rows(subject, "dev").map_err(Fault::Other)?.1;
                self.examples.insert(subject.to_owned(), rows);
            }
            for example in self.examples[subject].iter().take(prompt.examples) {
                let answer = self.answer(example)?;
                context += &format!("{} {answer}\n\n", self.question(example)?);
            }
        }
        context += &self.question(row)?;
        let mut choices = match self.label.letters {
            true => LETTERS.map(str::to_owned).to_vec(),
            false => row.texts("choices")?.into_iter().map(str::to_owned).collect(),
        };
        let mut gold = row.index("answer")?;
        if self.metric.is_of_one() {
            choices = vec![self.answer(row)?];
            gold = 0;
        }
        let choices = choices.iter().map(|choice| after_blank(choice)).collect();
        let mut document = Document::new(id, context, "Answer:", choices, gold);
        document.subject = Some(subject.to_owned());
        Ok(document)
    }

    fn question(&self, row: &Row) -> Result<String, String> {
        let question = strip(row.text("question")?);
        if !self.label.letters {
            return Ok(format!("Question: {question}\nAnswer:"));
        }
        let choices = row.texts("choices")?;
        let lines =
            LETTERS.iter().zip(choices).map(|(letter, choice)| format!("{letter}. {choice}\n"));
        Ok(format!("{question}\n{}Answer:", lines.collect::<String>()))
    }

    fn answer(&self, row: &Row) -> Result<String, String> {
        let place = row.index("answer")?;
        let choices = row.texts("choices")?;
        let answer = match self.label.letters {
            true => LETTERS.get(place),
            false => choices.get(place),
        };
        answer
            .map(|answer| (*answer).to_owned())
            .ok_or_else(|| "`answer` names no choice".to_owned())
    }
}
