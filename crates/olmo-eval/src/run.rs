//! Has an engine score a task's documents.
//!
//! ```text
//! for each batch of documents, two at a time in the engine:
//!     encode; choices that differ in their last token alone are one text
//!     order: first choices of a few documents, then their other choices, which share the beginning
//!     judge; a document whose texts are all back is measured and told, in the task's order
//! ```

use std::collections::VecDeque;

use olmo_core::engine::{Engine, Event, Generation, Judgement};
use olmo_core::sampling::TokenLogprob;
use olmo_core::{Error, Result};

use crate::document::Document;
use crate::exact_match;
use crate::metrics::measure;
use crate::plan::Plan;
use crate::record::Record;
use crate::request::{Encoder, Request};
use crate::table::Metric;

/// Documents that the engine gets at once.
const BATCH: usize = 64;

/// Batches that the engine has at a time, so that one is under way while another's last texts end.
const AHEAD: usize = 2;

/// Tokens whose first choices run before the documents' other choices: as many as a pass reads.
const WAVE: usize = 256;

/// Scores documents and tells each one's record, in their order. `told` may end the work with an error.
///
/// Errors as the engine does; a document that cannot be scored is told with its reason.
pub fn score(
    engine: &Engine,
    plan: Plan<'_>,
    documents: &[Document],
    told: &mut dyn FnMut(Record) -> Result<()>,
) -> Result<()> {
    if plan.metric == Metric::ExactMatch {
        return exact_match::answer(engine, plan, documents, told);
    }
    let context = engine.info().config.max_position_embeddings;
    let mut encoder = Encoder::new(engine.tokenizer(), context);
    let mut batches = documents.chunks(BATCH);
    let mut under_way = VecDeque::new();
    loop {
        while under_way.len() < AHEAD {
            let Some(documents) = batches.next() else { break };
            under_way.push_back(Batch::start(engine, plan, &mut encoder, documents)?);
        }
        let Some(batch) = under_way.pop_front() else { return Ok(()) };
        batch.finish(plan, told)?;
    }
}

/// Documents that are being scored.
struct Batch {
    records: Vec<Record>,
    /// What each text of the call is for.
    texts: Vec<Text>,
    generation: Generation,
}

/// A text, and the choices that it scores: one for each token that may follow.
struct Text {
    /// The place of the document in the batch.
    document: usize,
    choices: Vec<usize>,
    /// Whether it is the neutral prompt's.
    neutral: bool,
    judgement: Judgement,
    /// Whether it is its document's first, whose beginning the others share.
    leads: bool,
}

impl Batch {
    fn start(
        engine: &Engine,
        plan: Plan<'_>,
        encoder: &mut Encoder<'_>,
        documents: &[Document],
    ) -> Result<Batch> {
        let (mut records, mut texts) = (Vec::new(), Vec::new());
        for (place, document) in documents.iter().enumerate() {
            let mut record = plan.record(document);
            let requests = match plan.metric {
                Metric::Mc2 => encoder.joint(document),
                _ => encoder.requests(document, plan.fast),
            };
            match requests? {
                Err(unfit) => record.fail(unfit),
                Ok(requests) => {
                    record.note(&requests);
                    texts.extend(texts_of(place, &requests, false));
                    if plan.metric == Metric::PmiDc {
                        match encoder.neutral(document)? {
                            Ok(neutral) => texts.extend(texts_of(place, &neutral, true)),
                            Err(unfit) => record.fail(unfit),
                        }
                    }
                }
            }
            records.push(record);
        }
        let mut texts = in_waves(texts);
        let judgements = texts.iter_mut().map(|text| {
            let empty = Judgement { text: Vec::new(), from: 0, next: Vec::new() };
            std::mem::replace(&mut text.judgement, empty)
        });
        let generation = engine.judge(judgements.collect())?;
        Ok(Batch { records, texts, generation })
    }

    fn finish(mut self, plan: Plan<'_>, told: &mut dyn FnMut(Record) -> Result<()>) -> Result<()> {
        let mut open = vec![0; self.records.len()];
        self.texts.iter().for_each(|text| open[text.document] += 1);
        let mut done = 0;
        loop {
            while done < open.len() && open[done] == 0 {
                let mut record = std::mem::take(&mut self.records[done]);
                if record.error.is_none() {
                    measure(&mut record, plan.harness, plan.metric, plan.fast);
                }
                told(record)?;
                done += 1;
            }
            let Some(events) = self.generation.next_blocking() else { break };
            for event in events? {
                if let Event::Prompt { index, tokens } = event {
                    let text = &self.texts[index];
                    text.take(&tokens, &mut self.records[text.document]);
                    open[text.document] -= 1;
                }
            }
        }
        match done == open.len() {
            true => Ok(()),
            false => Err(Error::Internal("the engine left documents without a score".into())),
        }
    }
}

impl Text {
    /// Gives each of its choices the sum of the tokens' log-probabilities.
    fn take(&self, tokens: &[TokenLogprob], record: &mut Record) {
        let sum = |tokens: &[TokenLogprob]| -> Option<f64> {
            tokens.iter().map(|token| token.logprob.map(f64::from)).sum()
        };
        let Some((shared, next)) =
            tokens.len().checked_sub(self.choices.len()).map(|shared| tokens.split_at(shared))
        else {
            return record.fail("the model gave no finite numbers: its weights are broken, or the type is too narrow");
        };
        for (choice, last) in self.choices.iter().zip(next) {
            let whole = sum(shared).zip(sum(std::slice::from_ref(last))).map(|(a, b)| a + b);
            let choice = &mut record.choices[*choice];
            match self.neutral {
                true => choice.unconditional = whole,
                false => choice.loglikelihood = whole,
            }
        }
    }
}

/// The texts of a document: choices with the same query are one.
fn texts_of(document: usize, requests: &[Request], neutral: bool) -> Vec<Text> {
    let mut texts: Vec<Text> = Vec::new();
    for (choice, request) in requests.iter().enumerate() {
        let Some(&last) = request.continuation.last() else { continue };
        let same = texts.iter_mut().find(|text| {
            text.judgement.text == request.query && text.judgement.from == request.context_len
        });
        if let Some(text) = same {
            text.choices.push(choice);
            text.judgement.next.push(last);
            continue;
        }
        let judgement =
            Judgement { text: request.query.clone(), from: request.context_len, next: vec![last] };
        let leads = texts.is_empty() && !neutral;
        texts.push(Text { document, choices: vec![choice], neutral, judgement, leads });
    }
    texts
}

/// The first texts of a few documents, then these documents' others, and so on: a text that shares another's
/// beginning waits for it, and what comes after it waits too.
fn in_waves(texts: Vec<Text>) -> Vec<Text> {
    let (mut ordered, mut others) = (Vec::with_capacity(texts.len()), Vec::new());
    let mut tokens = 0;
    let mut before: Vec<u32> = Vec::new();
    for text in texts {
        if !text.leads {
            others.push(text);
            continue;
        }
        let new = &text.judgement.text;
        let shared = new.iter().zip(&before).take_while(|(a, b)| a == b).count();
        tokens += new.len() - shared;
        before.clone_from(new);
        if tokens > WAVE {
            ordered.append(&mut others);
            tokens = before.len() - shared;
        }
        ordered.push(text);
    }
    ordered.append(&mut others);
    ordered
}
