//! What Python's strings do where Rust's do otherwise.

/// `str.strip()`: Python counts the separators of ASCII as blanks too.
pub fn strip(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c))
}

/// `str.capitalize()`: the first character in title case, all others small.
pub fn capitalize(text: &str) -> String {
    let Some(first) = text.chars().next() else { return String::new() };
    // Of the whole text, since a sigma is written by what stands before it.
    let small = text.to_lowercase();
    let rest = small.strip_prefix(&first.to_lowercase().collect::<String>()).unwrap_or_default();
    title(first) + rest
}

/// The character in title case: of letters that stand for two, only the first is large.
fn title(c: char) -> String {
    let digraph = match c {
        'Ǆ' | 'ǅ' | 'ǆ' => Some('ǅ'),
        'Ǉ' | 'ǈ' | 'ǉ' => Some('ǈ'),
        'Ǌ' | 'ǋ' | 'ǌ' => Some('ǋ'),
        'Ǳ' | 'ǲ' | 'ǳ' => Some('ǲ'),
        _ => None,
    };
    if let Some(digraph) = digraph {
        return digraph.to_string();
    }
    let mut large = false;
    c.to_uppercase().fold(String::new(), |mut text, upper| {
        match large {
            true => text.extend(upper.to_lowercase()),
            false => text.push(upper),
        }
        large |= upper.is_uppercase();
        text
    })
}

/// `text[1:]`
pub fn without_first(text: &str) -> &str {
    let mut chars = text.chars();
    chars.next();
    chars.as_str()
}

/// `text[:-1]`
pub fn without_last(text: &str) -> &str {
    let mut chars = text.chars();
    chars.next_back();
    chars.as_str()
}

/// `len(text)`: code points.
pub fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_capitalized_as_python_does() {
        let cases = [
            ("", ""),
            ("he", "He"),
            ("THE iPod", "The ipod"),
            ("ßa", "Ssa"),
            ("ﬁn", "Fin"),
            ("ǆ X", "ǅ x"),
            ("ΑΣ", "Ας"),
            ("ŉ", "ʼN"),
            ("1ST", "1st"),
        ];
        for (text, expected) in cases {
            assert_eq!(capitalize(text), expected, "{text}");
        }
    }

    #[test]
    fn ends_are_cut_by_characters() {
        assert_eq!((without_first("ßa"), without_last("aß"), length("aß😀")), ("a", "a", 3));
        assert_eq!((without_first(""), without_last("")), ("", ""));
        assert_eq!(strip("\x1f\u{a0} a\u{2003}\n"), "a");
    }
}
