//! How numbers are written: what `%` and `format` have in common.

use super::fault::{Fault, Outcome};
use super::print::float;

/// Digits after the point that are written at most.
pub const MAX_PRECISION: usize = 1_000;

/// A number's digits with a point, without its sign.
pub fn decimal(value: f64, kind: char, precision: usize, alternate: bool) -> Outcome<String> {
    if precision > MAX_PRECISION {
        let problem = format!("it writes a number with more than {MAX_PRECISION} digits");
        return Err(Fault::limit(problem));
    }
    let value = value.abs();
    let upper = kind.is_ascii_uppercase();
    let text = match kind.to_ascii_lowercase() {
        _ if !value.is_finite() => float(value),
        'f' => fixed(value, precision, alternate),
        'e' => exponential(value, precision, alternate),
        _ => general(value, precision.max(1), alternate),
    };
    Ok(if upper { text.to_uppercase() } else { text })
}

fn fixed(value: f64, precision: usize, alternate: bool) -> String {
    let point = if alternate && precision == 0 { "." } else { "" };
    format!("{value:.precision$}{point}")
}

fn exponential(value: f64, precision: usize, alternate: bool) -> String {
    let text = format!("{value:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let point = if alternate && precision == 0 { "." } else { "" };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}{point}e{sign}{:02}", exponent.abs())
}

/// So many digits in all, with an exponent only where the number is very large or small.
fn general(value: f64, precision: usize, alternate: bool) -> String {
    let text = format!("{value:.*e}", precision - 1);
    let exponent: i32 = text.split_once('e').and_then(|(_, text)| text.parse().ok()).unwrap_or(0);
    let scientific = exponent < -4 || exponent >= precision as i32;
    let text = match scientific {
        true => exponential(value, precision - 1, alternate),
        false => fixed(value, (precision as i32 - 1 - exponent).max(0) as usize, alternate),
    };
    if alternate {
        return text;
    }
    let (digits, exponent) = match text.split_once('e') {
        Some((digits, exponent)) => (digits, format!("e{exponent}")),
        None => (&*text, String::new()),
    };
    let digits = match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => digits,
    };
    format!("{digits}{exponent}")
}

/// A whole number's digits without its sign.
pub fn whole(value: i128, kind: char) -> String {
    let value = value.unsigned_abs();
    match kind {
        'b' => format!("{value:b}"),
        'o' => format!("{value:o}"),
        'x' => format!("{value:x}"),
        'X' => format!("{value:X}"),
        _ => value.to_string(),
    }
}

/// The digits before the point in groups.
pub fn grouped(digits: &str, separator: char, size: usize) -> String {
    let end = digits.find(|char: char| !char.is_ascii_hexdigit()).unwrap_or(digits.len());
    let mut out = String::new();
    for (at, char) in digits[..end].chars().enumerate() {
        if at > 0 && (end - at) % size == 0 {
            out.push(separator);
        }
        out.push(char);
    }
    out.push_str(&digits[end..]);
    out
}
