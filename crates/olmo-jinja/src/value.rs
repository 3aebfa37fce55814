//! What a template computes with: Python's values, as far as a template meets them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::ast::{For, Macro, Name};
use super::budget::Budget;
use super::fault::Outcome;

#[derive(Clone)]
pub enum Value {
    /// Nothing, and what to say of it where something is needed.
    Undefined(Arc<str>),
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(Arc<str>),
    List(Rc<Seq>),
    Tuple(Rc<Seq>),
    Dict(Rc<Dict>),
    /// `dict.items()` and the like, under Python's name for it.
    View(&'static str, Rc<Seq>),
    /// Start, end, step.
    Range(i128, i128, i128),
    /// What a lazy filter gives, which can be read once.
    Generator(Rc<Generator>),
    /// A namespace, cycler or joiner: its number among the rendering's objects.
    Object(usize),
    Macro(Rc<Closure>),
    Loop(Rc<LoopState>),
    /// A method together with its receiver.
    Method(Rc<(Value, Arc<str>)>),
    Function(&'static str),
}

pub struct Seq {
    pub items: Vec<Value>,
    /// Whether a tuple's two items are called `grouper` and `list`.
    pub is_group: bool,
    depth: u32,
}

pub struct Generator {
    pub items: Rc<Seq>,
    pub next: Cell<usize>,
}

#[derive(Default)]
pub struct Dict {
    pub entries: Vec<(Value, Value)>,
    index: HashMap<Key, usize>,
    depth: u32,
}

/// What can be looked up in a dict: equal values have equal keys, as in `{1: 'x'}[true]`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Key {
    None,
    Int(i128),
    Float(u64),
    Text(Arc<str>),
    Tuple(Vec<Key>),
    Other(usize),
}

/// What changes while a template runs.
pub enum Object {
    Namespace(Dict),
    Cycler { items: Rc<Seq>, at: usize },
    Joiner { separator: Value, used: bool },
}

/// A macro and the names it was defined among.
pub struct Closure {
    pub code: Arc<Macro>,
    pub scope: Rc<Scope>,
}

/// Names and their values, and the names around them.
pub struct Scope {
    pub names: RefCell<HashMap<Name, Value>>,
    pub parent: Option<Rc<Scope>>,
}

impl Scope {
    pub fn within(parent: Option<Rc<Scope>>) -> Rc<Scope> {
        Rc::new(Scope { names: RefCell::default(), parent })
    }

    pub fn get(&self, name: &str) -> Option<Value> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if let Some(value) = here.names.borrow().get(name) {
                return Some(value.clone());
            }
            scope = here.parent.as_deref();
        }
        None
    }

    pub fn set(&self, name: &Name, value: Value) {
        self.names.borrow_mut().insert(name.clone(), value);
    }
}

/// The variable `loop`.
pub struct LoopState {
    pub items: Rc<Seq>,
    pub at: Cell<usize>,
    pub depth: usize,
    pub changed: RefCell<Option<Vec<Value>>>,
    /// What `loop(…)` goes through again.
    pub again: Option<(Arc<For>, Rc<Scope>)>,
}

impl Seq {
    pub fn new(items: Vec<Value>, budget: &Budget) -> Outcome<Rc<Seq>> {
        Seq::made(items, false, budget)
    }

    pub fn group(grouper: Value, list: Value, budget: &Budget) -> Outcome<Rc<Seq>> {
        Seq::made(vec![grouper, list], true, budget)
    }

    fn made(items: Vec<Value>, is_group: bool, budget: &Budget) -> Outcome<Rc<Seq>> {
        budget.items(items.len())?;
        let depth = 1 + items.iter().map(Value::depth).max().unwrap_or(0);
        budget.nesting(depth)?;
        Ok(Rc::new(Seq { items, is_group, depth }))
    }
}

impl Dict {
    pub fn new(entries: Vec<(Value, Value)>, budget: &Budget) -> Outcome<Dict> {
        let mut dict = Dict::default();
        for (key, value) in entries {
            dict.set(key, value, budget)?;
        }
        Ok(dict)
    }

    pub fn get(&self, key: &Key) -> Option<&Value> {
        self.index.get(key).map(|&at| &self.entries[at].1)
    }

    pub fn text(&self, key: &str) -> Option<&Value> {
        self.get(&Key::Text(key.into()))
    }

    pub fn set(&mut self, key: Value, value: Value, budget: &Budget) -> Outcome<()> {
        budget.items(2)?;
        let depth = 1 + key.depth().max(value.depth());
        budget.nesting(depth)?;
        self.depth = self.depth.max(depth);
        match self.index.entry(key.key(budget)?) {
            std::collections::hash_map::Entry::Occupied(place) => {
                self.entries[*place.get()].1 = value;
            }
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(self.entries.len());
                self.entries.push((key, value));
            }
        }
        Ok(())
    }
}

impl Value {
    pub fn text(text: impl Into<Arc<str>>) -> Value {
        Value::Text(text.into())
    }

    pub fn list(items: Vec<Value>, budget: &Budget) -> Outcome<Value> {
        Ok(Value::List(Seq::new(items, budget)?))
    }

    pub fn tuple(items: Vec<Value>, budget: &Budget) -> Outcome<Value> {
        Ok(Value::Tuple(Seq::new(items, budget)?))
    }

    pub fn generator(items: Vec<Value>, budget: &Budget) -> Outcome<Value> {
        let items = Seq::new(items, budget)?;
        Ok(Value::Generator(Rc::new(Generator { items, next: Cell::new(0) })))
    }

    pub fn dict(entries: Vec<(Value, Value)>, budget: &Budget) -> Outcome<Value> {
        Ok(Value::Dict(Rc::new(Dict::new(entries, budget)?)))
    }

    /// A name that has no value.
    pub fn missing(name: &str) -> Value {
        Value::Undefined(format!("'{name}' is undefined").into())
    }

    pub fn is_undefined(&self) -> bool {
        matches!(self, Value::Undefined(_))
    }

    pub fn as_text(&self) -> Option<&Arc<str>> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number, as Python takes `True` for one too.
    pub fn as_int(&self) -> Option<i128> {
        match self {
            Value::Int(value) => Some(*value),
            Value::Bool(value) => Some(i128::from(*value)),
            _ => None,
        }
    }

    pub fn as_float(&self) -> Option<f64> {
        match self {
            Value::Float(value) => Some(*value),
            other => other.as_int().map(|value| value as f64),
        }
    }

    /// How many lists are within one another.
    pub fn depth(&self) -> u32 {
        match self {
            Value::List(seq) | Value::Tuple(seq) | Value::View(_, seq) => seq.depth,
            Value::Dict(dict) => dict.depth,
            Value::Generator(generator) => generator.items.depth,
            Value::Method(method) => 1 + method.0.depth(),
            _ => 0,
        }
    }

    /// What the value is looked up by.
    pub fn key(&self, budget: &Budget) -> Outcome<Key> {
        budget.step(1)?;
        Ok(match self {
            Value::None => Key::None,
            Value::Bool(value) => Key::Int(i128::from(*value)),
            Value::Int(value) => Key::Int(*value),
            Value::Float(value) if value.fract() == 0.0 && value.abs() < 1e30 => {
                Key::Int(*value as i128)
            }
            Value::Float(value) => Key::Float(value.to_bits()),
            Value::Text(text) => {
                budget.scan(text.len())?;
                Key::Text(text.clone())
            }
            Value::Tuple(seq) => {
                let keys: Outcome<Vec<Key>> =
                    seq.items.iter().map(|item| item.key(budget)).collect();
                Key::Tuple(keys?)
            }
            Value::Undefined(_) => Key::Other(usize::MAX),
            Value::Object(number) => Key::Other(*number),
            other => {
                let problem = format!("unhashable type: '{}'", other.type_name());
                return Err(super::fault::Fault::render(problem));
            }
        })
    }

    /// Python's name of the type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Undefined(_) => "Undefined",
            Value::None => "NoneType",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::Text(_) => "str",
            Value::List(_) => "list",
            Value::Tuple(_) => "tuple",
            Value::Dict(_) => "dict",
            Value::View(name, _) => name,
            Value::Range(..) => "range",
            Value::Generator(_) => "generator",
            Value::Object(_) => "Namespace",
            Value::Macro(_) => "Macro",
            Value::Loop(_) => "LoopContext",
            Value::Method(_) => "method",
            Value::Function(_) => "function",
        }
    }

    /// How many numbers a range has.
    pub fn range_length(start: i128, end: i128, step: i128) -> usize {
        let span = if step > 0 { end - start } else { start - end };
        let step = step.abs().max(1);
        usize::try_from((span + step - 1).max(0) / step).unwrap_or(usize::MAX)
    }
}
