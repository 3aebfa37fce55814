//! `'…'.format(…)`: Python's new way to format.

use super::eval::Values;
use super::fault::{Fault, Outcome};
use super::numerals;
use super::print::float;
use super::render::Renderer;
use super::value::Value;

/// In place of the next field's number where the fields have numbers of their own.
const BY_NUMBER: usize = usize::MAX;
const MIXED: &str =
    "cannot switch between manual field specification and automatic field numbering";

struct Spec {
    fill: char,
    align: Option<char>,
    sign: char,
    alternate: bool,
    width: usize,
    group: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

impl Renderer {
    pub fn str_format(&self, format: &str, values: &Values) -> Outcome<Value> {
        let text = self.format_text(format, values, &mut None, 2)?;
        self.budget.text(text.len())?;
        Ok(Value::text(text))
    }

    /// `next` is the number of the next field without one, or [`BY_NUMBER`], `levels` how many specs may be in one another.
    fn format_text(
        &self,
        format: &str,
        values: &Values,
        next: &mut Option<usize>,
        levels: u32,
    ) -> Outcome<String> {
        let mut out = String::new();
        let mut rest = format;
        while let Some(at) = rest.find(['{', '}']) {
            out.push_str(&rest[..at]);
            let mark = &rest[at..at + 1];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(mark) {
                out.push_str(mark);
                rest = after;
                continue;
            }
            if mark == "}" {
                return Err(Fault::render("Single '}' encountered in format string"));
            }
            if levels == 0 {
                return Err(Fault::render("Max string recursion exceeded"));
            }
            let end =
                closing(rest).ok_or_else(|| Fault::render("expected '}' before end of string"))?;
            let piece = self.field(&rest[..end], values, next, levels)?;
            self.budget.text(piece.len())?;
            self.budget.fits(out.len() + piece.len())?;
            out.push_str(&piece);
            rest = &rest[end + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }

    fn field(
        &self,
        field: &str,
        values: &Values,
        next: &mut Option<usize>,
        levels: u32,
    ) -> Outcome<String> {
        let (name, spec) = match spec_at(field) {
            Some(at) => (&field[..at], &field[at + 1..]),
            None => (field, ""),
        };
        let (name, conversion) = match name.rsplit_once('!') {
            Some((name, conversion)) => (name, Some(conversion)),
            None => (name, None),
        };
        let value = self.field_value(name, values, next)?;
        let spec = self.format_text(spec, values, next, levels - 1)?;
        let value = match conversion {
            Some("r") => Value::text(self.repr(&value)?),
            Some("s") => Value::text(self.str(&value)?),
            Some("a") => Value::text(self.repr(&value)?),
            Some(other) => {
                let problem = format!("Unknown conversion specifier {other}");
                return Err(Fault::render(problem));
            }
            None => value,
        };
        self.format_value(&value, &spec)
    }

    /// `0.name[key]`
    fn field_value(&self, name: &str, values: &Values, next: &mut Option<usize>) -> Outcome<Value> {
        let end = name.find(['.', '[']).unwrap_or(name.len());
        let (first, mut path) = name.split_at(end);
        let by_number = |at: usize| {
            values.positional.get(at).cloned().ok_or_else(|| {
                let problem = "Replacement index out of range for positional args tuple";
                Fault::render(problem)
            })
        };
        let mut value = if first.is_empty() {
            let at = next.unwrap_or(0);
            if at == BY_NUMBER {
                return Err(Fault::render(MIXED));
            }
            *next = Some(at + 1);
            by_number(at)?
        } else if let Ok(at) = first.parse::<usize>() {
            if next.replace(BY_NUMBER).is_some_and(|next| next != BY_NUMBER) {
                return Err(Fault::render(MIXED));
            }
            by_number(at)?
        } else {
            let found = values.named.iter().find(|(known, _)| &**known == first);
            match found {
                Some((_, value)) => value.clone(),
                None => return Err(Fault::render(format!("no argument named '{first}'"))),
            }
        };
        while !path.is_empty() {
            if let Some(after) = path.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                value = self.attribute(&value, &after[..end])?;
                path = &after[end..];
            } else {
                let after = path.strip_prefix('[').unwrap_or(path);
                let Some((key, after)) = after.split_once(']') else {
                    return Err(Fault::render("Missing ']' in format string"));
                };
                let key = match key.parse::<i64>() {
                    Ok(at) => Value::Int(at.into()),
                    Err(_) => Value::text(key),
                };
                value = self.item(&value, &key)?;
                path = after;
            }
        }
        Ok(value)
    }

    fn format_value(&self, value: &Value, spec: &str) -> Outcome<String> {
        if spec.is_empty() {
            return self.str(value);
        }
        let spec = parse(spec)?;
        self.budget.text(spec.width)?;
        let (sign, text, is_number) = match value {
            Value::Int(_) | Value::Bool(_) => self.format_int(value, &spec)?,
            Value::Float(number) => float_parts(*number, &spec)?,
            Value::Text(text) => {
                if !matches!(spec.kind, None | Some('s')) {
                    return Err(bad_kind(&spec, value));
                }
                let most = spec.precision.unwrap_or(usize::MAX);
                (String::new(), text.chars().take(most).collect(), false)
            }
            other => {
                let name = other.type_name();
                let problem = format!("unsupported format string passed to {name}.__format__");
                return Err(Fault::render(problem));
            }
        };
        let missing = spec.width.saturating_sub(sign.chars().count() + text.chars().count());
        let fills = |count: usize| spec.fill.to_string().repeat(count);
        self.budget.text(missing.saturating_mul(spec.fill.len_utf8()))?;
        Ok(match spec.align.unwrap_or(if is_number { '>' } else { '<' }) {
            '<' => format!("{sign}{text}{}", fills(missing)),
            '^' => format!("{}{sign}{text}{}", fills(missing / 2), fills(missing - missing / 2)),
            '=' => format!("{sign}{}{text}", fills(missing)),
            _ => format!("{}{sign}{text}", fills(missing)),
        })
    }

    fn format_int(&self, value: &Value, spec: &Spec) -> Outcome<(String, String, bool)> {
        let number = value.as_int().unwrap_or(0);
        let kind = spec.kind.unwrap_or('d');
        match kind {
            'd' | 'n' | 'b' | 'o' | 'x' | 'X' => {}
            'c' => {
                let char = u32::try_from(number).ok().and_then(char::from_u32);
                let char = char.ok_or_else(|| Fault::render("%c arg not in range(0x110000)"))?;
                return Ok((String::new(), char.to_string(), true));
            }
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%' => return float_parts(number as f64, spec),
            _ => return Err(bad_kind(spec, value)),
        }
        let digits = numerals::whole(number, kind);
        let digits = match spec.group {
            Some(group) => numerals::grouped(&digits, group, if kind == 'd' { 3 } else { 4 }),
            None => digits,
        };
        let prefix = match kind {
            'b' | 'o' | 'x' | 'X' if spec.alternate => format!("0{kind}"),
            _ => String::new(),
        };
        Ok((format!("{}{prefix}", sign(number < 0, spec)), digits, true))
    }
}

fn float_parts(number: f64, spec: &Spec) -> Outcome<(String, String, bool)> {
    let negative = number.is_sign_negative() && !number.is_nan();
    let digits = match (spec.kind, spec.precision) {
        (None, None) => float(number.abs()),
        (None, Some(precision)) => {
            let text = numerals::decimal(number, 'g', precision, spec.alternate)?;
            let whole = !text.contains(['.', 'e', 'n', 'i']);
            if whole {
                format!("{text}.0")
            } else {
                text
            }
        }
        (Some('%'), precision) => {
            let digits = numerals::decimal(number * 100.0, 'f', precision.unwrap_or(6), false)?;
            format!("{digits}%")
        }
        (Some('n'), precision) => numerals::decimal(number, 'g', precision.unwrap_or(6), false)?,
        (Some(kind @ ('e' | 'E' | 'f' | 'F' | 'g' | 'G')), precision) => {
            numerals::decimal(number, kind, precision.unwrap_or(6), spec.alternate)?
        }
        _ => return Err(bad_kind(spec, &Value::Float(number))),
    };
    let digits = match spec.group {
        Some(group) => numerals::grouped(&digits, group, 3),
        None => digits,
    };
    Ok((sign(negative, spec), digits, true))
}

fn sign(negative: bool, spec: &Spec) -> String {
    match (negative, spec.sign) {
        (true, _) => "-".to_owned(),
        (false, '-') => String::new(),
        (false, sign) => sign.to_string(),
    }
}

fn bad_kind(spec: &Spec, value: &Value) -> Fault {
    let (kind, name) = (spec.kind.unwrap_or(' '), value.type_name());
    Fault::render(format!("Unknown format code '{kind}' for object of type '{name}'"))
}

/// `[[fill]align][sign][#][0][width][,][.precision][kind]`
fn parse(text: &str) -> Outcome<Spec> {
    let chars: Vec<char> = text.chars().take(200).collect();
    let mut at = 0;
    let is_align = |char: Option<&char>| matches!(char, Some('<' | '>' | '^' | '='));
    let (mut fill, mut align) = (' ', None);
    if is_align(chars.get(1)) {
        (fill, align, at) = (chars[0], Some(chars[1]), 2);
    } else if is_align(chars.first()) {
        (align, at) = (Some(chars[0]), 1);
    }
    let mut take = |wanted: &[char]| {
        let found = chars.get(at).copied().filter(|char| wanted.contains(char));
        at += usize::from(found.is_some());
        found
    };
    let sign = take(&['+', '-', ' ']).unwrap_or('-');
    let alternate = take(&['#']).is_some();
    if take(&['0']).is_some() && align.is_none() {
        (fill, align) = ('0', Some('='));
    }
    let digits = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];
    let number = |take: &mut dyn FnMut(&[char]) -> Option<char>| {
        let mut number: Option<usize> = None;
        while let Some(digit) = take(&digits) {
            let digit = digit as usize - '0' as usize;
            number = Some(number.unwrap_or(0).saturating_mul(10).saturating_add(digit));
        }
        number
    };
    let width = number(&mut take).unwrap_or(0);
    let group = take(&[',', '_']);
    let precision = match take(&['.']) {
        Some(_) => {
            let precision = number(&mut take);
            Some(precision.ok_or_else(|| Fault::render("Format specifier missing precision"))?)
        }
        None => None,
    };
    let kind = chars.get(at).copied();
    if at + 1 < chars.len() {
        return Err(Fault::render("Invalid format specifier"));
    }
    Ok(Spec { fill, align, sign, alternate, width, group, precision, kind })
}

/// Where the `}` of a field is, past those within it.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0;
    for (at, char) in text.char_indices() {
        match char {
            '{' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
    }
    None
}

/// Where a field's spec begins: at the first `:` outside of `[…]`.
fn spec_at(field: &str) -> Option<usize> {
    let mut inside = false;
    field.char_indices().find_map(|(at, char)| {
        inside = match char {
            '[' => true,
            ']' => false,
            _ => inside,
        };
        (char == ':' && !inside).then_some(at)
    })
}
