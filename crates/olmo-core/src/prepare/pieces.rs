//! Long texts in short pieces whose tokens are those of the whole.

/// Cuts a text into pieces of about `bytes` bytes, for threads and for an encoder whose work
/// grows faster than its text.
///
/// A cut lies between a line feed and something that is not white space. No match of dolma2's
/// pattern spans such a place: after a line feed each alternative goes on with white space alone
/// or not at all. Nor do its special tokens, which hold no line feed.
pub(crate) fn pieces(text: &str, bytes: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = rest.split_at(cut(rest, bytes));
        rest = after;
        Some(piece)
    })
}

/// The first place at or after `bytes` where `text` can be cut.
fn cut(text: &str, bytes: usize) -> usize {
    let mut from = bytes.max(1) - 1;
    while let Some(at) = text.as_bytes().get(from..).and_then(find_line_feed) {
        // A line feed is never inside a character, so what follows it starts one.
        let after = from + at + 1;
        match text[after..].chars().next() {
            Some(char) if !char.is_whitespace() => return after,
            _ => from = after,
        }
    }
    text.len()
}

fn find_line_feed(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| byte == b'\n')
}

#[cfg(test)]
mod tests {
    use super::pieces;

    fn cut(text: &str, bytes: usize) -> Vec<&str> {
        pieces(text, bytes).collect()
    }

    #[test]
    fn cuts_lie_before_lines_that_start_with_text() {
        assert_eq!(cut("ab\ncd\nef", 1), ["ab\n", "cd\n", "ef"]);
        assert_eq!(cut("ab\ncd\nef", 4), ["ab\ncd\n", "ef"]);
        assert_eq!(cut("ab\n\n cd\n\u{3000}ef\n", 1), ["ab\n\n cd\n\u{3000}ef\n"]);
        assert_eq!(cut("é\né", 2), ["é\n", "é"]);
        assert_eq!(cut("\n\nx", 1), ["\n\n", "x"]);
        assert_eq!(cut("", 1), [""; 0]);
    }
}
