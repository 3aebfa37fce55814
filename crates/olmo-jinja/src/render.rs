//! Walks a template's tree and writes its text: statements.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::ast::*;
use super::budget::Budget;
use super::eval::Values;
use super::fault::{Fault, Outcome};
use super::time::Now;
use super::value::*;

pub struct Renderer {
    pub budget: Budget,
    pub now: Now,
    /// What values of [`Value::Object`] are numbers of.
    pub objects: Vec<Object>,
    /// Where text goes: the last one is that of the innermost `set`, `call`, `filter` or macro.
    outputs: Vec<String>,
    /// Scopes that a macro was defined in, which may hold one another.
    closures: Vec<Rc<Scope>>,
    /// Loops that remember values, which may hold them.
    loops: Vec<Rc<LoopState>>,
}

/// How a statement ended.
#[derive(Clone, Copy, PartialEq)]
enum Flow {
    Next,
    Break,
    Continue,
}

impl Renderer {
    pub fn new(budget: Budget, now: Now) -> Renderer {
        let outputs = vec![String::new()];
        let (objects, closures, loops) = (Vec::new(), Vec::new(), Vec::new());
        Renderer { budget, now, objects, outputs, closures, loops }
    }

    /// The whole text of a template with these variables.
    pub fn template(&mut self, body: &Body, variables: Vec<(Name, Value)>) -> Outcome<String> {
        let scope = Scope::within(None);
        for (name, value) in variables {
            scope.set(&name, value);
        }
        self.statements(body, &scope)?;
        Ok(self.outputs.pop().unwrap_or_default())
    }

    fn statements(&mut self, body: &[Stmt], scope: &Rc<Scope>) -> Outcome<Flow> {
        for statement in body {
            self.budget.enter().map_err(|fault| fault.at(statement.line))?;
            let flow =
                self.statement(statement, scope).map_err(|fault| fault.at(statement.line))?;
            self.budget.leave();
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn statement(&mut self, statement: &Stmt, scope: &Rc<Scope>) -> Outcome<Flow> {
        match &statement.kind {
            StmtKind::Text(text) => self.write(&Value::Text(text.clone()))?,
            StmtKind::Print(value) => {
                let value = self.eval(value, scope)?;
                self.write(&value)?;
            }
            StmtKind::If { arms, otherwise } => {
                for (test, body) in arms {
                    let test = self.eval(test, scope)?;
                    if self.truth(&test) {
                        return self.statements(body, scope);
                    }
                }
                return self.statements(otherwise, scope);
            }
            StmtKind::For(code) => {
                let items = self.eval(&code.iter, scope)?;
                self.run_loop(code, &items, scope, 0)?;
            }
            StmtKind::Set { target, value } => {
                let value = self.eval(value, scope)?;
                self.assign(target, value, scope)?;
            }
            StmtKind::SetBlock { target, filters, body } => {
                let text = self.captured(body, &Scope::within(Some(scope.clone())))?;
                let value = self.filtered(text, filters, scope)?;
                self.assign(target, value, scope)?;
            }
            StmtKind::Macro(code) => {
                let value = self.closure(code, scope);
                scope.set(&code.name, value);
            }
            StmtKind::Call { caller, call } => {
                let caller = self.closure(caller, scope);
                let value = self.call_with_caller(call, caller, scope)?;
                self.write(&value)?;
            }
            StmtKind::Filter { filters, body } => {
                let text = self.captured(body, &Scope::within(Some(scope.clone())))?;
                let value = self.filtered(text, filters, scope)?;
                self.write(&value)?;
            }
            StmtKind::With { targets, body } => {
                let inner = Scope::within(Some(scope.clone()));
                for (target, value) in targets {
                    let value = self.eval(value, scope)?;
                    self.assign(target, value, &inner)?;
                }
                return self.statements(body, &inner);
            }
            StmtKind::Scope(body) => {
                return self.statements(body, &Scope::within(Some(scope.clone())));
            }
            StmtKind::Break => return Ok(Flow::Break),
            StmtKind::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn write(&mut self, value: &Value) -> Outcome<()> {
        let mut out = self.outputs.pop().unwrap_or_default();
        let written = self.write_str(value, &mut out);
        self.outputs.push(out);
        written
    }

    /// What a body writes, as a value.
    fn captured(&mut self, body: &[Stmt], scope: &Rc<Scope>) -> Outcome<Value> {
        self.outputs.push(String::new());
        let flow = self.statements(body, scope);
        let text = self.outputs.pop().unwrap_or_default();
        flow?;
        Ok(Value::text(text))
    }

    fn filtered(&mut self, value: Value, filters: &[Call], scope: &Rc<Scope>) -> Outcome<Value> {
        let mut value = value;
        for filter in filters {
            let arguments = self.arguments(&filter.arguments, scope)?;
            value = self.filter(&filter.name, &value, &arguments)?;
        }
        Ok(value)
    }

    fn assign(&mut self, target: &Target, value: Value, scope: &Rc<Scope>) -> Outcome<()> {
        match target {
            Target::Name(name) => scope.set(name, value),
            Target::Attribute(object, name) => {
                if name.starts_with('_') {
                    let problem =
                        "Chat templates cannot store underscore-prefixed attributes on a \
                                   namespace, but got";
                    return Err(Fault::render(format!("{problem} '{name}'")));
                }
                let Some(Value::Object(number)) = scope.get(object) else {
                    let problem = "cannot assign attribute on non-namespace object";
                    return Err(Fault::render(problem));
                };
                match &mut self.objects[number] {
                    Object::Namespace(dict) => {
                        dict.set(Value::Text(name.clone()), value, &self.budget)?;
                    }
                    _ => {
                        let problem = "cannot assign attribute on non-namespace object";
                        return Err(Fault::render(problem));
                    }
                }
            }
            Target::Tuple(targets) => {
                let values = self.iterate(&value)?;
                let (wanted, given) = (targets.len(), values.items.len());
                if given < wanted {
                    return Err(Fault::render(format!(
                        "not enough values to unpack (expected {wanted}, got {given})"
                    )));
                }
                if given > wanted {
                    let problem = format!("too many values to unpack (expected {wanted})");
                    return Err(Fault::render(problem));
                }
                for (target, value) in targets.iter().zip(&values.items) {
                    self.assign(target, value.clone(), scope)?;
                }
            }
        }
        Ok(())
    }

    fn run_loop(
        &mut self,
        code: &Arc<For>,
        over: &Value,
        scope: &Rc<Scope>,
        depth: usize,
    ) -> Outcome<()> {
        let mut items = self.iterate(over)?;
        if let Some(test) = &code.test {
            let mut kept = Vec::new();
            for item in &items.items {
                let inner = Scope::within(Some(scope.clone()));
                self.assign(&code.target, item.clone(), &inner)?;
                let test = self.eval(test, &inner)?;
                if self.truth(&test) {
                    kept.push(item.clone());
                }
            }
            items = Seq::new(kept, &self.budget)?;
        }
        if items.items.is_empty() {
            self.statements(&code.otherwise, &Scope::within(Some(scope.clone())))?;
            return Ok(());
        }
        let again = code.recursive.then(|| (code.clone(), scope.clone()));
        let (at, changed) = (Cell::new(0), RefCell::new(None));
        let state = Rc::new(LoopState { items: items.clone(), at, depth, changed, again });
        let name: Name = "loop".into();
        for (at, item) in items.items.iter().enumerate() {
            self.budget.step(1)?;
            state.at.set(at);
            let inner = Scope::within(Some(scope.clone()));
            inner.set(&name, Value::Loop(state.clone()));
            self.assign(&code.target, item.clone(), &inner)?;
            if self.statements(&code.body, &inner)? == Flow::Break {
                break;
            }
        }
        Ok(())
    }

    /// `loop(items)` in a recursive loop.
    pub fn loop_again(&mut self, state: &LoopState, items: &Value) -> Outcome<Value> {
        let Some((code, scope)) = state.again.clone() else {
            let problem = "The loop must have the 'recursive' marker to be called recursively.";
            return Err(Fault::render(problem));
        };
        self.budget.enter()?;
        self.outputs.push(String::new());
        let ran = self.run_loop(&code, items, &scope, state.depth + 1);
        let text = self.outputs.pop().unwrap_or_default();
        ran?;
        self.budget.leave();
        Ok(Value::text(text))
    }

    /// `loop.changed(…)`
    pub fn loop_changed(&mut self, state: &Rc<LoopState>, values: &[Value]) -> Outcome<Value> {
        let before = state.changed.borrow_mut().take();
        let mut same = before.as_ref().is_some_and(|before| before.len() == values.len());
        for (one, other) in before.iter().flatten().zip(values) {
            same = same && self.equal(one, other)?;
        }
        if before.is_none() {
            self.loops.push(state.clone());
        }
        *state.changed.borrow_mut() = Some(values.to_vec());
        Ok(Value::Bool(!same))
    }

    fn closure(&mut self, code: &Arc<Macro>, scope: &Rc<Scope>) -> Value {
        self.closures.push(scope.clone());
        Value::Macro(Rc::new(Closure { code: code.clone(), scope: scope.clone() }))
    }

    /// Calls a macro: gives its parameters values and takes what it writes.
    pub fn call_macro(&mut self, closure: &Closure, arguments: &Values) -> Outcome<Value> {
        let scope = self.bind(closure, arguments)?;
        self.captured(&closure.code.body, &scope)
    }

    fn bind(&mut self, closure: &Closure, arguments: &Values) -> Outcome<Rc<Scope>> {
        let (code, name) = (&closure.code, &closure.code.name);
        let scope = Scope::within(Some(closure.scope.clone()));
        let mut named = arguments.named.clone();
        let take = |named: &mut Vec<(Name, Value)>, wanted: &str| {
            let at = named.iter().position(|(name, _)| &**name == wanted)?;
            Some(named.swap_remove(at).1)
        };
        if code.uses_caller {
            let none = || Value::Undefined("No caller defined".into());
            let caller = take(&mut named, "caller").unwrap_or_else(none);
            scope.set(&"caller".into(), caller);
        }
        let without = code.params.len() - code.defaults.len();
        for (at, param) in code.params.iter().enumerate() {
            let by_name = take(&mut named, param);
            let value = match (arguments.positional.get(at), by_name) {
                (Some(_), Some(_)) => {
                    let problem = format!("macro '{name}' got multiple values for '{param}'");
                    return Err(Fault::render(problem));
                }
                (Some(value), None) => value.clone(),
                (None, Some(value)) => value,
                (None, None) if at >= without => self.eval(&code.defaults[at - without], &scope)?,
                (None, None) => {
                    Value::Undefined(format!("parameter '{param}' was not provided").into())
                }
            };
            scope.set(param, value);
        }
        let more = arguments.positional.get(code.params.len()..).unwrap_or_default();
        if code.uses_varargs {
            scope.set(&"varargs".into(), Value::tuple(more.to_vec(), &self.budget)?);
        } else if !more.is_empty() {
            let most = code.params.len();
            let problem = format!("macro '{name}' takes not more than {most} argument(s)");
            return Err(Fault::render(problem));
        }
        if code.uses_kwargs {
            let entries = named.into_iter().map(|(name, value)| (Value::Text(name), value));
            scope.set(&"kwargs".into(), Value::dict(entries.collect(), &self.budget)?);
        } else if let Some((other, _)) = named.first() {
            let problem = format!("macro '{name}' takes no keyword argument '{other}'");
            return Err(Fault::render(problem));
        }
        Ok(scope)
    }
}

impl Drop for Renderer {
    /// Takes apart what may hold itself, one by one, so that it goes and no chain of it is too long.
    fn drop(&mut self) {
        for scope in &self.closures {
            let names = std::mem::take(&mut *scope.names.borrow_mut());
            drop(names);
        }
        for state in &self.loops {
            let values = state.changed.borrow_mut().take();
            drop(values);
        }
    }
}
