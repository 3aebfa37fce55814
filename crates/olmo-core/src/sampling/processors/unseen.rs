//! Scores of the likeliest tokens alone, and how tokens are cut off while the others are not known.
//!
//! What is done here is what would be done with all scores, to the bit, or it is left undecided: then the caller has to
//! load all of them.

use super::mass::Ranked;
use super::{Candidate, Scores};
use crate::sampling::TopLogits;

/// What is known of the tokens that were not loaded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unseen {
    pub count: usize,
    /// None of them has a greater score.
    pub most: f32,
    /// The sum of `exp(score - greatest)` over all tokens, loaded or not, as a device has added it up; none once a score
    /// was changed alone.
    pub sum: Option<f32>,
}

/// How far a device's sum can be from that of [`Scores::softmax`], relatively: twice what WGSL allows. The exponential of
/// `-x` may be off by `3 + 2x` units in the last place, and the quotient in it by 2.5; a random token of the
/// distribution has an `x` of at most the logarithm of the vocabulary's size, on average, which is 12.
const SUM_ERROR: f64 = 1.0 / 65_536.0;

/// The same for each unit of the greatest score's size, and for a random token's distance from it. The device divides
/// differences of logits; here logits are divided, and then subtracted. Each rounding can be half a unit in the last
/// place.
const SCORE_ERROR: f64 = 1.0 / 4_194_304.0;
const DISTANCE: f64 = 16.0;

/// How far sums of f32 probabilities, compared in f32, can be from what they stand for.
const MASS_ERROR: f64 = 1.0 / 2_097_152.0;

/// How far a ratio of f32 probabilities can be, relatively.
const RATIO_ERROR: f32 = 1e-5;

/// Below this, probabilities come near the least numbers of f32, which are not as exact.
const LEAST_RATIO: f32 = 1e-20;

impl Scores {
    /// Starts a step with the largest logits.
    pub(in crate::sampling) fn load_top(&mut self, top: &TopLogits) {
        self.load(&[]);
        self.kept.extend_from_slice(&top.candidates);
        self.kept.sort_unstable_by_key(|candidate| candidate.id);
        self.narrowed = true;
        let count = top.vocab_size - top.candidates.len();
        let most = top.candidates.last().map_or(f32::NEG_INFINITY, |last| last.score);
        self.unseen = (count > 0).then_some(Unseen { count, most, sum: Some(top.sum) });
    }

    /// Whether the tokens that are left are those that would be left of all.
    pub(in crate::sampling) fn is_decided(&self) -> bool {
        self.unseen.is_none()
    }

    /// [`Scores::retain_largest`] where the k largest are certain to be loaded, with all that tie with the last of them.
    pub(super) fn retain_largest_seen(&mut self, least: f32) {
        let Some(Unseen { most, .. }) = self.unseen else { return };
        if least > most {
            self.unseen = None;
            self.retain(|candidate| candidate.score >= least);
        }
    }

    /// Keeps the likeliest tokens but for the mass `rest` of the least likely, in the order of [`Ranked`].
    ///
    /// ```text
    /// above = 0
    /// for token, weight in tokens by descending likelihood:
    ///     if total - above <= rest · total: cut off token and all that follow; stop
    ///     above += weight
    /// ```
    ///
    /// The total lies between two bounds, and for both the same token has to be the first that is cut off.
    pub(super) fn retain_mass_seen(&mut self, rest: f32) {
        let Some(Unseen { most, sum: Some(sum), .. }) = self.unseen else { return };
        let max = self.max();
        let error = SUM_ERROR + (f64::from(max).abs() + DISTANCE) * SCORE_ERROR;
        let wanted = 1.0 - f64::from(rest);
        let (low, high) = (f64::from(sum) * (1.0 - error), f64::from(sum) * (1.0 + error));
        let stays = |above: f64| above < (wanted - MASS_ERROR) * low;
        let goes = |above: f64| above > (wanted + MASS_ERROR) * high;

        let mut ranked = std::mem::take(&mut self.ranked);
        ranked.clear();
        let weigh = |&Candidate { id, score }: &Candidate| Ranked {
            key: score,
            id,
            mass: (score - max).exp(),
        };
        ranked.extend(self.kept.iter().map(weigh));
        ranked.sort_unstable_by(|a, b| b.order(a));
        let mut above = 0.0;
        let mut last = None; // of those that stay; the likeliest always does
        for token in &ranked {
            if last.is_some() && !stays(above) {
                break;
            }
            above += f64::from(token.mass);
            last = Some(*token);
        }
        self.ranked = ranked;
        let Some(last) = last.filter(|last| goes(above) && last.key > most) else { return };
        self.unseen = None;
        self.retain(|candidate| {
            last.order(&Ranked { key: candidate.score, id: candidate.id, mass: 0.0 }).is_le()
        });
    }

    /// Keeps the tokens at least `ratio` times as likely as the likeliest.
    pub(super) fn retain_likely_seen(&mut self, ratio: f32) {
        let Some(Unseen { most, .. }) = self.unseen else { return };
        let max = self.max();
        let weight = |score: f32| (score - max).exp();
        let goes = |score: f32| weight(score) < ratio * (1.0 - RATIO_ERROR);
        let stays = |score: f32| weight(score) > ratio * (1.0 + RATIO_ERROR);
        let is_certain = |candidate: &Candidate| goes(candidate.score) || stays(candidate.score);
        if ratio >= LEAST_RATIO && max > most && goes(most) && self.kept.iter().all(is_certain) {
            self.unseen = None;
            self.retain(|candidate| stays(candidate.score));
        }
    }
}
