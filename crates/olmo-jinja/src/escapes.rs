//! Texts and numbers as they are written in a template.

use super::lexer::Token;

/// What a text between quotes stands for: Python's escapes; those it does not know stay as they are.
pub fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = escape(&rest[at + 1..], &mut out)?;
    }
    out.push_str(rest);
    Ok(out)
}

fn escape<'t>(text: &'t str, out: &mut String) -> Result<&'t str, String> {
    let Some(first) = text.chars().next() else {
        out.push('\\');
        return Ok(text);
    };
    let after = &text[first.len_utf8()..];
    let simple = match first {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'v' => '\x0b',
        '\\' | '\'' | '"' => first,
        '\n' => return Ok(after),
        'x' => return hex(after, 2, out),
        'u' => return hex(after, 4, out),
        'U' => return hex(after, 8, out),
        '0'..='7' => {
            let digits =
                text.bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
            let code = u32::from_str_radix(&text[..digits], 8).unwrap_or(0);
            out.extend(char::from_u32(code));
            return Ok(&text[digits..]);
        }
        other => {
            out.push('\\');
            other
        }
    };
    out.push(simple);
    Ok(after)
}

fn hex<'t>(text: &'t str, digits: usize, out: &mut String) -> Result<&'t str, String> {
    let code = text.get(..digits).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let code = code.and_then(|code| u32::from_str_radix(code, 16).ok());
    let Some(code) = code.filter(|&code| code <= 0x10_FFFF) else {
        return Err(format!("a text with an escape that is not {digits} hexadecimal digits"));
    };
    // Rust has no halves of surrogate pairs; Python keeps them, and cannot print them either.
    out.push(char::from_u32(code).unwrap_or('\u{FFFD}'));
    Ok(&text[digits..])
}

/// The number that a text begins with, and its length.
pub fn number(text: &str) -> Option<(Token, usize)> {
    for (prefix, radix) in [("0b", 2), ("0o", 8), ("0x", 16)] {
        let begins = text.get(..2).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
        let length = if begins { run(&text[2..], |char| char.is_digit(radix)) } else { 0 };
        if length > 0 {
            let digits = text[2..2 + length].replace('_', "");
            return Some((Token::Int(i128::from_str_radix(&digits, radix).ok()?), 2 + length));
        }
    }
    let decimal = |char: char| char.is_ascii_digit();
    let whole = run(text, decimal);
    let mut length = whole;
    if let Some(fraction) = text[length..].strip_prefix('.') {
        let digits = run(fraction, decimal);
        length += if digits > 0 { 1 + digits } else { 0 };
    }
    if let Some(exponent) = text[length..].strip_prefix(['e', 'E']) {
        let sign = usize::from(exponent.starts_with(['+', '-']));
        let digits = run(&exponent[sign..], decimal);
        length += if digits > 0 { 1 + sign + digits } else { 0 };
    }
    let digits = text[..length].replace('_', "");
    let token = match length == whole {
        true => Token::Int(digits.parse().ok()?),
        false => Token::Float(digits.parse().ok()?),
    };
    Some((token, length))
}

/// The length of a run of digits, between which there may be `_`.
fn run(text: &str, is_digit: impl Fn(char) -> bool) -> usize {
    let mut length = 0;
    let mut bar = true;
    for (at, char) in text.char_indices() {
        if is_digit(char) {
            bar = false;
            length = at + 1;
        } else if char != '_' || bar {
            break;
        } else {
            bar = true;
        }
    }
    length
}
