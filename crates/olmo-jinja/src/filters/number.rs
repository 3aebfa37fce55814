//! Filters of numbers.

use crate::eval::Values;
use crate::fault::{wrong_type, Fault, Outcome};
use crate::render::Renderer;
use crate::value::Value;

impl Renderer {
    pub(super) fn number_filter(
        &self,
        name: &str,
        value: &Value,
        values: &Values,
    ) -> Outcome<Value> {
        match name {
            "abs" => match self.defined(value)? {
                Value::Float(value) => Ok(Value::Float(value.abs())),
                value => match value.as_int() {
                    Some(value) => Ok(Value::Int(value.saturating_abs())),
                    None => wrong_type("bad operand type for abs():", value),
                },
            },
            "int" => {
                let [default, base] = values.bind("int", ["default", "base"])?;
                let base = self.whole("base", base.as_ref(), 10)?;
                Ok(match self.to_int(value, base)? {
                    Some(value) => Value::Int(value),
                    None => default.unwrap_or(Value::Int(0)),
                })
            }
            "float" => {
                let [default] = values.bind("float", ["default"])?;
                let number = match self.defined(value)? {
                    Value::Text(text) => parse_float(text),
                    value => value.as_float(),
                };
                Ok(number.map_or_else(|| default.unwrap_or(Value::Float(0.0)), Value::Float))
            }
            "round" => self.round(value, values),
            _ => self.file_size(value, values),
        }
    }

    /// `int(value)`, or else `int(float(value))`.
    fn to_int(&self, value: &Value, base: i128) -> Outcome<Option<i128>> {
        Ok(match self.defined(value)? {
            Value::Text(text) => {
                let base = u32::try_from(base).ok().filter(|base| matches!(base, 0 | 2..=36));
                let parsed = base.and_then(|base| parse_int(text, base));
                parsed.or_else(|| parse_float(text).and_then(truncated))
            }
            Value::Float(value) => truncated(*value),
            value => value.as_int(),
        })
    }

    fn round(&self, value: &Value, values: &Values) -> Outcome<Value> {
        let [precision, method] = values.bind("round", ["precision", "method"])?;
        let precision = self.whole("precision", precision.as_ref(), 0)?.clamp(-300, 300) as i32;
        let method = self.text_or(method.as_ref(), "common")?;
        let value = self.defined(value)?;
        let Some(number) = value.as_float() else {
            return wrong_type("a number is rounded, not", value);
        };
        let scale = 10f64.powi(precision);
        match (&*method, value.as_int()) {
            ("common", Some(whole)) if precision >= 0 => Ok(Value::Int(whole)),
            ("common", Some(_)) => {
                Ok(Value::Int(((number * scale).round_ties_even() / scale) as i128))
            }
            ("common", None) => Ok(Value::Float(rounded(number, precision))),
            ("ceil", _) => Ok(Value::Float((number * scale).ceil() / scale)),
            ("floor", _) => Ok(Value::Float((number * scale).floor() / scale)),
            _ => Err(Fault::render("method must be common, ceil or floor")),
        }
    }

    fn file_size(&self, value: &Value, values: &Values) -> Outcome<Value> {
        let [binary] = values.bind("filesizeformat", ["binary"])?;
        let binary = binary.is_some_and(|binary| self.truth(&binary));
        let bytes = match self.defined(value)? {
            Value::Text(text) => parse_float(text),
            value => value.as_float(),
        };
        let Some(bytes) = bytes else { return wrong_type("no size:", value) };
        let (base, letters) = if binary { (1024f64, "KMGTPEZY") } else { (1000f64, "kMGTPEZY") };
        if bytes == 1.0 {
            return Ok(Value::text("1 Byte"));
        }
        if bytes < base {
            return Ok(Value::text(format!("{} Bytes", bytes.trunc())));
        }
        let tail = if binary { "iB" } else { "B" };
        let mut unit = base;
        let mut text = String::new();
        for letter in letters.chars() {
            unit *= base;
            text = format!("{:.1} {letter}{tail}", base * bytes / unit);
            if bytes < unit {
                break;
            }
        }
        Ok(Value::text(text))
    }
}

/// `round(number, digits)`: to the nearest decimal, by the number's exact value.
fn rounded(number: f64, digits: i32) -> f64 {
    if !number.is_finite() {
        return number;
    }
    match usize::try_from(digits) {
        Ok(digits) => format!("{number:.digits$}").parse().unwrap_or(number),
        Err(_) => {
            let scale = 10f64.powi(-digits);
            (number / scale).round_ties_even() * scale
        }
    }
}

fn truncated(value: f64) -> Option<i128> {
    (value.is_finite() && value.abs() < 1e38).then_some(value as i128)
}

/// `float(text)`
fn parse_float(text: &str) -> Option<f64> {
    let text = digits(text)?;
    let starts = text.trim_start_matches(['+', '-']);
    let known = starts.starts_with(|char: char| char.is_ascii_digit() || char == '.');
    let word = ["inf", "infinity", "nan"].iter().any(|word| starts.eq_ignore_ascii_case(word));
    (known || word).then(|| text.parse().ok()).flatten()
}

/// `int(text, base)`
fn parse_int(text: &str, base: u32) -> Option<i128> {
    let text = digits(text)?;
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(&text)),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let prefixed = [("0b", 2), ("0o", 8), ("0x", 16)].into_iter().find_map(|(prefix, radix)| {
        let begin = digits.get(..2)?;
        let fits = begin.eq_ignore_ascii_case(prefix) && (base == radix || base == 0);
        fits.then(|| (&digits[2..], radix))
    });
    let (digits, base) = prefixed.unwrap_or((digits, if base == 0 { 10 } else { base }));
    i128::from_str_radix(digits, base).ok().map(|value| sign * value)
}

/// A number's text without blanks around it and single `_` within it.
fn digits(text: &str) -> Option<String> {
    let text = text.trim_matches(crate::lexer::is_space);
    let bad = text.starts_with('_') || text.ends_with('_') || text.contains("__");
    (!bad && text.len() < 1000).then(|| text.replace('_', ""))
}
