//! The scores of one step, and the buffers that processors share.

use super::mass::Ranked;
use super::unseen::Unseen;
use crate::sampling::grammar::Mask;
use crate::sampling::select::{at_least, first_largest, kth_largest, largest};

/// A token that can still be chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    pub id: u32,
    /// The logit after the processors; minus infinity means forbidden.
    pub score: f32,
}

/// Scores of the whole vocabulary or, once a processor has cut tokens off, of the rest.
///
/// transformers keeps a full row and writes minus infinity into it. After a `top_k` of 50 that row says
/// nothing about 100,000 tokens, and each later processor would read all of it; here the survivors move to
/// a list of their own. One value serves every sequence and every step, so that the buffers are allocated
/// once.
#[derive(Debug, Default)]
pub struct Scores {
    /// One score per token of the vocabulary, as long as nothing has been cut off.
    all: Vec<f32>,
    /// The remaining tokens, in ascending order of ids, once something has been cut off.
    pub(super) kept: Vec<Candidate>,
    pub(super) narrowed: bool,
    /// The others, if only the largest were loaded and nothing has been cut off for certain.
    pub(super) unseen: Option<Unseen>,
    /// Where processors put tokens in order.
    pub(super) ranked: Vec<Ranked>,
    /// Where the largest scores are selected.
    selection: Vec<f32>,
    /// `exp(score - greatest)` of each token not cut off, for the step that works on them.
    pub(super) weights: Vec<f32>,
    /// The same, as a draw takes them.
    pub(in crate::sampling) exact_weights: Vec<f64>,
}

impl Scores {
    pub fn new() -> Scores {
        Scores::default()
    }

    /// Starts a step with the model's logits `[vocab]`.
    pub fn load(&mut self, logits: &[f32]) {
        self.all.clear();
        self.all.extend_from_slice(logits);
        self.kept.clear();
        self.narrowed = false;
        self.unseen = None;
    }

    /// Starts a step with the logits of the allowed tokens only.
    pub(in crate::sampling) fn load_allowed(&mut self, logits: &[f32], mask: &Mask, ends: &[u32]) {
        let may_come = |id: u32| match ends.contains(&id) {
            true => mask.may_end,
            false => mask.allows(id),
        };
        if 2 * mask.len() > logits.len() {
            self.load(logits);
            // Most are allowed, so forbid the few others.
            for (id, score) in self.all.iter_mut().enumerate() {
                if !may_come(id as u32) {
                    *score = f32::NEG_INFINITY;
                }
            }
            return;
        }
        self.load(&[]);
        self.narrowed = true;
        let candidate = |id: u32| Some(Candidate { id, score: *logits.get(id as usize)? });
        self.kept.extend(mask.iter().filter(|id| !ends.contains(id)).filter_map(candidate));
        if mask.may_end {
            self.kept.extend(ends.iter().copied().filter_map(candidate));
            self.kept.sort_unstable_by_key(|candidate| candidate.id);
            self.kept.dedup_by_key(|candidate| candidate.id);
        }
    }

    /// The tokens not yet cut off in ascending order of ids, forbidden ones perhaps among them.
    pub fn iter(&self) -> impl Iterator<Item = Candidate> + '_ {
        let all = if self.narrowed { &[] } else { self.all.as_slice() };
        let candidate = |(id, &score): (usize, &f32)| Candidate { id: id as u32, score };
        all.iter().enumerate().map(candidate).chain(self.kept.iter().copied())
    }

    /// Number of tokens not yet cut off.
    pub fn len(&self) -> usize {
        if self.narrowed {
            self.kept.len() + self.unseen.map_or(0, |unseen| unseen.count)
        } else {
            self.all.len()
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The largest score; minus infinity if every token is forbidden.
    pub fn max(&self) -> f32 {
        match self.narrowed {
            true => self.iter().fold(f32::NEG_INFINITY, |max, token| max.max(token.score)),
            false => largest(&self.all),
        }
    }

    /// The token with the greatest score, the first among equals, as in `torch.argmax`. None if every token
    /// is forbidden, or one that was not loaded may have that score.
    pub(in crate::sampling) fn likeliest(&self) -> Option<u32> {
        if !self.narrowed {
            return first_largest(&self.all).map(|id| id as u32);
        }
        let mut best = (None, self.unseen.map_or(f32::NEG_INFINITY, |unseen| unseen.most));
        for Candidate { id, score } in &self.kept {
            if *score > best.1 {
                best = (Some(*id), *score);
            }
        }
        best.0
    }

    /// Changes the score of one token; a token that is cut off or unknown has none. `change` of a greater score gives
    /// no lesser one.
    pub fn update(&mut self, id: u32, change: impl FnOnce(f32) -> f32) {
        let score = if self.narrowed {
            let at = self.kept.binary_search_by_key(&id, |candidate| candidate.id);
            at.ok().map(|at| &mut self.kept[at].score)
        } else {
            self.all.get_mut(id as usize)
        };
        if let Some(unseen) = &mut self.unseen {
            unseen.sum = None;
        }
        match (score, &mut self.unseen) {
            (Some(score), _) => *score = change(*score),
            (None, Some(unseen)) => unseen.most = unseen.most.max(change(unseen.most)),
            (None, None) => {}
        }
    }

    /// Forbids a token.
    pub fn forbid(&mut self, id: u32) {
        self.update(id, |_| f32::NEG_INFINITY);
    }

    /// Changes every score alike; `change` of a greater one gives no lesser one.
    pub fn update_all(&mut self, change: impl Fn(f32) -> f32) {
        if let Some(unseen) = &mut self.unseen {
            unseen.most = change(unseen.most);
        }
        if self.narrowed {
            self.kept.iter_mut().for_each(|candidate| candidate.score = change(candidate.score));
        } else {
            self.all.iter_mut().for_each(|score| *score = change(*score));
        }
    }

    /// Cuts off every token that `keep` rejects, and every forbidden one.
    pub fn retain(&mut self, keep: impl Fn(Candidate) -> bool) {
        let keep = |candidate: &Candidate| candidate.score > f32::NEG_INFINITY && keep(*candidate);
        if self.narrowed {
            self.kept.retain(keep);
        } else {
            let all = self.all.iter().enumerate();
            let candidates = all.map(|(id, &score)| Candidate { id: id as u32, score });
            self.kept.extend(candidates.filter(keep));
            self.narrowed = true;
        }
    }

    /// Cuts off all but the `k` tokens with the largest scores and those that tie with the last of them,
    /// and every forbidden one. `k` is at least 1.
    pub(super) fn retain_largest(&mut self, k: usize) {
        if self.narrowed {
            self.weights.clear();
            self.weights.extend(self.kept.iter().map(|candidate| candidate.score));
            let least = kth_largest(&self.weights, k, &mut self.selection);
            return match self.unseen {
                Some(_) => self.retain_largest_seen(least),
                None => self.retain(|candidate| candidate.score >= least),
            };
        }
        let least = kth_largest(&self.all, k, &mut self.selection);
        let kept = at_least(&self.all, least);
        self.kept.extend(kept.map(|(id, score)| Candidate { id: id as u32, score }));
        self.narrowed = true;
    }

    /// The greatest score and the sum of `exp(score - greatest)`: what a softmax needs.
    ///
    /// As in torch the exponentials are f32; their sum is f64, rounded once.
    ///
    /// The exponentials are left in `weights`, in the order of [`Scores::iter`].
    pub(super) fn softmax(&mut self) -> Softmax {
        let max = self.max();
        let mut weights = std::mem::take(&mut self.weights);
        weights.clear();
        weights.extend(self.iter().map(|candidate| (candidate.score - max).exp()));
        let sum: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
        self.weights = weights;
        Softmax { max, sum: sum as f32 }
    }
}

/// Turns scores into probabilities.
#[derive(Debug, Clone, Copy)]
pub(super) struct Softmax {
    max: f32,
    sum: f32,
}

impl Softmax {
    pub fn probability(&self, score: f32) -> f32 {
        self.of_weight((score - self.max).exp())
    }

    /// The probability of a token whose `exp(score - greatest)` is known.
    pub fn of_weight(&self, weight: f32) -> f32 {
        weight / self.sum
    }

    /// The approximate score of a probability; at most the greatest.
    pub fn score(&self, probability: f32) -> f32 {
        self.max + (probability * self.sum).ln().min(0.0)
    }

    /// Natural logarithm of the probability.
    pub fn log_probability(&self, score: f32) -> f32 {
        score - self.max - self.sum.ln()
    }
}
