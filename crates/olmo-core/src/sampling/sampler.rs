//! From logits to the next token.

use std::hash::{BuildHasher, Hasher, RandomState};

use rand_chacha::rand_core::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::grammar::Constraint;
use super::processors::{Candidate, Context, Processors, Scores};
use super::select::first_largest;
use super::top::{TopLogits, TopWanted, MOST_TOP_LOGITS};
use super::GenerationOptions;
use crate::{Error, Result};

/// Rows that are wanted whole after two of which the largest logits were not enough: the next are likely to be like them.
const WHOLE_ROWS: usize = 8;

/// Chooses the tokens of one sequence.
pub struct Sampler {
    processors: Processors,
    temperature: f32,
    /// Rows in turn of which the largest logits were not enough.
    misses: usize,
    /// How many of the next rows are wanted whole.
    whole_rows: usize,
    /// None takes the likeliest token.
    draws: Option<Draws>,
    /// What form the answer is to have.
    constraint: Option<Constraint>,
    /// The tokens that end it.
    ends: Vec<u32>,
}

impl Sampler {
    /// `options` have been validated. The seed is the call's: [`GenerationOptions::seed`] or one
    /// [`fresh_seed`]; sequences that are to differ under it have a `stream` each.
    pub fn new(options: &GenerationOptions, seed: u64, stream: usize) -> Sampler {
        Sampler {
            processors: Processors::new(options),
            temperature: if options.do_sample { options.temperature as f32 } else { 1.0 },
            misses: 0,
            whole_rows: 0,
            draws: options.do_sample.then(|| Draws::new(seed, stream)),
            constraint: None,
            ends: options.eos_token_ids.clone(),
        }
    }

    /// The same, among tokens that the form of the answer allows.
    pub fn constrained(self, constraint: Option<Constraint>) -> Sampler {
        Sampler { constraint, ..self }
    }

    /// Whether [`Sampler::next`] would not wait for what may come next.
    pub fn is_ready(&mut self) -> bool {
        self.constraint.as_mut().is_none_or(Constraint::is_ready)
    }

    /// Waits until [`Sampler::is_ready`].
    pub fn wait(&mut self) {
        if let Some(constraint) = &mut self.constraint {
            constraint.wait();
        }
    }

    /// What [`Sampler::next_from_top`] needs of the next row; none if it takes all logits anyway.
    pub fn wanted(&self) -> Option<TopWanted> {
        if self.constraint.is_some() || self.whole_rows > 0 {
            return None;
        }
        let is_enough = match self.draws {
            None => self.processors.choose_from_top(),
            Some(_) => self.processors.draw_from_top(),
        };
        let count = if self.is_plain() { 1 } else { MOST_TOP_LOGITS };
        is_enough.then_some(TopWanted { count, temperature: self.temperature })
    }

    /// [`Sampler::next`] by the largest logits alone: the same token, or none if it takes all of them to tell.
    pub fn next_from_top(
        &mut self,
        context: &Context,
        top: &TopLogits,
        scores: &mut Scores,
    ) -> Option<u32> {
        let token = match top.are_sound() {
            true => self.choose_from_top(context, top, scores),
            false => None,
        };
        self.misses = if token.is_some() { 0 } else { self.misses + 1 };
        self.whole_rows = if self.misses > 1 { WHOLE_ROWS } else { 0 };
        token
    }

    fn choose_from_top(
        &mut self,
        context: &Context,
        top: &TopLogits,
        scores: &mut Scores,
    ) -> Option<u32> {
        if self.is_plain() {
            return top.candidates.first().map(|first| first.id);
        }
        scores.load_top(top);
        self.processors.process(context, scores);
        match &mut self.draws {
            None => scores.likeliest(),
            Some(draws) if scores.is_decided() => draw(scores, draws.next()),
            Some(_) => None,
        }
    }

    /// Whether the likeliest token is taken as the model has it.
    fn is_plain(&self) -> bool {
        self.processors.is_empty() && self.draws.is_none() && self.constraint.is_none()
    }

    /// The next token after `context`, given the model's logits `[vocab]`, which hold no NaN and
    /// no positive infinity.
    ///
    /// `scores` is working memory that any number of sequences can share. Errors with
    /// [`Error::NoTokenLeft`] if the options forbid every token; transformers then raises too when it draws, but without drawing takes
    /// token 0, a forbidden one.
    pub fn next(&mut self, context: &Context, logits: &[f32], scores: &mut Scores) -> Result<u32> {
        self.whole_rows = self.whole_rows.saturating_sub(1);
        let token = if self.is_plain() {
            first_largest(logits).map(|id| id as u32)
        } else {
            match &mut self.constraint {
                Some(constraint) => scores.load_allowed(logits, constraint.mask()?, &self.ends),
                None => scores.load(logits),
            }
            self.processors.process(context, scores);
            match &mut self.draws {
                None => scores.likeliest(),
                Some(draws) => draw(scores, draws.next()),
            }
        };
        token.ok_or_else(|| Error::NoTokenLeft { options: self.forbidding() })
    }

    /// Takes note of the token that came after those of [`Sampler::next`]'s context. Returns whether the
    /// answer has the form that was asked for and nothing may follow.
    pub fn accept(&mut self, id: u32) -> Result<bool> {
        match &mut self.constraint {
            Some(constraint) if !self.ends.contains(&id) => constraint.accept(id),
            _ => Ok(false),
        }
    }

    fn forbidding(&self) -> Vec<&'static str> {
        let mut options = self.processors.forbidding();
        options.extend(self.constraint.as_ref().map(Constraint::option));
        options
    }
}

/// The token at the point `at`, from 0 to below 1, of the distribution `softmax(scores)`.
///
/// The tokens lie on the line in ascending order of ids, each as long as it is likely; the
/// arithmetic is f64. None if every token is forbidden.
pub fn draw(scores: &mut Scores, at: f64) -> Option<u32> {
    let max = scores.max();
    let weight = |candidate: Candidate| match candidate.score {
        // Said on its own for a score that overflowed to infinity, from which nothing can be
        // subtracted.
        score if score == max => 1.0,
        // So that no draw ends at it.
        f32::NEG_INFINITY => 0.0,
        score => f64::from(score - max).exp(),
    };
    if max == f32::NEG_INFINITY {
        return None;
    }
    let mut weights = std::mem::take(&mut scores.exact_weights);
    weights.clear();
    weights.extend(scores.iter().map(weight));
    let mut rest = at * weights.iter().sum::<f64>();
    let mut last = None;
    for (Candidate { id, .. }, &weight) in scores.iter().zip(&weights) {
        // A score far below the others has weight 0: no draw may end there, not even one that
        // rounding carried past the end of the line.
        if weight > 0.0 {
            last = Some(id);
        }
        if rest < weight {
            break;
        }
        rest -= weight;
    }
    scores.exact_weights = weights;
    last
}

/// The random numbers of one sequence, a function of seed and stream alone: not of the machine, of
/// the batch, or of other sequences.
///
/// They are that stream of ChaCha8 with the seed in the first eight bytes of its key, little
/// endian, and zeros in the others.
#[derive(Debug, Clone)]
pub struct Draws(ChaCha8Rng);

impl Draws {
    pub fn new(seed: u64, stream: usize) -> Draws {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(stream as u64);
        Draws(generator)
    }

    /// A number from 0 to below 1: the upper 53 bits of the generator's next 64.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A seed for a call that names none.
///
/// `RandomState` takes its keys from the operating system, which saves a dependency for eight
/// bytes a call.
pub fn fresh_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
