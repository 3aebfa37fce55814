//! Tasks that ask a question and have texts as choices.

use super::{after_blank, all_after_blank, MakeDocument};
use crate::data::Row;
use crate::document::Document;
use crate::python::{strip, without_last};

type Task = (&'static [&'static str], MakeDocument);

fn asked(question: &str) -> String {
    format!("Question: {question}\nAnswer:")
}

pub const ARC: Task = (&["question", "choices", "answerKey"], arc);

fn arc(id: usize, row: &Row) -> Result<Document, String> {
    let choices = all_after_blank(&row.texts("choices.text")?);
    Ok(Document::new(id, asked(row.text("question")?), "Answer:", choices, arc_answer(row)?))
}

/// Numbers stand for letters, and a letter for its place in the alphabet, whatever the choices are called.
fn arc_answer(row: &Row) -> Result<usize, String> {
    let key = row.text("answerKey")?;
    let places = ["A1", "B2", "C3", "D4", "E5"];
    let of_one = |place: &&str| key.len() == 1 && place.contains(key);
    places.iter().position(of_one).ok_or_else(|| format!("`answerKey` is {key:?}"))
}

pub const ARC_ANSWER: Task = (&["question", "choices", "answerKey"], first_of_arc);

/// The harnesses mean to ask for the right choice alone, and ask for the first one: their class says that
/// the right one is the first, before it takes it out of all.
fn first_of_arc(id: usize, row: &Row) -> Result<Document, String> {
    let choices = row.texts("choices.text")?;
    let first = choices.first().ok_or("`choices` is empty")?;
    Ok(Document::new(id, asked(row.text("question")?), "Answer:", vec![after_blank(first)], 0))
}

pub const PIQA: Task = (&["goal", "sol1", "sol2", "label"], piqa);

fn piqa(id: usize, row: &Row) -> Result<Document, String> {
    let choices = all_after_blank(&[row.text("sol1")?, row.text("sol2")?]);
    Ok(Document::new(id, asked(row.text("goal")?), "Answer:", choices, row.index("label")?))
}

pub const SOCIAL_IQA: Task =
    (&["context", "question", "answerA", "answerB", "answerC", "label"], social_iqa);

fn social_iqa(id: usize, row: &Row) -> Result<Document, String> {
    let question = format!("{} {}", row.text("context")?, row.text("question")?);
    let choices =
        all_after_blank(&[row.text("answerA")?, row.text("answerB")?, row.text("answerC")?]);
    Ok(Document::new(id, asked(&question), "Answer:", choices, counted_from_one(row, "label")?))
}

/// A choice's number in a text, counted from one.
pub(super) fn counted_from_one(row: &Row, column: &str) -> Result<usize, String> {
    let number: Option<usize> = strip(row.text(column)?).parse().ok();
    number
        .and_then(|number| number.checked_sub(1))
        .ok_or_else(|| format!("`{column}` is no number from 1"))
}

pub const SCIQ: Task =
    (&["support", "question", "distractor1", "distractor2", "distractor3", "correct_answer"], sciq);

fn sciq(id: usize, row: &Row) -> Result<Document, String> {
    let support = strip(row.text("support")?);
    let context = format!("{support}\n{}", asked(row.text("question")?));
    let columns = ["distractor1", "distractor2", "distractor3", "correct_answer"];
    let choices = columns.map(|column| row.text(column)).into_iter().collect::<Result<Vec<_>, _>>();
    Ok(Document::new(id, context, "Answer:", all_after_blank(&choices?), 3))
}

pub const OPEN_BOOK_QA: Task = (&["question_stem", "choices", "answerKey"], open_book_qa);

fn open_book_qa(id: usize, row: &Row) -> Result<Document, String> {
    let stem = row.text("question_stem")?;
    let last_word = strip(stem).rsplit(' ').next().unwrap_or_default();
    let choices = all_after_blank(&row.texts("choices.text")?);
    let key = strip(row.text("answerKey")?);
    let gold = ["A", "B", "C", "D"].iter().position(|letter| *letter == key);
    let gold = gold.ok_or_else(|| format!("`answerKey` is {key:?}"))?;
    Ok(Document::new(id, stem.to_owned(), last_word, choices, gold))
}

pub const COPA: Task = (&["premise", "choice1", "choice2", "question", "label"], copa);

fn copa(id: usize, row: &Row) -> Result<Document, String> {
    let connector = if row.text("question")? == "cause" { "because" } else { "therefore" };
    // Without the full stop.
    let premise = without_last(strip(row.text("premise")?));
    let choices = [row.text("choice1")?, row.text("choice2")?]
        .map(|choice| after_blank(&begin_small(choice)));
    let context = format!("{premise} {connector}");
    Ok(Document::new(id, context, connector, choices.into(), row.index("label")?))
}

fn begin_small(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().into_iter().flat_map(char::to_lowercase);
    first.chain(chars).collect()
}

pub const TRIVIA_QA: Task = (&["question", "answer"], trivia_qa);

fn trivia_qa(id: usize, row: &Row) -> Result<Document, String> {
    let context = format!("\n{}", asked(row.text("question")?));
    Ok(Document::new(id, context, "Answer:", vec![after_blank(row.text("answer.value")?)], 0))
}

pub const NATURAL_QUESTIONS: Task = (&["question", "answer"], natural_questions);

fn natural_questions(id: usize, row: &Row) -> Result<Document, String> {
    let context = format!("\n{}", asked(row.text("question")?));
    let answers = row.texts("answer")?;
    let first = answers.first().ok_or("`answer` is empty")?;
    Ok(Document::new(id, context, "Answer:", vec![after_blank(first)], 0))
}
