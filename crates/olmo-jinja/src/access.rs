//! Attributes, items and slices.

use std::rc::Rc;

use super::fault::{wrong_type, Fault, Outcome};
use super::methods;
use super::render::Renderer;
use super::value::{LoopState, Object, Value};

impl Renderer {
    /// `value.name`
    pub fn attribute(&self, value: &Value, name: &str) -> Outcome<Value> {
        let value = self.defined(value)?;
        if let Some(found) = self.own_attribute(value, name)? {
            return Ok(found);
        }
        match value {
            Value::Dict(dict) => {
                Ok(dict.text(name).cloned().unwrap_or_else(|| no_attribute(value, name)))
            }
            _ => Ok(no_attribute(value, name)),
        }
    }

    /// What a value's type gives it, but for the entries of a dict.
    fn own_attribute(&self, value: &Value, name: &str) -> Outcome<Option<Value>> {
        if name.starts_with("__") {
            return Ok(Some(unsafe_attribute(value, name)));
        }
        if methods::mutates(value, name) {
            return Ok(Some(unsafe_attribute(value, name)));
        }
        if methods::has(value, name) {
            self.budget.nesting(value.depth() + 1)?;
            return Ok(Some(Value::Method(Rc::new((value.clone(), name.into())))));
        }
        Ok(match (value, name) {
            (Value::Object(number), "next" | "reset") if self.is_cycler(*number) => {
                Some(Value::Method(Rc::new((value.clone(), name.into()))))
            }
            (Value::Object(number), _) => match (&self.objects[*number], name) {
                (Object::Namespace(dict), _) => dict.text(name).cloned(),
                (Object::Cycler { items, at }, "current") => items.items.get(*at).cloned(),
                _ => None,
            },
            (Value::Loop(state), _) => loop_attribute(state, name),
            (Value::Tuple(seq), "grouper") if seq.is_group => seq.items.first().cloned(),
            (Value::Tuple(seq), "list") if seq.is_group => seq.items.get(1).cloned(),
            (Value::Macro(closure), "name") => Some(Value::Text(closure.code.name.clone())),
            (Value::Macro(closure), "arguments") => {
                let params = closure.code.params.iter().cloned().map(Value::Text);
                Some(Value::tuple(params.collect(), &self.budget)?)
            }
            (Value::Macro(closure), "caller") => Some(Value::Bool(closure.code.uses_caller)),
            (Value::Range(start, _, _), "start") => Some(Value::Int(*start)),
            (Value::Range(_, stop, _), "stop") => Some(Value::Int(*stop)),
            (Value::Range(_, _, step), "step") => Some(Value::Int(*step)),
            (Value::Int(_) | Value::Bool(_), "real" | "numerator") => {
                value.as_int().map(Value::Int)
            }
            (Value::Int(_) | Value::Bool(_), "imag") => Some(Value::Int(0)),
            (Value::Int(_) | Value::Bool(_), "denominator") => Some(Value::Int(1)),
            _ => None,
        })
    }

    /// `value[index]`
    pub fn item(&self, value: &Value, index: &Value) -> Outcome<Value> {
        let value = self.defined(value)?;
        if let Value::Dict(dict) = value {
            match index.key(&self.budget) {
                Ok(key) => {
                    if let Some(found) = dict.get(&key) {
                        return Ok(found.clone());
                    }
                }
                Err(fault) if fault.message.starts_with("unhashable") => {}
                Err(fault) => return Err(fault),
            }
        }
        if let Some(at) = index.as_int() {
            let found = self.element(value, at)?;
            let kind = value.type_name();
            let none = || Value::Undefined(format!("{kind} object has no element {at}").into());
            return Ok(found.unwrap_or_else(none));
        }
        match index {
            Value::Text(name) => {
                let found = self.own_attribute(value, name)?;
                Ok(found.unwrap_or_else(|| no_attribute(value, name)))
            }
            other => {
                let shown = self.repr(other)?;
                let problem = format!("{} object has no element {shown}", value.type_name());
                Ok(Value::Undefined(problem.into()))
            }
        }
    }

    fn element(&self, value: &Value, at: i128) -> Outcome<Option<Value>> {
        let place = |length: usize| {
            let at = if at < 0 { at + length as i128 } else { at };
            usize::try_from(at).ok().filter(|&at| at < length)
        };
        Ok(match value {
            Value::List(seq) | Value::Tuple(seq) => {
                place(seq.items.len()).map(|at| seq.items[at].clone())
            }
            Value::Text(text) => {
                self.budget.scan(text.len() * 8)?;
                let char = match at {
                    0.. => text.chars().nth(usize::try_from(at).unwrap_or(usize::MAX)),
                    _ => text.chars().rev().nth(usize::try_from(-(at + 1)).unwrap_or(usize::MAX)),
                };
                char.map(|char| Value::text(char.to_string()))
            }
            Value::Range(start, end, step) => {
                let at = place(Value::range_length(*start, *end, *step));
                at.map(|at| Value::Int(start + at as i128 * step))
            }
            _ => None,
        })
    }

    /// `value[start:end:step]`
    pub fn slice(&self, value: &Value, bounds: &[Value; 3]) -> Outcome<Value> {
        let value = self.defined(value)?;
        match value {
            Value::Text(text) => {
                self.budget.scan(text.len() * 8)?;
                let chars: Vec<char> = text.chars().collect();
                let picked: String = picks(chars.len(), bounds)?.map(|at| chars[at]).collect();
                self.budget.text(picked.len())?;
                Ok(Value::text(picked))
            }
            Value::List(seq) | Value::Tuple(seq) => {
                let picked = picks(seq.items.len(), bounds)?.map(|at| seq.items[at].clone());
                match value {
                    Value::List(_) => Value::list(picked.collect(), &self.budget),
                    _ => Value::tuple(picked.collect(), &self.budget),
                }
            }
            Value::Range(start, end, step) => {
                let length = Value::range_length(*start, *end, *step);
                let picked: Vec<usize> = picks(length, bounds)?.collect();
                let first = picked.first().map_or(0, |&at| at as i128);
                let by = bounds[2].as_int().unwrap_or(1);
                let start = start + first * step;
                let end = start + picked.len() as i128 * by * step;
                Ok(Value::Range(start, end, by * step))
            }
            Value::Dict(_) => Err(Fault::render("unhashable type: 'slice'")),
            other => wrong_type("no slice can be taken of", other),
        }
    }
}

/// The places that a slice of so many items picks, in its order.
fn picks(length: usize, bounds: &[Value; 3]) -> Outcome<Box<dyn Iterator<Item = usize>>> {
    let bound = |value: &Value| match value {
        Value::None => Ok(None),
        value => match value.as_int() {
            Some(at) => Ok(Some(at)),
            None => Err(Fault::render("slice indices must be integers or None")),
        },
    };
    let length = length as i128;
    let step = bound(&bounds[2])?.unwrap_or(1);
    if step == 0 {
        return Err(Fault::render("slice step cannot be zero"));
    }
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let clamp = |at: i128| (if at < 0 { at.saturating_add(length) } else { at }).clamp(low, high);
    let (first, last) = if step > 0 { (low, high) } else { (high, low) };
    let start = bound(&bounds[0])?.map_or(first, clamp);
    let end = bound(&bounds[1])?.map_or(last, clamp);
    let step = step.clamp(-(length + 1), length + 1);
    let count = Value::range_length(start, end, step);
    Ok(Box::new((0..count as i128).map(move |at| (start + at * step) as usize)))
}

fn loop_attribute(state: &LoopState, name: &str) -> Option<Value> {
    let (at, length) = (state.at.get(), state.items.items.len());
    let number = |value: usize| Some(Value::Int(value as i128));
    match name {
        "index" => number(at + 1),
        "index0" => number(at),
        "revindex" => number(length - at),
        "revindex0" => number(length - at - 1),
        "first" => Some(Value::Bool(at == 0)),
        "last" => Some(Value::Bool(at + 1 == length)),
        "length" => number(length),
        "depth" => number(state.depth + 1),
        "depth0" => number(state.depth),
        "previtem" => match at {
            0 => Some(Value::Undefined("there is no previous item".into())),
            at => state.items.items.get(at - 1).cloned(),
        },
        "nextitem" => match state.items.items.get(at + 1) {
            Some(item) => Some(item.clone()),
            None => Some(Value::Undefined("there is no next item".into())),
        },
        _ => None,
    }
}

fn no_attribute(value: &Value, name: &str) -> Value {
    let kind = match value {
        Value::None => "None".to_owned(),
        Value::Object(_) => "namespace object".to_owned(),
        other => format!("{} object", other.type_name()),
    };
    Value::Undefined(format!("'{kind}' has no attribute '{name}'").into())
}

fn unsafe_attribute(value: &Value, name: &str) -> Value {
    let kind = value.type_name();
    Value::Undefined(format!("access to attribute '{name}' of '{kind}' object is unsafe.").into())
}
