//! Operators, as Python has them.

use std::cmp::Ordering;
use std::rc::Rc;

use super::ast::{Comparison, Operator};
use super::fault::{wrong_type, Fault, Outcome};
use super::render::Renderer;
use super::value::{Object, Seq, Value};

impl Renderer {
    /// Whether Python takes a value for true.
    pub fn truth(&self, value: &Value) -> bool {
        match value {
            Value::Undefined(_) | Value::None => false,
            Value::Bool(value) => *value,
            Value::Int(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::List(seq) | Value::Tuple(seq) | Value::View(_, seq) => !seq.items.is_empty(),
            Value::Dict(dict) => !dict.entries.is_empty(),
            Value::Range(start, end, step) => Value::range_length(*start, *end, *step) > 0,
            _ => true,
        }
    }

    /// Refuses what has no value where one is needed.
    pub fn defined<'v>(&self, value: &'v Value) -> Outcome<&'v Value> {
        match value {
            Value::Undefined(problem) => Err(Fault::render(&**problem)),
            value => Ok(value),
        }
    }

    pub fn equal(&self, left: &Value, right: &Value) -> Outcome<bool> {
        self.budget.step(1)?;
        if let (Some(left), Some(right)) = (left.as_int(), right.as_int()) {
            return Ok(left == right);
        }
        if let (Some(left), Some(right)) = (left.as_float(), right.as_float()) {
            return Ok(left == right);
        }
        Ok(match (left, right) {
            (Value::Undefined(_), Value::Undefined(_)) | (Value::None, Value::None) => true,
            (Value::Text(left), Value::Text(right)) => {
                self.budget.scan(left.len().min(right.len()))?;
                left == right
            }
            (Value::List(left), Value::List(right)) | (Value::Tuple(left), Value::Tuple(right)) => {
                self.equal_items(left, right)?
            }
            (Value::View(..), Value::View(..)) => false,
            (Value::Dict(left), Value::Dict(right)) => {
                if Rc::ptr_eq(left, right) {
                    return Ok(true);
                }
                if left.entries.len() != right.entries.len() {
                    return Ok(false);
                }
                for (key, value) in &left.entries {
                    match right.get(&key.key(&self.budget)?) {
                        Some(other) if self.equal(value, other)? => {}
                        _ => return Ok(false),
                    }
                }
                true
            }
            (Value::Range(a, b, c), Value::Range(d, e, f)) => (a, b, c) == (d, e, f),
            (Value::Object(left), Value::Object(right)) => left == right,
            (Value::Macro(left), Value::Macro(right)) => Rc::ptr_eq(left, right),
            (Value::Loop(left), Value::Loop(right)) => Rc::ptr_eq(left, right),
            (Value::Generator(left), Value::Generator(right)) => Rc::ptr_eq(left, right),
            (Value::Function(left), Value::Function(right)) => left == right,
            _ => false,
        })
    }

    fn equal_items(&self, left: &Rc<Seq>, right: &Rc<Seq>) -> Outcome<bool> {
        if Rc::ptr_eq(left, right) {
            return Ok(true);
        }
        if left.items.len() != right.items.len() {
            return Ok(false);
        }
        for (left, right) in left.items.iter().zip(&right.items) {
            if !self.equal(left, right)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The order of two values; nothing beside a NaN.
    pub fn order(&self, left: &Value, right: &Value, sign: &str) -> Outcome<Option<Ordering>> {
        self.budget.step(1)?;
        let (left, right) = (self.defined(left)?, self.defined(right)?);
        if let (Some(left), Some(right)) = (left.as_int(), right.as_int()) {
            return Ok(Some(left.cmp(&right)));
        }
        if let (Some(left), Some(right)) = (left.as_float(), right.as_float()) {
            return Ok(left.partial_cmp(&right));
        }
        match (left, right) {
            (Value::Text(left), Value::Text(right)) => {
                self.budget.scan(left.len().min(right.len()))?;
                Ok(Some(left.cmp(right)))
            }
            (Value::List(left), Value::List(right)) | (Value::Tuple(left), Value::Tuple(right)) => {
                for (left, right) in left.items.iter().zip(&right.items) {
                    if !self.equal(left, right)? {
                        return self.order(left, right, sign);
                    }
                }
                Ok(Some(left.items.len().cmp(&right.items.len())))
            }
            _ => Err(Fault::render(format!(
                "'{sign}' not supported between instances of '{}' and '{}'",
                left.type_name(),
                right.type_name()
            ))),
        }
    }

    pub fn compare(&self, comparison: Comparison, left: &Value, right: &Value) -> Outcome<bool> {
        let ordered = |sign: &str, holds: fn(Ordering) -> bool| {
            Ok(self.order(left, right, sign)?.is_some_and(holds))
        };
        match comparison {
            Comparison::Equal => self.equal(left, right),
            Comparison::NotEqual => Ok(!self.equal(left, right)?),
            Comparison::Less => ordered("<", Ordering::is_lt),
            Comparison::LessOrEqual => ordered("<=", Ordering::is_le),
            Comparison::Greater => ordered(">", Ordering::is_gt),
            Comparison::GreaterOrEqual => ordered(">=", Ordering::is_ge),
            Comparison::In => self.contains(right, left),
            Comparison::NotIn => Ok(!self.contains(right, left)?),
        }
    }

    pub fn contains(&self, container: &Value, item: &Value) -> Outcome<bool> {
        match container {
            Value::Text(text) => match item {
                Value::Text(part) => {
                    self.budget.scan(text.len())?;
                    Ok(text.contains(&**part))
                }
                other => wrong_type("'in <string>' requires string as left operand, not", other),
            },
            Value::Dict(dict) => Ok(dict.get(&item.key(&self.budget)?).is_some()),
            Value::Object(number) if !matches!(self.objects[*number], Object::Namespace(_)) => {
                Ok(false)
            }
            other => {
                let items = match self.iterate(other) {
                    Ok(items) => items,
                    Err(fault) if fault.message.ends_with("is not iterable") => {
                        let kind = other.type_name();
                        let problem = format!("argument of type '{kind}' is not iterable");
                        return Err(Fault::render(problem));
                    }
                    Err(fault) => return Err(fault),
                };
                for one in items.items.iter() {
                    if self.equal(one, item)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }

    /// The items that a loop over a value goes through.
    pub fn iterate(&self, value: &Value) -> Outcome<Rc<Seq>> {
        match value {
            Value::List(seq) | Value::Tuple(seq) | Value::View(_, seq) => Ok(seq.clone()),
            Value::Undefined(_) => Seq::new(Vec::new(), &self.budget),
            Value::Text(text) => {
                self.budget.items(text.len())?;
                let mut buffer = [0; 4];
                let chars = text.chars().map(|char| Value::text(&*char.encode_utf8(&mut buffer)));
                Seq::new(chars.collect(), &self.budget)
            }
            Value::Dict(dict) => {
                let keys = dict.entries.iter().map(|(key, _)| key.clone());
                Seq::new(keys.collect(), &self.budget)
            }
            Value::Range(start, end, step) => {
                let length = Value::range_length(*start, *end, *step);
                self.budget.items(length)?;
                let numbers = (0..length as i128).map(|at| Value::Int(start + at * step));
                Seq::new(numbers.collect(), &self.budget)
            }
            Value::Generator(generator) => {
                let from = generator.next.replace(generator.items.items.len());
                match from {
                    0 => Ok(generator.items.clone()),
                    from => Seq::new(generator.items.items[from..].to_vec(), &self.budget),
                }
            }
            Value::Loop(state) => Ok(state.items.clone()),
            other => Err(Fault::render(format!("'{}' object is not iterable", other.type_name()))),
        }
    }

    pub fn binary(&self, operator: Operator, left: &Value, right: &Value) -> Outcome<Value> {
        let (left, right) = (self.defined(left)?, self.defined(right)?);
        match (operator, left, right) {
            (Operator::Add, Value::Text(one), Value::Text(other)) => {
                self.budget.text(one.len() + other.len())?;
                return Ok(Value::text(format!("{one}{other}")));
            }
            (Operator::Add, Value::List(one), Value::List(other)) => {
                return Value::list(self.joined(one, other)?, &self.budget);
            }
            (Operator::Add, Value::Tuple(one), Value::Tuple(other)) => {
                return Value::tuple(self.joined(one, other)?, &self.budget);
            }
            (Operator::Multiply, value, count) | (Operator::Multiply, count, value)
                if count.as_int().is_some() && is_sequence(value) =>
            {
                return self.repeated(value, count.as_int().unwrap_or(0));
            }
            (Operator::Remainder, Value::Text(format), arguments) => {
                return self.printf(format, arguments);
            }
            _ => {}
        }
        match (left.as_int(), right.as_int()) {
            (Some(one), Some(other)) => int_operation(operator, one, other),
            _ => match (left.as_float(), right.as_float()) {
                (Some(one), Some(other)) => float_operation(operator, one, other).map(Value::Float),
                _ => Err(unsupported(operator, left, right)),
            },
        }
    }

    fn joined(&self, one: &Seq, other: &Seq) -> Outcome<Vec<Value>> {
        self.budget.items(one.items.len() + other.items.len())?;
        Ok(one.items.iter().chain(&other.items).cloned().collect())
    }

    fn repeated(&self, value: &Value, count: i128) -> Outcome<Value> {
        let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
        match value {
            Value::Text(text) => {
                self.budget.text(text.len().saturating_mul(count))?;
                Ok(Value::text(text.repeat(if text.is_empty() { 0 } else { count })))
            }
            Value::List(seq) | Value::Tuple(seq) => {
                let length = seq.items.len().saturating_mul(count);
                self.budget.items(length)?;
                let items = seq.items.iter().cycle().take(length).cloned().collect();
                match value {
                    Value::List(_) => Value::list(items, &self.budget),
                    _ => Value::tuple(items, &self.budget),
                }
            }
            other => wrong_type("can't multiply", other),
        }
    }

    pub fn negative(&self, value: &Value) -> Outcome<Value> {
        match self.defined(value)? {
            Value::Float(value) => Ok(Value::Float(-value)),
            value => match value.as_int().and_then(i128::checked_neg) {
                Some(value) => Ok(Value::Int(value)),
                None => wrong_type("bad operand type for unary -:", value),
            },
        }
    }
}

fn is_sequence(value: &Value) -> bool {
    matches!(value, Value::Text(_) | Value::List(_) | Value::Tuple(_))
}

fn unsupported(operator: Operator, left: &Value, right: &Value) -> Fault {
    if let (Operator::Add, Value::Text(_)) = (operator, left) {
        let other = right.type_name();
        return Fault::render(format!("can only concatenate str (not \"{other}\") to str"));
    }
    Fault::render(format!(
        "unsupported operand type(s) for {}: '{}' and '{}'",
        operator.sign(),
        left.type_name(),
        right.type_name()
    ))
}

fn int_operation(operator: Operator, one: i128, other: i128) -> Outcome<Value> {
    let by_zero = || Fault::render("integer division or modulo by zero");
    let result = match operator {
        Operator::Add => one.checked_add(other),
        Operator::Subtract => one.checked_sub(other),
        Operator::Multiply => one.checked_mul(other),
        Operator::Divide if other == 0 => return Err(Fault::render("division by zero")),
        Operator::Divide => return Ok(Value::Float(one as f64 / other as f64)),
        Operator::FloorDivide | Operator::Remainder if other == 0 => return Err(by_zero()),
        Operator::FloorDivide => {
            let rest = one.wrapping_rem(other);
            let down = i128::from(rest != 0 && (rest < 0) != (other < 0));
            one.checked_div(other).map(|quotient| quotient - down)
        }
        Operator::Remainder => {
            let rest = one.wrapping_rem(other);
            Some(if rest != 0 && (rest < 0) != (other < 0) { rest + other } else { rest })
        }
        Operator::Power if other < 0 => {
            return float_operation(operator, one as f64, other as f64).map(Value::Float);
        }
        Operator::Power => match one {
            0 | 1 => Some(if other == 0 { 1 } else { one }),
            -1 => Some(if other % 2 == 0 { 1 } else { -1 }),
            _ => u32::try_from(other).ok().and_then(|power| one.checked_pow(power)),
        },
    };
    let large = || Fault::limit("it computes with whole numbers of more than 127 bits");
    result.map(Value::Int).ok_or_else(large)
}

fn float_operation(operator: Operator, one: f64, other: f64) -> Outcome<f64> {
    let by_zero = |what: &str| Err(Fault::render(what));
    Ok(match operator {
        Operator::Add => one + other,
        Operator::Subtract => one - other,
        Operator::Multiply => one * other,
        Operator::Divide if other == 0.0 => return by_zero("float division by zero"),
        Operator::Divide => one / other,
        Operator::FloorDivide | Operator::Remainder if other == 0.0 => {
            return by_zero("float floor division by zero");
        }
        Operator::FloorDivide => (one / other).floor(),
        Operator::Remainder => {
            let rest = one % other;
            if rest != 0.0 && (rest < 0.0) != (other < 0.0) {
                rest + other
            } else {
                rest
            }
        }
        Operator::Power if one == 0.0 && other < 0.0 => {
            return by_zero("0.0 cannot be raised to a negative power");
        }
        Operator::Power => one.powf(other),
    })
}
