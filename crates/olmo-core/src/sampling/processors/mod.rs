//! Changes to the logits between the model and the choice of a token.
//!
//! Each processor is one file, named after its option; the list in [`Processors::new`] alone decides which
//! run and in what order.

mod bad_words;
mod counted_penalties;
mod logit_bias;
mod mass;
mod min_new_tokens;
mod min_p;
mod no_repeat_ngram;
mod repetition_penalty;
mod scores;
mod temperature;
mod top_k;
mod top_n_sigma;
mod top_p;
mod typical_p;
mod unseen;

pub use scores::{Candidate, Scores};

use super::top::MOST_TOP_LOGITS;
use super::GenerationOptions;

/// The tokens of a sequence when its next token is chosen.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Prompt and generated tokens together, in their order.
    pub ids: &'a [u32],
    /// How many of them are the prompt's.
    pub prompt_length: usize,
}

impl Context<'_> {
    /// Number of tokens generated so far.
    pub fn generated(&self) -> usize {
        self.ids.len() - self.prompt_length
    }
}

/// Which scores a processor has to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sees {
    /// Those that there are: it changes them one by one.
    Any,
    /// So many of the largest, and all that tie with the last of them. It cuts off all others.
    Largest(usize),
    /// As many of the largest as it turns out to keep, and the sum over all. It cuts off the others.
    Likely,
    /// All.
    All,
}

/// One step from logits to the scores that the choice is made from.
///
/// A processor belongs to one sequence: between two calls the context only grows.
pub trait LogitsProcessor: Send {
    /// The class of transformers that defines this processor, else its name in its source.
    fn reference(&self) -> &'static str;

    /// In a step that begins again with all scores it is called a second time.
    fn process(&mut self, context: &Context, scores: &mut Scores);

    fn sees(&self) -> Sees {
        Sees::All
    }

    /// The option behind this processor, if it forbids tokens and could forbid the last one left.
    fn forbids(&self) -> Option<&'static str> {
        None
    }
}

/// The processors that a call's options enable, in the order in which they run.
pub struct Processors(Vec<Box<dyn LogitsProcessor>>);

impl Processors {
    /// Builds the list for one sequence, from options that have been validated.
    ///
    /// Which options add a processor, and in what order, is `GenerationMixin._get_logits_processor` of
    /// transformers 5.24; those from temperature on shape the draw and exist only with `do_sample`.
    /// Processors that transformers lacks run where their source has them: the biases and penalties of
    /// OpenAI's API as in vLLM, top-nσ before top-k as in llama.cpp.
    pub fn new(options: &GenerationOptions) -> Processors {
        let mut list: Vec<Box<dyn LogitsProcessor>> = Vec::new();
        let eos = &options.eos_token_ids;
        if !options.logit_bias.is_empty() {
            list.push(Box::new(logit_bias::LogitBias::new(&options.logit_bias)));
        }
        if options.repetition_penalty != 1.0 {
            list.push(Box::new(repetition_penalty::RepetitionPenalty::new(
                options.repetition_penalty,
            )));
        }
        let (frequency, presence) = (options.frequency_penalty, options.presence_penalty);
        if frequency != 0.0 || presence != 0.0 {
            list.push(Box::new(counted_penalties::CountedPenalties::new(frequency, presence)));
        }
        if options.no_repeat_ngram_size > 0 {
            list.push(Box::new(no_repeat_ngram::NoRepeatNgram::new(options.no_repeat_ngram_size)));
        }
        if !options.bad_words_ids.is_empty() {
            list.push(Box::new(bad_words::BadWords::new(&options.bad_words_ids, eos)));
        }
        if options.min_new_tokens > 0 && !eos.is_empty() {
            list.push(Box::new(min_new_tokens::MinNewTokens::new(options.min_new_tokens, eos)));
        }
        if options.do_sample {
            if options.temperature != 1.0 {
                list.push(Box::new(temperature::Temperature::new(options.temperature)));
            }
            if options.top_n_sigma > 0.0 {
                list.push(Box::new(top_n_sigma::TopNSigma::new(options.top_n_sigma)));
            }
            if options.top_k > 0 {
                list.push(Box::new(top_k::TopK::new(options.top_k)));
            }
            if options.top_p < 1.0 {
                list.push(Box::new(top_p::TopP::new(options.top_p)));
            }
            if let Some(min_p) = options.min_p {
                list.push(Box::new(min_p::MinP::new(min_p)));
            }
            if options.typical_p < 1.0 {
                list.push(Box::new(typical_p::TypicalP::new(options.typical_p)));
            }
        }
        Processors(list)
    }

    /// Whether the scores are the unchanged logits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the largest logits may be enough for a draw: some processor cuts off the others.
    pub(super) fn draw_from_top(&self) -> bool {
        match self.0.iter().map(|processor| processor.sees()).find(|&sees| sees != Sees::Any) {
            Some(Sees::Largest(count)) => count < MOST_TOP_LOGITS,
            Some(Sees::Likely) => true,
            Some(Sees::Any | Sees::All) | None => false,
        }
    }

    /// Whether the largest logits may be enough to find the likeliest token.
    pub(super) fn choose_from_top(&self) -> bool {
        self.0.iter().all(|processor| processor.sees() == Sees::Any)
    }

    /// Runs every processor on the scores, up to one that the largest alone leave undecided.
    pub fn process(&mut self, context: &Context, scores: &mut Scores) {
        for processor in &mut self.0 {
            processor.process(context, scores);
            if processor.sees() != Sees::Any && !scores.is_decided() {
                return;
            }
        }
    }

    /// The options in force that forbid tokens.
    pub(super) fn forbidding(&self) -> Vec<&'static str> {
        self.0.iter().filter_map(|processor| processor.forbids()).collect()
    }

    /// The processors' classes in transformers, in the order in which they run.
    pub fn references(&self) -> Vec<&'static str> {
        self.0.iter().map(|processor| processor.reference()).collect()
    }
}
