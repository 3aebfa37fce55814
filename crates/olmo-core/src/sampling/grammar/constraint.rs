//! A grammar in step with one answer.

use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::Arc;

use llguidance::toktrie::SimpleVob;
use llguidance::Matcher;

use super::compile::{said, Grammar};
use super::masker::Computed;
use crate::{Error, Result};

/// The tokens that may come next.
pub struct Mask {
    /// A bit for each.
    words: Vec<u32>,
    /// Whether the answer may end here.
    pub may_end: bool,
    allowed: usize,
}

impl Mask {
    /// Of the tokens below `end`, which itself stands for the end of the answer.
    fn new(tokens: SimpleVob, end: u32) -> Mask {
        let may_end = tokens.is_allowed(end);
        let mut words: Vec<u32> = tokens.into();
        // The last words hold no tokens, or few.
        words.truncate(end as usize / 32 + 1);
        if let Some(last) = words.get_mut(end as usize / 32) {
            *last &= (1 << (end % 32)) - 1;
        }
        let allowed = words.iter().map(|word| word.count_ones() as usize).sum();
        Mask { words, may_end, allowed }
    }

    /// Whether a token may come, end tokens aside.
    pub fn allows(&self, id: u32) -> bool {
        self.words.get(id as usize / 32).is_some_and(|word| word & (1 << (id % 32)) != 0)
    }

    /// How many tokens may come.
    pub fn len(&self) -> usize {
        self.allowed
    }

    pub fn is_empty(&self) -> bool {
        self.allowed == 0
    }

    /// The tokens that may come, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let words = self.words.iter().enumerate();
        words.flat_map(|(index, &word)| Bits { word, base: 32 * index as u32 })
    }
}

struct Bits {
    word: u32,
    base: u32,
}

impl Iterator for Bits {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.word == 0 {
            return None;
        }
        let bit = self.word.trailing_zeros();
        self.word &= self.word - 1;
        Some(self.base + bit)
    }
}

/// Where one answer stands in its grammar. What may come next is computed on another thread from the moment
/// that the last token is known.
pub struct Constraint {
    grammar: Arc<Grammar>,
    state: State,
}

enum State {
    /// The next mask is being computed.
    Pending(Receiver<(Matcher, Computed)>),
    /// It is there, or what was said in its place.
    Computed(Box<Matcher>, Computed),
    Ready(Box<Matcher>, Mask),
    /// Nothing may follow, or an error was given out.
    Over,
}

impl Constraint {
    pub fn new(grammar: &Arc<Grammar>) -> Constraint {
        let pending = grammar.vocabulary.masker.begin(grammar.start());
        Constraint { grammar: grammar.clone(), state: State::Pending(pending) }
    }

    /// The option that gave the grammar.
    pub fn option(&self) -> &'static str {
        self.grammar.option
    }

    /// Whether [`Constraint::mask`] would not wait.
    pub fn is_ready(&mut self) -> bool {
        if let State::Pending(pending) = &self.state {
            match pending.try_recv() {
                Ok((matcher, computed)) => {
                    self.state = State::Computed(Box::new(matcher), computed)
                }
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => {}
            }
        }
        true
    }

    /// Waits until [`Constraint::is_ready`].
    pub fn wait(&mut self) {
        if let State::Pending(pending) = &self.state {
            if let Ok((matcher, computed)) = pending.recv() {
                self.state = State::Computed(Box::new(matcher), computed);
            }
        }
    }

    /// The tokens that may come next; waits for them.
    pub fn mask(&mut self) -> Result<&Mask> {
        self.wait();
        match std::mem::replace(&mut self.state, State::Over) {
            State::Computed(matcher, computed) => {
                let tokens = computed.map_err(|error| self.failure(&error))?;
                self.state = State::Ready(matcher, Mask::new(tokens, self.grammar.vocabulary.end));
            }
            State::Pending(_) => {
                return Err(Error::Internal("the thread that computes masks is gone".into()))
            }
            other => self.state = other,
        }
        match &self.state {
            State::Ready(_, mask) => Ok(mask),
            _ => Err(self.failure("nothing may follow")),
        }
    }

    /// Goes on by a token that the mask allowed. Returns whether the answer is complete: it fits, and
    /// nothing may follow.
    pub fn accept(&mut self, id: u32) -> Result<bool> {
        self.mask()?;
        let State::Ready(mut matcher, _) = std::mem::replace(&mut self.state, State::Over) else {
            return Err(self.failure("nothing may follow"));
        };
        if let Err(error) = matcher.consume_token(id) {
            return Err(self.failure(&error.to_string()));
        }
        if matcher.is_stopped() {
            return Ok(true);
        }
        self.state = State::Pending(self.grammar.vocabulary.masker.begin(*matcher));
        Ok(false)
    }

    fn failure(&self, error: &str) -> Error {
        let problem = format!("the answer cannot go on: {}", said(error));
        Error::InvalidGrammar { option: self.option(), problem }
    }
}
