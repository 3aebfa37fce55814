//! Tasks whose choices are the same few words for every document.

use std::sync::LazyLock;

use regex::Regex;

use super::{all_after_blank, MakeDocument};
use crate::data::Row;
use crate::document::Document;

type Task = (&'static [&'static str], MakeDocument);

fn chosen(id: usize, context: String, words: &[&str], gold: usize) -> Document {
    Document::new(id, context, "Answer:", all_after_blank(words), gold)
}

pub const BOOLQ: Task = (&["passage", "question", "answer"], boolq);

fn boolq(id: usize, row: &Row) -> Result<Document, String> {
    let context =
        format!("{}\nQuestion: {}?\nAnswer:", row.text("passage")?, row.text("question")?);
    Ok(chosen(id, context, &["yes", "no"], usize::from(!row.flag("answer")?)))
}

pub const RTE: Task = (&["sentence1", "sentence2", "label"], rte);

fn rte(id: usize, row: &Row) -> Result<Document, String> {
    let (first, second) = (row.text("sentence1")?, row.text("sentence2")?);
    let context = format!("{first}\nQuestion: {second} True or False?\nAnswer:");
    Ok(chosen(id, context, &["True", "False"], row.index("label")?))
}

pub const COMMITMENT_BANK: Task = (&["premise", "hypothesis", "label"], commitment_bank);

fn commitment_bank(id: usize, row: &Row) -> Result<Document, String> {
    let (premise, hypothesis) = (row.text("premise")?, row.text("hypothesis")?);
    let context = format!("{premise}\nQuestion: {hypothesis}. True, False or Neither?\nAnswer:");
    Ok(chosen(id, context, &["True", "False", "Neither"], row.index("label")?))
}

pub const MRPC: Task = (&["sentence1", "sentence2", "label"], mrpc);

fn mrpc(id: usize, row: &Row) -> Result<Document, String> {
    let context = format!(
        "Sentence 1: {}\nSentence 2: {}\nQuestion: Do both sentences mean the same thing?\nAnswer:",
        untokenized(row.text("sentence1")?),
        untokenized(row.text("sentence2")?)
    );
    let same = row.index("label")? != 0;
    Ok(chosen(id, context, &["yes", "no"], usize::from(!same)))
}

pub const SST2: Task = (&["sentence", "label"], sst2);

fn sst2(id: usize, row: &Row) -> Result<Document, String> {
    let sentence = untokenized(row.text("sentence")?);
    let context = format!("{sentence}\nQuestion: Is this sentence positive or negative?\nAnswer:");
    Ok(chosen(id, context, &["negative", "positive"], row.index("label")?))
}

/// Without most of the blanks that GLUE's sentences have around their marks.
fn untokenized(sentence: &str) -> String {
    static MARK: LazyLock<Regex> = LazyLock::new(|| Regex::new(" (['.,])").expect("a pattern"));
    let pairs = [(" n't", "n't"), (" )", ")"), ("( ", "("), ("\" ", "\""), (" \"", "\"")];
    let closed = pairs.iter().fold(sentence.to_owned(), |text, (from, to)| text.replace(from, to));
    MARK.replace_all(&closed, "$1").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_around_marks_go_in_the_harness_s_order() {
        let sentence = "he does n't say ( so ) , \" he 's . \" 'x";
        assert_eq!(untokenized(sentence), "he doesn't say (so),\"he's.\"'x");
    }
}
