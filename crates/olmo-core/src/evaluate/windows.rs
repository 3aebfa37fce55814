//! Which tokens of a text are read together, and which of them count: the rules, by name.
//!
//! | rule | windows | what counts |
//! |---|---|---|
//! | [`Windows`] | as llama.cpp's, side by side or overlapping | their ends |
//! | [`contexts`] | whole contexts side by side | all but the first token of each |
//! | [`documents`] | documents, and within long ones half a context apart | every token of each, once |

use std::ops::Range;

use crate::error::Message;
use crate::{Error, Result};

/// Tokens that a window must have, so that one counts in its second half.
const LEAST_CTX: usize = 4;

/// A text cut into windows, each of which is read as if nothing stood before it.
///
/// Without a stride they lie side by side and the second half of each counts. With one they are
/// half a stride longer, begin a stride apart, and the last stride of tokens counts:
///
/// ```text
/// ctx 8              ....cccc....cccc      of the counted tokens the first is known
/// ctx 8, stride 4    ......cccc
///                        ......cccc
/// ```
///
/// Source: `perplexity` and `perplexity_v2` of llama.cpp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Windows {
    /// Tokens of one window.
    pub length: usize,
    /// From the beginning of a window to that of the next.
    step: usize,
    /// The first token of a window that is predicted and counts.
    pub first: usize,
    pub count: usize,
}

impl Windows {
    /// The windows of a text of `tokens` tokens for a model that can read `context` of them.
    pub fn new(tokens: usize, ctx: usize, stride: usize, context: usize) -> Result<Windows> {
        if ctx < LEAST_CTX {
            return Err(Error::option(
                "ctx",
                ctx,
                format!("a window has {LEAST_CTX} tokens at least"),
            ));
        }
        let length = ctx.saturating_add(stride / 2);
        // The first of the tokens that count has one before it.
        if stride > 0 && length <= stride {
            let problem = Message::from("it is at most twice ")
                .option("ctx")
                .words(format!(", {ctx}, less 2"));
            return Err(Error::option("stride", stride, problem));
        }
        if length > context {
            let problem = format!("windows of {length} tokens do not fit the context of {context}");
            return Err(Error::option("ctx", ctx, problem));
        }
        if tokens < length {
            let problem = Message::from(format!(
                "the text has {tokens} tokens, which do not fill a window of {length}; take a \
                 longer text or a smaller "
            ))
            .option("ctx");
            return Err(Error::option("ctx", ctx, problem));
        }
        Ok(match stride {
            0 => Windows { length, step: ctx, first: ctx / 2 + 1, count: tokens / ctx },
            _ => Windows {
                length,
                step: stride,
                first: length - stride,
                count: (tokens - length).div_ceil(stride).max(1),
            },
        })
    }

    /// Places in the text of the tokens of window `index`.
    pub fn tokens(&self, index: usize) -> Range<usize> {
        let start = index * self.step;
        start..start + self.length
    }

    /// Tokens of each window that count.
    pub fn counted(&self) -> usize {
        self.length - self.first
    }
}

/// Tokens of a text that are read together, of which those from `first` on count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Window {
    pub tokens: Range<usize>,
    pub first: usize,
}

impl Window {
    pub fn counted(&self) -> usize {
        self.tokens.end - self.first
    }
}

/// A text of `tokens` tokens as contexts side by side, each read as if nothing stood before it: all but
/// its first token count. A last one of a single token has none that counts, and is left out.
pub(super) fn contexts(tokens: usize, context: usize) -> impl Iterator<Item = Window> {
    let starts = (0..tokens.saturating_sub(1)).step_by(context.max(1));
    let window =
        move |start: usize| Window { tokens: start..tokens.min(start + context), first: start + 1 };
    starts.map(window).filter(|window| window.counted() > 0)
}

/// Documents that `eos` ends, each by itself after the `eos` of the one before: `ids` begin with an `eos`
/// for the first. Every token counts once, the `eos` at the end too. In a document longer than the
/// context the window slides by half of it, so that a token has half a context before it.
pub(super) fn documents(
    ids: &[u32],
    eos: u32,
    context: usize,
) -> impl Iterator<Item = Window> + '_ {
    let stride = (context / 2).max(1);
    // Where the document begins, with the `eos` before it, and the first token not counted yet.
    let (mut start, mut first) = (0, 1);
    std::iter::from_fn(move || {
        if first >= ids.len() {
            return None;
        }
        let rest = &ids[first..];
        let end = rest.iter().position(|&id| id == eos).map_or(ids.len(), |at| first + at + 1);
        let reach = if first == start + 1 { context.saturating_sub(1).max(1) } else { stride };
        let to = end.min(first + reach);
        let window = Window { tokens: start.max(to.saturating_sub(context))..to, first };
        if to == end {
            start = end - 1;
        }
        first = to;
        Some(window)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What llama.cpp counts: its loops, written down again.
    fn llama_cpp(tokens: usize, ctx: usize, stride: usize) -> Vec<(Range<usize>, Range<usize>)> {
        if stride == 0 {
            let first = ctx / 2;
            let window = |i| (i * ctx..(i + 1) * ctx, i * ctx + first + 1..(i + 1) * ctx);
            return (0..tokens / ctx).map(window).collect();
        }
        let n_ctx = ctx + stride / 2;
        (0..(tokens - n_ctx).div_ceil(stride))
            .map(|i| {
                let start = i * stride;
                let counted = (n_ctx - stride - 1)..(n_ctx - 1);
                (start..start + n_ctx, start + counted.start + 1..start + counted.end + 1)
            })
            .collect()
    }

    #[test]
    fn windows_are_those_of_llama_cpp() {
        for (tokens, ctx, stride) in [
            (64, 32, 0),
            (100, 32, 0),
            (100, 9, 0),
            (100, 32, 16),
            (101, 32, 16),
            (77, 8, 5),
            (50, 8, 1),
            (50, 8, 14),
        ] {
            let windows = Windows::new(tokens, ctx, stride, 128).unwrap();
            let ours: Vec<_> = (0..windows.count)
                .map(|i| {
                    let all = windows.tokens(i);
                    (all.clone(), all.start + windows.first..all.end)
                })
                .collect();
            assert_eq!(ours, llama_cpp(tokens, ctx, stride), "{tokens} {ctx} {stride}");
            assert!(ours
                .iter()
                .all(|(all, counted)| all.end <= tokens && counted.start > all.start));
        }
    }

    #[test]
    fn what_cannot_be_cut_is_an_error() {
        for (tokens, ctx, stride, message) in [
            (100, 3, 0, "option `ctx` is 3, but a window has 4 tokens at least"),
            (100, 8, 15, "option `stride` is 15, but it is at most twice ctx, 8, less 2"),
            (100, 8, usize::MAX, "but it is at most twice ctx, 8, less 2"),
            (400, 200, 0, "windows of 200 tokens do not fit the context of 128"),
            (400, 120, 20, "windows of 130 tokens do not fit the context of 128"),
            (31, 32, 0, "the text has 31 tokens, which do not fill a window of 32"),
        ] {
            let error = Windows::new(tokens, ctx, stride, 128).unwrap_err();
            assert_eq!(error.code(), "INVALID_OPTION");
            assert!(error.to_string().contains(message), "{error}");
        }
    }

    #[test]
    fn contexts_count_all_but_their_first() {
        let of = |tokens, context| -> Vec<_> {
            contexts(tokens, context).map(|w| (w.tokens.clone(), w.first)).collect()
        };
        assert_eq!(of(0, 4), []);
        assert_eq!(of(1, 4), []);
        assert_eq!(of(4, 4), [(0..4, 1)]);
        assert_eq!(of(5, 4), [(0..4, 1)], "a last token alone has nothing before it");
        assert_eq!(of(10, 4), [(0..4, 1), (4..8, 5), (8..10, 9)]);
        assert_eq!(of(10, 1), []);
    }

    #[test]
    fn documents_count_every_token_once_after_their_eos() {
        let eos = 0;
        for (lengths, context) in [
            (vec![3, 1, 20, 7], 8),
            (vec![1, 1, 1], 8),
            (vec![40], 7),
            (vec![9, 8, 7], 2),
            (vec![5, 5], 1),
            (vec![], 8),
        ] {
            let mut ids = vec![eos];
            for &length in &lengths {
                ids.extend(std::iter::repeat_n(5, length - 1).chain([eos]));
            }
            // The last document may be cut off.
            for cut in [0, usize::from(ids.len() > 1)] {
                let ids = &ids[..ids.len() - cut];
                let mut next = 1;
                for Window { tokens, first } in documents(ids, eos, context) {
                    assert_eq!(first, next, "each token once");
                    assert!(tokens.len() <= context.max(1) && first < tokens.end);
                    assert!(context == 1 || tokens.start < first, "something stands before it");
                    let between = &ids[(tokens.start + 1).min(first)..tokens.end - 1];
                    assert!(!between.contains(&eos), "one document at a time");
                    let is_start = ids[tokens.start] == eos;
                    assert!(
                        context == 1 || is_start || first - tokens.start >= context - context / 2
                    );
                    next = tokens.end;
                }
                assert_eq!(next, ids.len());
            }
        }
    }
}
