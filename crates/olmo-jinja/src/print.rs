//! Values as text: Python's `str` and `repr`.

use std::fmt::Write;

use super::fault::{Fault, Outcome};
use super::render::Renderer;
use super::value::{Dict, Object, Seq, Value};

/// Levels that are printed; a namespace can hold itself.
const MAX_LEVELS: u32 = 250;

impl Renderer {
    /// `str(value)`
    pub fn str(&self, value: &Value) -> Outcome<String> {
        let mut out = String::new();
        self.write_str(value, &mut out)?;
        Ok(out)
    }

    /// Appends `str(value)`.
    pub fn write_str(&self, value: &Value, out: &mut String) -> Outcome<()> {
        match value {
            Value::Undefined(_) => Ok(()),
            Value::Text(text) => {
                self.budget.text(text.len())?;
                self.budget.fits(out.len() + text.len())?;
                out.push_str(text);
                Ok(())
            }
            other => self.write_repr(other, out, 0),
        }
    }

    pub fn repr(&self, value: &Value) -> Outcome<String> {
        let mut out = String::new();
        self.write_repr(value, &mut out, 0)?;
        Ok(out)
    }

    fn write_repr(&self, value: &Value, out: &mut String, level: u32) -> Outcome<()> {
        self.budget.step(1)?;
        if level > MAX_LEVELS {
            return Err(Fault::limit("it prints a value that holds itself, or that is too deep"));
        }
        let start = out.len();
        match value {
            Value::Undefined(_) => out.push_str("Undefined"),
            Value::None => out.push_str("None"),
            Value::Bool(true) => out.push_str("True"),
            Value::Bool(false) => out.push_str("False"),
            Value::Int(value) => push(out, format_args!("{value}")),
            Value::Float(value) => out.push_str(&float(*value)),
            Value::Text(text) => quote(text, out),
            Value::List(seq) => self.write_items("[", seq, "]", out, level)?,
            Value::Tuple(seq) => {
                let end = if seq.items.len() == 1 { ",)" } else { ")" };
                self.write_items("(", seq, end, out, level)?;
            }
            Value::Dict(dict) => self.write_dict(dict, out, level)?,
            Value::View(name, seq) => {
                out.push_str(name);
                self.write_items("([", seq, "])", out, level)?;
            }
            Value::Range(start, end, 1) => push(out, format_args!("range({start}, {end})")),
            Value::Range(start, end, step) => {
                push(out, format_args!("range({start}, {end}, {step})"));
            }
            Value::Generator(_) => out.push_str("<generator object>"),
            Value::Object(number) => match &self.objects[*number] {
                Object::Namespace(dict) => {
                    out.push_str("<Namespace ");
                    self.write_dict(dict, out, level)?;
                    out.push('>');
                }
                Object::Cycler { .. } => out.push_str("<Cycler>"),
                Object::Joiner { .. } => out.push_str("<Joiner>"),
            },
            Value::Macro(closure) => {
                out.push_str("<Macro ");
                quote(&closure.code.name, out);
                out.push('>');
            }
            Value::Loop(state) => {
                let (at, all) = (state.at.get() + 1, state.items.items.len());
                push(out, format_args!("<LoopContext {at}/{all}>"));
            }
            Value::Method(method) => push(out, format_args!("<built-in method {}>", method.1)),
            Value::Function(name) => push(out, format_args!("<function {name}>")),
        }
        self.budget.fits(out.len())?;
        self.budget.text(out.len() - start)
    }

    fn write_items(
        &self,
        begin: &str,
        seq: &Seq,
        end: &str,
        out: &mut String,
        level: u32,
    ) -> Outcome<()> {
        out.push_str(begin);
        for (at, item) in seq.items.iter().enumerate() {
            if at > 0 {
                out.push_str(", ");
            }
            self.write_repr(item, out, level + 1)?;
        }
        out.push_str(end);
        Ok(())
    }

    fn write_dict(&self, dict: &Dict, out: &mut String, level: u32) -> Outcome<()> {
        out.push('{');
        for (at, (key, value)) in dict.entries.iter().enumerate() {
            if at > 0 {
                out.push_str(", ");
            }
            self.write_repr(key, out, level + 1)?;
            out.push_str(": ");
            self.write_repr(value, out, level + 1)?;
        }
        out.push('}');
        Ok(())
    }
}

fn push(out: &mut String, arguments: std::fmt::Arguments) {
    // A String takes everything.
    let _ = out.write_fmt(arguments);
}

/// `repr` of a float: the fewest digits that give it back, with an exponent from 1e16 on and below 1e-4.
pub fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let plain = format!("{value}");
    if plain.contains('.') {
        plain
    } else {
        format!("{plain}.0")
    }
}

/// `repr` of a text.
pub fn quote(text: &str, out: &mut String) {
    let mark = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(mark);
    for char in text.chars() {
        match char {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            char if char == mark => {
                out.push('\\');
                out.push(char);
            }
            char if is_printable(char) => out.push(char),
            char => match u32::from(char) {
                code @ ..=0xFF => push(out, format_args!("\\x{code:02x}")),
                code @ ..=0xFFFF => push(out, format_args!("\\u{code:04x}")),
                code => push(out, format_args!("\\U{code:08x}")),
            },
        }
    }
    out.push(mark);
}

/// Python's `str.isprintable` of one character, but for those that Unicode has not given out yet.
pub fn is_printable(char: char) -> bool {
    let hidden = matches!(char,
        '\u{AD}' | '\u{600}'..='\u{605}' | '\u{61C}' | '\u{6DD}' | '\u{70F}' | '\u{890}' | '\u{891}'
        | '\u{8E2}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{E000}'..='\u{F8FF}' | '\u{FEFF}' | '\u{FFF0}'..='\u{FFFB}'
        | '\u{FFFE}' | '\u{FFFF}' | '\u{110BD}' | '\u{110CD}' | '\u{13430}'..='\u{1343F}'
        | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E00FF}'
        | '\u{F0000}'..);
    char == ' ' || !(hidden || char.is_control() || char.is_whitespace())
}
