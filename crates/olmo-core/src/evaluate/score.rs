//! The surprise of a text in windows, each scored by itself, and the likeliest next tokens.

use super::held_out::ScoreProgress;
use super::surprise::Surprise;
use super::windows::{contexts, Window};
use crate::engine::{Engine, ForwardOptions};
use crate::sampling::{are_sound, LogSoftmax};
use crate::{Error, Result};

/// Adds up the surprise of the tokens that count in each window. What windows have in common at their
/// beginnings comes out of the engine's cache.
///
/// `told` is told after each window how many tokens it counted, and may end the work with an error.
pub(super) async fn score_windows(
    engine: &Engine,
    ids: &[u32],
    windows: impl Iterator<Item = Window>,
    told: &mut (dyn FnMut(usize) -> Result<()> + Send),
) -> Result<Surprise> {
    let mut surprise = Surprise::default();
    for Window { tokens, first } in windows {
        let (before, counted) = (&ids[tokens.start..first], &ids[first..tokens.end]);
        surprise.nats -= engine.score(before.to_vec(), counted.to_vec()).await?.logprob;
        surprise.tokens += counted.len() as u64;
        told(counted.len())?;
    }
    Ok(surprise)
}

/// The surprise of a text in contexts side by side, each of which begins anew: of every token but the first
/// of each, which has nothing before it.
pub async fn score_text(
    engine: &Engine,
    ids: &[u32],
    told: &mut (dyn FnMut(ScoreProgress) -> Result<()> + Send),
) -> Result<Surprise> {
    let context = engine.info().config.max_position_embeddings;
    let windows = || contexts(ids.len(), context);
    let total = windows().map(|window| window.counted() as u64).sum();
    let mut tokens = 0;
    let mut count = |counted: usize| {
        tokens += counted as u64;
        told(ScoreProgress { tokens, total })
    };
    score_windows(engine, ids, windows(), &mut count).await
}

/// The `n` tokens that are likeliest after a prompt by the model's own distribution, whatever the
/// checkpoint's generation options do to it, with their log-probabilities; likeliest first.
pub async fn likeliest(engine: &Engine, prompt: Vec<u32>, n: usize) -> Result<Vec<(u32, f32)>> {
    let position = prompt.len().saturating_sub(1);
    let options = ForwardOptions { logits_from: position, ..ForwardOptions::default() };
    let logits = engine.forward(prompt, options).await?.logits;
    if !are_sound(&logits) {
        return Err(Error::NonFiniteLogits { position, dtype: engine.info().dtype.name() });
    }
    // Rows beyond the tokenizer's ids are padding, and no tokens.
    let ids = engine.tokenizer().vocab_size();
    let padding = logits.len().saturating_sub(ids);
    let mut top = LogSoftmax::new(&logits).top(n + padding, &mut Vec::new());
    top.retain(|&(id, _)| (id as usize) < ids);
    top.truncate(n);
    Ok(top)
}
