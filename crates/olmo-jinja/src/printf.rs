//! `'…' % values`: Python's old way to format.

use super::fault::{Fault, Outcome};
use super::numerals;
use super::render::Renderer;
use super::value::Value;

#[derive(Default)]
struct Spec {
    left: bool,
    plus: bool,
    blank: bool,
    zero: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
}

/// The values of one formatting, taken one after another.
struct Arguments<'v> {
    all: Vec<Value>,
    next: usize,
    whole: &'v Value,
    used_mapping: bool,
}

impl Arguments<'_> {
    fn take(&mut self) -> Outcome<Value> {
        self.next += 1;
        let value = self.all.get(self.next - 1).cloned();
        value.ok_or_else(|| Fault::render("not enough arguments for format string"))
    }
}

impl Renderer {
    pub fn printf(&self, format: &str, value: &Value) -> Outcome<Value> {
        let all = match value {
            Value::Tuple(seq) => seq.items.clone(),
            value => vec![value.clone()],
        };
        let mut arguments = Arguments { all, next: 0, whole: value, used_mapping: false };
        let mut out = String::new();
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            rest = self.conversion(&rest[at + 1..], &mut arguments, &mut out)?;
            self.budget.fits(out.len())?;
        }
        out.push_str(rest);
        let left_over = arguments.next < arguments.all.len() && !arguments.used_mapping;
        if left_over && !matches!(value, Value::Dict(_) | Value::List(_)) {
            return Err(Fault::render("not all arguments converted during string formatting"));
        }
        self.budget.text(out.len())?;
        Ok(Value::text(out))
    }

    /// Writes what is asked for after a `%`, and gives what comes after that.
    fn conversion<'f>(
        &self,
        text: &'f str,
        arguments: &mut Arguments,
        out: &mut String,
    ) -> Outcome<&'f str> {
        let incomplete = || Fault::render("incomplete format");
        let mut rest = text;
        let mut keyed = None;
        if let Some(after) = rest.strip_prefix('(') {
            let (key, after) = after.split_once(')').ok_or_else(incomplete)?;
            let Value::Dict(dict) = arguments.whole else {
                return Err(Fault::render("format requires a mapping"));
            };
            let found = dict.text(key).cloned();
            keyed = Some(found.ok_or_else(|| Fault::render(format!("no key '{key}'")))?);
            arguments.used_mapping = true;
            rest = after;
        }
        let mut spec = Spec::default();
        rest = flags(rest, &mut spec);
        rest = self.count(rest, arguments, |count| {
            spec.left |= count < 0;
            spec.width = count.unsigned_abs() as usize;
        })?;
        if let Some(after) = rest.strip_prefix('.') {
            let mut precision = 0;
            rest = self.count(after, arguments, |count| precision = count.max(0) as usize)?;
            spec.precision = Some(precision);
        }
        rest = rest.trim_start_matches(['h', 'l', 'L']);
        let kind = rest.chars().next().ok_or_else(incomplete)?;
        let rest = &rest[kind.len_utf8()..];
        if kind == '%' {
            out.push('%');
            return Ok(rest);
        }
        let value = match keyed {
            Some(value) => value,
            None => arguments.take()?,
        };
        self.budget.text(spec.width)?;
        self.budget.fits(out.len() + spec.width)?;
        out.push_str(&self.converted(kind, &value, &spec)?);
        Ok(rest)
    }

    /// A width or precision: a number, or `*` for the next value.
    fn count<'f>(
        &self,
        text: &'f str,
        arguments: &mut Arguments,
        set: impl FnOnce(i64),
    ) -> Outcome<&'f str> {
        if let Some(rest) = text.strip_prefix('*') {
            let Some(count) = arguments.take()?.as_int() else {
                return Err(Fault::render("* wants int"));
            };
            set(i64::try_from(count).unwrap_or(i64::MAX));
            return Ok(rest);
        }
        let end = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
        if end > 0 {
            set(text[..end].parse().unwrap_or(i64::MAX));
        }
        Ok(&text[end..])
    }

    fn converted(&self, kind: char, value: &Value, spec: &Spec) -> Outcome<String> {
        let (sign, digits) = match kind {
            's' | 'r' | 'a' => {
                let text = if kind == 's' { self.str(value)? } else { self.repr(value)? };
                let text = if kind == 'a' { ascii(&text) } else { text };
                let text = match spec.precision {
                    Some(most) => text.chars().take(most).collect(),
                    None => text,
                };
                return Ok(filled("", &text, spec, false));
            }
            'c' => {
                let char = match self.defined(value)? {
                    Value::Text(text) if text.chars().count() == 1 => text.to_string(),
                    value => match value
                        .as_int()
                        .and_then(|code| char::from_u32(u32::try_from(code).ok()?))
                    {
                        Some(char) => char.to_string(),
                        None => return Err(Fault::render("%c requires int or char")),
                    },
                };
                return Ok(filled("", &char, spec, false));
            }
            'd' | 'i' | 'u' | 'o' | 'x' | 'X' => self.integer(kind, value, spec)?,
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
                let Some(number) = self.defined(value)?.as_float() else {
                    let name = value.type_name();
                    return Err(Fault::render(format!("must be real number, not {name}")));
                };
                let precision = spec.precision.unwrap_or(6);
                let digits = numerals::decimal(number, kind, precision, spec.alternate)?;
                (number.is_sign_negative() && !number.is_nan(), digits)
            }
            other => {
                let code = u32::from(other);
                return Err(Fault::render(format!(
                    "unsupported format character '{other}' ({code:#x})"
                )));
            }
        };
        let prefix = match kind {
            'x' if spec.alternate => "0x",
            'X' if spec.alternate => "0X",
            'o' if spec.alternate => "0o",
            _ => "",
        };
        let sign = match (sign, spec.plus, spec.blank) {
            (true, _, _) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            _ => "",
        };
        Ok(filled(&format!("{sign}{prefix}"), &digits, spec, spec.zero))
    }

    fn integer(&self, kind: char, value: &Value, spec: &Spec) -> Outcome<(bool, String)> {
        let is_decimal = matches!(kind, 'd' | 'i' | 'u');
        let number = match self.defined(value)? {
            Value::Float(value) if is_decimal && value.is_finite() => Some(*value as i128),
            value => value.as_int(),
        };
        let Some(number) = number else {
            let what = if is_decimal { "a real number" } else { "an integer" };
            let name = value.type_name();
            return Err(Fault::render(format!("%{kind} format: {what} is required, not {name}")));
        };
        let digits = numerals::whole(number, kind);
        let least = spec.precision.unwrap_or(0);
        self.budget.text(least)?;
        let zeros = "0".repeat(least.saturating_sub(digits.len()));
        Ok((number < 0, format!("{zeros}{digits}")))
    }
}

fn flags<'f>(text: &'f str, spec: &mut Spec) -> &'f str {
    let end = text.find(|char| !matches!(char, '-' | '+' | ' ' | '0' | '#')).unwrap_or(text.len());
    for flag in text[..end].chars() {
        match flag {
            '-' => spec.left = true,
            '+' => spec.plus = true,
            ' ' => spec.blank = true,
            '0' => spec.zero = true,
            _ => spec.alternate = true,
        }
    }
    &text[end..]
}

fn filled(sign: &str, text: &str, spec: &Spec, zeros: bool) -> String {
    let missing = spec.width.saturating_sub(sign.len() + text.chars().count());
    match (spec.left, zeros) {
        (true, _) => format!("{sign}{text}{}", " ".repeat(missing)),
        (false, true) => format!("{sign}{}{text}", "0".repeat(missing)),
        (false, false) => format!("{}{sign}{text}", " ".repeat(missing)),
    }
}

/// `ascii` of what `repr` gave.
fn ascii(text: &str) -> String {
    let mut out = String::new();
    for char in text.chars() {
        match u32::from(char) {
            ..=0x7F => out.push(char),
            code @ ..=0xFF => out.push_str(&format!("\\x{code:02x}")),
            code @ ..=0xFFFF => out.push_str(&format!("\\u{code:04x}")),
            code => out.push_str(&format!("\\U{code:08x}")),
        }
    }
    out
}
