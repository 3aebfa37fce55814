//! Patterns that split words, or that are replaced: those that are sure to run in linear time.

use super::GPT4_WORDS;

/// GPT-4's own spelling of its pattern, whose possessive repeats need a backtracking engine, but give it
/// nothing to go back to.
///
/// Source: `tiktoken_ext/openai_public.py` of tiktoken.
pub(super) const CL100K: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
);

/// GPT-2's, which is built into ByteLevel and seldom written out.
///
/// Source: `encoder.py` of GPT-2.
pub(super) const GPT2: &str =
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// The one thing in patterns of words that an automaton cannot do: blanks, without the last before a word.
const BLANKS: &str = r"\s+(?!\S)";

/// Bytes of a pattern, and of the program that it is compiled to.
const LONGEST: usize = 4096;
const LARGEST: usize = 4 << 20;

/// Says what is wrong with a pattern.
///
/// The tokenizers crate hands each alternative that an automaton can run to one; it backtracks in others,
/// where an exponential number of ways may be tried at each letter.
pub(super) fn check(pattern: &str) -> Result<(), String> {
    if [GPT4_WORDS, CL100K].contains(&pattern) {
        return Ok(());
    }
    if pattern.len() > LONGEST {
        return Err(format!("has a pattern of {} bytes", pattern.len()));
    }
    if is_possessive(pattern) {
        return Err(format!("has a pattern with a possessive repeat: `{pattern}`"));
    }
    for part in alternatives(pattern).into_iter().filter(|part| *part != BLANKS) {
        let built = regex::RegexBuilder::new(part).size_limit(LARGEST).build();
        built.map_err(|error| {
            let reason = match error {
                regex::Error::CompiledTooBig(_) => "is too large",
                _ => "looks around, refers back or is broken",
            };
            let start: String = part.chars().take(80).collect();
            format!("has a pattern that {reason}: `{start}`")
        })?;
    }
    Ok(())
}

/// Whether a repeat is followed by `+`, which an automaton takes for a second repeat.
fn is_possessive(pattern: &str) -> bool {
    let (mut escaped, mut in_class, mut repeated) = (false, false, false);
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b',');
    for (at, char) in pattern.char_indices() {
        if repeated && char == '+' {
            return true;
        }
        let counted = || pattern[..at].rsplit('{').next().is_some_and(is_number);
        let repeats = matches!(char, '+' | '*' | '?') || (char == '}' && counted());
        repeated = repeats && !escaped && !in_class;
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            _ => {}
        }
    }
    false
}

/// The parts of a pattern between its outermost `|`.
fn alternatives(pattern: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0usize);
    let (mut escaped, mut in_class) = (false, false);
    for (at, char) in pattern.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ']' if in_class => in_class = false,
            _ if in_class => {}
            '[' => in_class = true,
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => {
                parts.push(&pattern[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&pattern[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_known_tokenizers_pass() {
        for pattern in [
            GPT4_WORDS,
            CL100K,
            GPT2,
            // Qwen 2
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            // GPT-4o
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            // Llama's, DeepSeek's and others' parts
            " {2,}",
            r"\p{N}{1,3}",
            r"[一-龥぀-ゟ゠-ヿ]+",
            r"\s?[!-/:-~]+",
            "[|]|x",
            r"\|",
            r"\++x",
            r"[+*]+",
            "",
        ] {
            assert_eq!(check(pattern), Ok(()), "{pattern}");
        }
    }

    #[test]
    fn patterns_that_go_back_are_refused() {
        for pattern in [
            r"(?=(a+)+$)",
            r"(a|aa)+\1",
            r"(?:a+)+\s+(?!\S)",
            r"(?<!x)(\w+\s?)*$",
            r"(a++)+b",
            r"(?>a+)b",
            r"x*+",
            r"a{1,9}+b",
            r"\p{L}{1000}{1000}",
            r"((a{1,100}){1,100}){1,100}",
            r"(",
            r"[a",
            r"\s+(?!\s)",
            &"a".repeat(5000),
        ] {
            assert!(check(pattern).is_err(), "{pattern}");
        }
    }
}
