//! Walks a template's tree: expressions.

use std::rc::Rc;

use super::ast::*;
use super::fault::{Fault, Outcome};
use super::render::Renderer;
use super::value::{Scope, Value};

/// What a function, filter or test is called with.
#[derive(Default)]
pub struct Values {
    pub positional: Vec<Value>,
    pub named: Vec<(Name, Value)>,
}

impl Values {
    /// The values of parameters with these names, in their order.
    pub fn bind<const N: usize>(
        &self,
        what: &str,
        names: [&str; N],
    ) -> Outcome<[Option<Value>; N]> {
        let mut slots = [const { None }; N];
        if self.positional.len() > N {
            let given = self.positional.len();
            let problem = format!("{what} takes at most {N} arguments, but {given} were given");
            return Err(Fault::render(problem));
        }
        for (slot, value) in slots.iter_mut().zip(&self.positional) {
            *slot = Some(value.clone());
        }
        for (name, value) in &self.named {
            let at = names.iter().position(|known| **known == **name);
            let Some(slot) = at.map(|at| &mut slots[at]) else {
                let problem = format!("{what} got an unexpected keyword argument '{name}'");
                return Err(Fault::render(problem));
            };
            if slot.replace(value.clone()).is_some() {
                let problem = format!("{what} got multiple values for argument '{name}'");
                return Err(Fault::render(problem));
            }
        }
        Ok(slots)
    }
}

impl Renderer {
    pub fn eval(&mut self, expr: &Expr, scope: &Rc<Scope>) -> Outcome<Value> {
        self.budget.enter().map_err(|fault| fault.at(expr.line))?;
        let value = self.expression(expr, scope).map_err(|fault| fault.at(expr.line))?;
        self.budget.leave();
        Ok(value)
    }

    fn expression(&mut self, expr: &Expr, scope: &Rc<Scope>) -> Outcome<Value> {
        match &expr.kind {
            ExprKind::Literal(literal) => Ok(literal.into()),
            ExprKind::Name(name) => Ok(self.lookup(name, scope)),
            ExprKind::List(items) => Value::list(self.all(items, scope)?, &self.budget),
            ExprKind::Tuple(items) => Value::tuple(self.all(items, scope)?, &self.budget),
            ExprKind::Dict(entries) => {
                let mut values = Vec::new();
                for (key, value) in entries {
                    values.push((self.eval(key, scope)?, self.eval(value, scope)?));
                }
                Value::dict(values, &self.budget)
            }
            ExprKind::Attribute(value, name) => {
                let value = self.eval(value, scope)?;
                self.attribute(&value, name)
            }
            ExprKind::Item(value, index) => {
                let (value, index) = (self.eval(value, scope)?, self.eval(index, scope)?);
                self.item(&value, &index)
            }
            ExprKind::Slice(value, parts) => {
                let value = self.eval(value, scope)?;
                let mut bounds = [Value::None, Value::None, Value::None];
                for (bound, part) in bounds.iter_mut().zip(parts.iter()) {
                    if let Some(part) = part {
                        *bound = self.eval(part, scope)?;
                    }
                }
                self.slice(&value, &bounds)
            }
            ExprKind::Call(callee, arguments) => {
                let callee = self.eval(callee, scope)?;
                let arguments = self.arguments(arguments, scope)?;
                self.call(&callee, &arguments)
            }
            ExprKind::Filter(value, filter) => {
                let value = self.eval(value, scope)?;
                let arguments = self.arguments(&filter.arguments, scope)?;
                self.filter(&filter.name, &value, &arguments)
            }
            ExprKind::Test { value, test, negated } => {
                let value = self.eval(value, scope)?;
                let arguments = self.arguments(&test.arguments, scope)?;
                Ok(Value::Bool(self.test(&test.name, &value, &arguments.positional)? != *negated))
            }
            _ => self.operation(expr, scope),
        }
    }

    fn operation(&mut self, expr: &Expr, scope: &Rc<Scope>) -> Outcome<Value> {
        match &expr.kind {
            ExprKind::Not(value) => {
                let value = self.eval(value, scope)?;
                Ok(Value::Bool(!self.truth(&value)))
            }
            ExprKind::Negative(value) => {
                let value = self.eval(value, scope)?;
                self.negative(&value)
            }
            ExprKind::Positive(value) => {
                let value = self.eval(value, scope)?;
                self.positive(&value)
            }
            ExprKind::Binary(operator, left, right) => {
                let (left, right) = (self.eval(left, scope)?, self.eval(right, scope)?);
                self.binary(*operator, &left, &right)
            }
            ExprKind::Concat(parts) => {
                let mut text = String::new();
                for part in parts {
                    let value = self.eval(part, scope)?;
                    self.write_str(&value, &mut text)?;
                }
                Ok(Value::text(text))
            }
            ExprKind::And(left, right) => {
                let left = self.eval(left, scope)?;
                if self.truth(&left) {
                    self.eval(right, scope)
                } else {
                    Ok(left)
                }
            }
            ExprKind::Or(left, right) => {
                let left = self.eval(left, scope)?;
                if self.truth(&left) {
                    Ok(left)
                } else {
                    self.eval(right, scope)
                }
            }
            ExprKind::Compare(first, others) => self.comparisons(first, others, scope),
            ExprKind::If(test, value, otherwise) => {
                let test = self.eval(test, scope)?;
                match (self.truth(&test), otherwise) {
                    (true, _) => self.eval(value, scope),
                    (false, Some(otherwise)) => self.eval(otherwise, scope),
                    (false, None) => Ok(Value::Undefined(
                        "the inline if-expression evaluated to false and no else section was defined."
                            .into(),
                    )),
                }
            }
            _ => Err(Fault::render("this expression cannot be evaluated")),
        }
    }

    fn positive(&self, value: &Value) -> Outcome<Value> {
        match self.defined(value)? {
            Value::Float(value) => Ok(Value::Float(*value)),
            value => match value.as_int() {
                Some(value) => Ok(Value::Int(value)),
                None => super::fault::wrong_type("bad operand type for unary +:", value),
            },
        }
    }

    /// `first < second <= third`: each value is computed once, and none after the first that fails.
    fn comparisons(
        &mut self,
        first: &Expr,
        others: &[(Comparison, Expr)],
        scope: &Rc<Scope>,
    ) -> Outcome<Value> {
        let mut left = self.eval(first, scope)?;
        for (comparison, right) in others {
            let right = self.eval(right, scope)?;
            if !self.compare(*comparison, &left, &right)? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    fn lookup(&self, name: &Name, scope: &Rc<Scope>) -> Value {
        scope.get(name).unwrap_or_else(|| match super::functions::named(name) {
            Some(function) => Value::Function(function),
            None => Value::missing(name),
        })
    }

    fn all(&mut self, exprs: &[Expr], scope: &Rc<Scope>) -> Outcome<Vec<Value>> {
        exprs.iter().map(|expr| self.eval(expr, scope)).collect()
    }

    pub fn arguments(&mut self, arguments: &Arguments, scope: &Rc<Scope>) -> Outcome<Values> {
        let mut positional = self.all(&arguments.positional, scope)?;
        let mut named = Vec::new();
        for (name, value) in &arguments.named {
            named.push((name.clone(), self.eval(value, scope)?));
        }
        if let Some(list) = &arguments.list {
            let list = self.eval(list, scope)?;
            positional.extend(self.iterate(&list)?.items.iter().cloned());
        }
        if let Some(dict) = &arguments.dict {
            match self.eval(dict, scope)? {
                Value::Dict(dict) => {
                    for (key, value) in &dict.entries {
                        let Some(name) = key.as_text() else {
                            return Err(Fault::render("keywords must be strings"));
                        };
                        named.push((name.clone(), value.clone()));
                    }
                }
                other => {
                    let kind = other.type_name();
                    let problem = format!("argument after ** must be a mapping, not {kind}");
                    return Err(Fault::render(problem));
                }
            }
        }
        self.budget.items(positional.len() + named.len())?;
        Ok(Values { positional, named })
    }

    /// `{% call %}`: the call gets the block as `caller`.
    pub fn call_with_caller(
        &mut self,
        call: &Expr,
        caller: Value,
        scope: &Rc<Scope>,
    ) -> Outcome<Value> {
        let ExprKind::Call(callee, arguments) = &call.kind else {
            return Err(Fault::render("a call block calls something"));
        };
        let callee = self.eval(callee, scope)?;
        let mut arguments = self.arguments(arguments, scope)?;
        arguments.named.push(("caller".into(), caller));
        self.call(&callee, &arguments)
    }

    pub fn call(&mut self, callee: &Value, arguments: &Values) -> Outcome<Value> {
        match self.defined(callee)? {
            Value::Macro(closure) => {
                let closure = closure.clone();
                self.call_macro(&closure, arguments)
            }
            Value::Method(method) => {
                let method = method.clone();
                self.method(&method.0, &method.1, arguments)
            }
            Value::Function(name) => self.function(name, arguments),
            Value::Loop(state) => {
                let [items] = arguments.bind("loop", ["iterable"])?;
                let state = state.clone();
                self.loop_again(&state, &items.unwrap_or(Value::None))
            }
            Value::Object(number) => self.call_object(*number),
            other => Err(Fault::render(format!("'{}' object is not callable", other.type_name()))),
        }
    }
}
