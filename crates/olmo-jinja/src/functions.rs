//! What a template can call by name.

use super::budget::MAX_RANGE;
use super::eval::Values;
use super::fault::{wrong_type, Fault, FaultKind, Outcome};
use super::render::Renderer;
use super::value::{Dict, Object, Seq, Value};

const NAMES: [&str; 8] =
    ["range", "dict", "namespace", "cycler", "joiner", "raise_exception", "strftime_now", "self"];

/// The function of this name.
pub fn named(name: &str) -> Option<&'static str> {
    NAMES.into_iter().find(|known| *known == name)
}

impl Renderer {
    pub fn function(&mut self, name: &str, arguments: &Values) -> Outcome<Value> {
        match name {
            "range" => self.range(arguments),
            "dict" => {
                let dict = self.entries(arguments)?;
                Ok(Value::Dict(dict.into()))
            }
            "namespace" => {
                let dict = self.entries(arguments)?;
                let named = |key: &Value| key.as_text().is_some_and(|key| key.starts_with('_'));
                if dict.entries.iter().any(|(key, _)| named(key)) {
                    let problem =
                        "Chat templates cannot store underscore-prefixed attributes on a \
                                   namespace.";
                    return Err(Fault::render(problem));
                }
                self.object(Object::Namespace(dict))
            }
            "cycler" => {
                if arguments.positional.is_empty() {
                    return Err(Fault::render("at least one item has to be provided"));
                }
                let items = Seq::new(arguments.positional.clone(), &self.budget)?;
                self.object(Object::Cycler { items, at: 0 })
            }
            "joiner" => {
                let [separator] = arguments.bind("joiner", ["sep"])?;
                let separator = separator.unwrap_or_else(|| Value::text(", "));
                self.object(Object::Joiner { separator, used: false })
            }
            // The blocks of a template, which nothing here calls again.
            "self" => Err(Fault::render("'TemplateReference' object is not callable")),
            "raise_exception" => {
                let [message] = arguments.bind("raise_exception", ["message"])?;
                let message = self.str(&message.unwrap_or(Value::None))?;
                Err(Fault::new(FaultKind::Raised, message))
            }
            _ => {
                let [format] = arguments.bind("strftime_now", ["format"])?;
                match format {
                    Some(Value::Text(format)) => {
                        let text = self.now.format(&format, &self.budget)?;
                        Ok(Value::text(text))
                    }
                    other => wrong_type(
                        "strftime() argument 1 must be str, not",
                        &other.unwrap_or(Value::None),
                    ),
                }
            }
        }
    }

    fn object(&mut self, object: Object) -> Outcome<Value> {
        self.budget.items(4)?;
        self.objects.push(object);
        Ok(Value::Object(self.objects.len() - 1))
    }

    fn range(&self, arguments: &Values) -> Outcome<Value> {
        if !arguments.named.is_empty() {
            return Err(Fault::render("range() takes no keyword arguments"));
        }
        let whole = |value: &Value| match self.defined(value)?.as_int() {
            Some(value) => Ok(value.clamp(i128::from(i64::MIN), i128::from(i64::MAX))),
            None => Err(Fault::render(format!(
                "'{}' object cannot be interpreted as an integer",
                value.type_name()
            ))),
        };
        let (start, end, step) = match arguments.positional.as_slice() {
            [end] => (0, whole(end)?, 1),
            [start, end] => (whole(start)?, whole(end)?, 1),
            [start, end, step] => (whole(start)?, whole(end)?, whole(step)?),
            others => {
                let problem = format!("range expected 1 to 3 arguments, got {}", others.len());
                return Err(Fault::render(problem));
            }
        };
        if step == 0 {
            return Err(Fault::render("range() arg 3 must not be zero"));
        }
        if Value::range_length(start, end, step) as i128 > MAX_RANGE {
            let problem = "Range too big. The sandbox blocks ranges larger than MAX_RANGE";
            return Err(Fault::limit(format!("{problem} ({MAX_RANGE}).")));
        }
        Ok(Value::Range(start, end, step))
    }

    /// What `dict(…)` makes of its arguments.
    fn entries(&self, arguments: &Values) -> Outcome<Dict> {
        let mut dict = Dict::default();
        match arguments.positional.as_slice() {
            [] => {}
            [Value::Dict(other)] => {
                for (key, value) in &other.entries {
                    dict.set(key.clone(), value.clone(), &self.budget)?;
                }
            }
            [pairs] => {
                for pair in &self.iterate(pairs)?.items {
                    let pair = self.iterate(pair)?;
                    let [key, value] = pair.items.as_slice() else {
                        let problem = "dictionary update sequence element is not a pair";
                        return Err(Fault::render(problem));
                    };
                    dict.set(key.clone(), value.clone(), &self.budget)?;
                }
            }
            more => {
                let given = more.len();
                let problem = format!("dict expected at most 1 argument, got {given}");
                return Err(Fault::render(problem));
            }
        }
        for (name, value) in &arguments.named {
            dict.set(Value::Text(name.clone()), value.clone(), &self.budget)?;
        }
        Ok(dict)
    }

    /// `joiner()`: nothing the first time, then its separator.
    pub fn call_object(&mut self, number: usize) -> Outcome<Value> {
        match &mut self.objects[number] {
            Object::Joiner { separator, used } => match std::mem::replace(used, true) {
                true => Ok(separator.clone()),
                false => Ok(Value::text("")),
            },
            _ => Err(Fault::render("'Namespace' object is not callable")),
        }
    }

    /// `cycler.next()`
    pub fn cycle(&mut self, number: usize) -> Outcome<Value> {
        match &mut self.objects[number] {
            Object::Cycler { items, at } => {
                let value = items.items[*at].clone();
                *at = (*at + 1) % items.items.len();
                Ok(value)
            }
            _ => Err(Fault::render("this is no cycler")),
        }
    }

    pub fn reset(&mut self, number: usize) {
        if let Object::Cycler { at, .. } = &mut self.objects[number] {
            *at = 0;
        }
    }
}
