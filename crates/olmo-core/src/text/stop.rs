//! Texts that end the text.

use std::mem;
use std::sync::Arc;

/// Looks for stop strings in a text that comes in pieces, and holds back what could be part of one.
///
/// ```text
/// for each character of the text:
///     if the text up to here ends with a stop string: cut that off, stop
/// ```
///
/// So the stop string that is complete first ends the text, of several complete at once the
/// longest; how the text is cut into pieces makes no difference. transformers
/// (`StopStringCriteria`) stops at the same token, but leaves the stop string, and what its last
/// token has after it, in the output. Here they are cut off.
///
/// Like transformers it also finds a stop string that begins in the prompt or contains the text of
/// special tokens which are not shown: see [`StopMatcher::new`] and [`StopMatcher::push_hidden`].
#[derive(Debug, Clone)]
pub struct StopMatcher {
    stop_strings: Arc<[String]>,
    /// The end of the text so far that a stop string could begin with: the longest one.
    held: String,
    /// For each byte of `held`, whether it belongs to the answer.
    shown: Vec<bool>,
    stopped: bool,
}

/// What can be said of the text after a piece of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matched {
    /// Text that is part of the answer for certain and was not before.
    pub emit: String,
    /// Whether a stop string is complete. Everything after it is ignored.
    pub stopped: bool,
}

impl StopMatcher {
    /// `stop_strings` are not empty; `prompt` is the text before the answer, or its end.
    ///
    /// A stop string that begins in the prompt ends the answer where it ends, so an answer can be
    /// empty; one that lies in the prompt as a whole does not count. Pass an empty prompt to look
    /// at the answer alone.
    pub fn new(stop_strings: &[String], prompt: &str) -> StopMatcher {
        StopMatcher::shared(stop_strings.into(), prompt)
    }

    /// [`StopMatcher::new`], with stop strings that many sequences have in common.
    pub fn shared(stop_strings: Arc<[String]>, prompt: &str) -> StopMatcher {
        let mut matcher =
            StopMatcher { stop_strings, held: String::new(), shown: Vec::new(), stopped: false };
        let held = matcher.begun(prompt);
        matcher.append(&prompt[held..], false);
        matcher
    }

    /// Takes the next piece of the answer.
    pub fn push(&mut self, text: &str) -> Matched {
        self.take(text, true)
    }

    /// Takes text that stop strings may match but that is not part of the answer: that of a special
    /// token when these are skipped.
    pub fn push_hidden(&mut self, text: &str) -> Matched {
        self.take(text, false)
    }

    /// The rest of the answer if nothing comes any more.
    pub fn finish(&mut self) -> String {
        self.emit(self.held.len())
    }

    fn take(&mut self, text: &str, shown: bool) -> Matched {
        if self.stopped {
            return Matched { emit: String::new(), stopped: true };
        }
        let old = self.held.len();
        self.append(text, shown);
        let ends = text.char_indices().map(|(at, char)| old + at + char.len_utf8());
        for end in ends {
            let before = &self.held[..end];
            let matches = self.stop_strings.iter().filter(|stop| before.ends_with(stop.as_str()));
            if let Some(length) = matches.map(String::len).max() {
                self.stopped = true;
                let emit = self.emit(end - length);
                self.held.clear();
                self.shown.clear();
                return Matched { emit, stopped: true };
            }
        }
        let certain = self.begun(&self.held);
        Matched { emit: self.emit(certain), stopped: false }
    }

    fn append(&mut self, text: &str, shown: bool) {
        self.held.push_str(text);
        self.shown.resize(self.held.len(), shown);
    }

    /// Where the longest end of `text` starts that a stop string begins with but is longer than.
    fn begun(&self, text: &str) -> usize {
        let longest = self.stop_strings.iter().map(String::len).max().unwrap_or(0);
        let far = text.len().saturating_sub(longest.saturating_sub(1));
        (far..text.len())
            .filter(|&start| text.is_char_boundary(start))
            .find(|&start| {
                let end = &text[start..];
                self.stop_strings.iter().any(|stop| stop.len() > end.len() && stop.starts_with(end))
            })
            .unwrap_or(text.len())
    }

    /// Takes the first `length` bytes off what is held, and returns those that are shown.
    fn emit(&mut self, length: usize) -> String {
        let rest = self.held.split_off(length);
        let text = mem::replace(&mut self.held, rest);
        let shown: Vec<bool> = self.shown.drain(..length).collect();
        text.char_indices().filter(|&(at, _)| shown[at]).map(|(_, char)| char).collect()
    }
}
