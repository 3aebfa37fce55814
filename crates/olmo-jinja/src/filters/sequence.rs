//! Filters of lists and other things with items.

use crate::eval::Values;
use crate::fault::{wrong_type, Fault, Outcome};
use crate::render::Renderer;
use crate::value::{Seq, Value};

impl Renderer {
    pub(super) fn sequence_filter(
        &mut self,
        name: &str,
        value: &Value,
        values: &Values,
    ) -> Outcome<Value> {
        match name {
            "attr" => {
                let [name] = values.bind("attr", ["name"])?;
                let name = self.text_or(name.as_ref(), "")?;
                match self.defined(value)? {
                    // Entries of a dict are none of its attributes.
                    Value::Dict(dict) if dict.text(&name).is_some() => Ok(Value::missing(&name)),
                    value => self.attribute(value, &name),
                }
            }
            "count" | "length" => self.length(value).map(|length| Value::Int(length as i128)),
            "first" => self.first(value),
            "last" => match value {
                Value::Generator(_) => Err(Fault::render("'generator' object is not reversible")),
                value => Ok(self.iterate(value)?.items.last().cloned().unwrap_or_else(none)),
            },
            "random" => {
                let items = self.iterate(value)?;
                let length = items.items.len();
                let at = self.now.noise() as usize % length.max(1);
                Ok(items.items.get(at).cloned().unwrap_or_else(none))
            }
            "items" => match value {
                Value::Undefined(_) => Value::generator(Vec::new(), &self.budget),
                Value::Dict(_) => {
                    let pairs = self.pairs(value)?;
                    Value::generator(pairs, &self.budget)
                }
                _ => Err(Fault::render("Can only get item pairs from a mapping.")),
            },
            "list" => {
                let items = self.iterate(value)?;
                Value::list(items.items.clone(), &self.budget)
            }
            "reverse" => match value {
                Value::Text(text) => {
                    self.budget.text(text.len())?;
                    Ok(Value::text(text.chars().rev().collect::<String>()))
                }
                value => {
                    let items = self.iterate(value)?;
                    Value::generator(items.items.iter().rev().cloned().collect(), &self.budget)
                }
            },
            "join" => self.join(value, values),
            "sum" => self.sum(value, values),
            "map" => self.map(value, values),
            "batch" | "slice" => self.divide(name, value, values),
            _ => self.select(name, value, values),
        }
    }

    /// The first item; of a generator the next, which is then gone.
    fn first(&mut self, value: &Value) -> Outcome<Value> {
        match value {
            Value::Generator(generator) => {
                let at = generator.next.get();
                generator.next.set((at + 1).min(generator.items.items.len()));
                Ok(generator.items.items.get(at).cloned().unwrap_or_else(none))
            }
            value => Ok(self.iterate(value)?.items.first().cloned().unwrap_or_else(none)),
        }
    }

    /// `len(value)`
    pub fn length(&self, value: &Value) -> Outcome<usize> {
        Ok(match value {
            Value::Undefined(_) => 0,
            Value::Text(text) => {
                self.budget.scan(text.len() * 8)?;
                text.chars().count()
            }
            Value::List(seq) | Value::Tuple(seq) | Value::View(_, seq) => seq.items.len(),
            Value::Dict(dict) => dict.entries.len(),
            Value::Range(start, end, step) => Value::range_length(*start, *end, *step),
            Value::Loop(state) => state.items.items.len(),
            other => {
                let kind = other.type_name();
                return Err(Fault::render(format!("object of type '{kind}' has no len()")));
            }
        })
    }

    /// The entries of a dict as tuples.
    pub fn pairs(&self, value: &Value) -> Outcome<Vec<Value>> {
        let Value::Dict(dict) = value else { return wrong_type("no mapping:", value) };
        let pair = |(key, value): &(Value, Value)| {
            Value::tuple(vec![key.clone(), value.clone()], &self.budget)
        };
        dict.entries.iter().map(pair).collect()
    }

    fn join(&self, value: &Value, values: &Values) -> Outcome<Value> {
        let [separator, attribute] = values.bind("join", ["d", "attribute"])?;
        let separator = self.text_or(separator.as_ref(), "")?;
        let mut text = String::new();
        for (at, item) in self.iterate(value)?.items.iter().enumerate() {
            if at > 0 {
                self.budget.text(separator.len())?;
                text.push_str(&separator);
            }
            match &attribute {
                Some(attribute) if !matches!(attribute, Value::None) => {
                    let found = self.attribute_path(item, attribute, None)?;
                    self.write_str(&found, &mut text)?;
                }
                _ => self.write_str(item, &mut text)?,
            }
        }
        Ok(Value::text(text))
    }

    fn sum(&self, value: &Value, values: &Values) -> Outcome<Value> {
        let [attribute, start] = values.bind("sum", ["attribute", "start"])?;
        let mut sum = start.unwrap_or(Value::Int(0));
        if matches!(sum, Value::Text(_)) {
            return Err(Fault::render("sum() can't sum strings [use ''.join(seq) instead]"));
        }
        for item in &self.iterate(value)?.items {
            let item = match &attribute {
                Some(Value::None) | None => item.clone(),
                Some(attribute) => self.attribute_path(item, attribute, None)?,
            };
            sum = self.binary(crate::ast::Operator::Add, &sum, &item)?;
        }
        Ok(sum)
    }

    fn map(&mut self, value: &Value, values: &Values) -> Outcome<Value> {
        let items = self.iterate(value)?;
        let mut mapped = Vec::new();
        if values.positional.is_empty() {
            let names = ["attribute", "default"];
            let [attribute, default] = values.bind("map", names)?;
            let Some(attribute) = attribute else {
                return Err(Fault::render("map requires a filter argument"));
            };
            for item in &items.items {
                mapped.push(self.attribute_path(item, &attribute, default.as_ref())?);
            }
        } else {
            let (name, rest) = self.named_call(values)?;
            for item in &items.items {
                mapped.push(self.filter(&name, item, &rest)?);
            }
        }
        Value::generator(mapped, &self.budget)
    }

    /// The filter or test that the first argument names, and the other arguments.
    fn named_call(&self, values: &Values) -> Outcome<(String, Values)> {
        let name = self.text_or(values.positional.first(), "")?;
        let rest = values.positional.get(1..).unwrap_or_default().to_vec();
        Ok((name, Values { positional: rest, named: values.named.clone() }))
    }

    /// `select`, `reject` and the two of attributes.
    fn select(&mut self, name: &str, value: &Value, values: &Values) -> Outcome<Value> {
        let wanted = name.starts_with("select");
        let by_attribute = name.ends_with("attr");
        let attribute = by_attribute.then(|| values.positional.first().cloned());
        let attribute = match attribute {
            Some(None) => return Err(Fault::render("Missing parameter for attribute name")),
            Some(attribute) => attribute,
            None => None,
        };
        let skipped = usize::from(by_attribute);
        let positional = values.positional.get(skipped..).unwrap_or_default().to_vec();
        let rest = Values { positional, named: values.named.clone() };
        let test = match rest.positional.is_empty() {
            true => None,
            false => Some(self.named_call(&rest)?),
        };
        let mut kept = Vec::new();
        for item in &self.iterate(value)?.items {
            let subject = match &attribute {
                Some(attribute) => self.attribute_path(item, attribute, None)?,
                None => item.clone(),
            };
            let holds = match &test {
                Some((name, rest)) => self.test(name, &subject, &rest.positional)?,
                None => self.truth(&subject),
            };
            if holds == wanted {
                kept.push(item.clone());
            }
        }
        Value::generator(kept, &self.budget)
    }

    /// `batch`: lists of so many items. `slice`: so many lists.
    fn divide(&self, name: &str, value: &Value, values: &Values) -> Outcome<Value> {
        let first = if name == "batch" { "linecount" } else { "slices" };
        let [count, fill] = values.bind(name, [first, "fill_with"])?;
        let count = self.whole(first, count.as_ref(), 0)?;
        let Some(count) = usize::try_from(count).ok().filter(|&count| count > 0) else {
            return Err(Fault::render(format!("{first} must be at least 1")));
        };
        let fill = fill.filter(|fill| !matches!(fill, Value::None));
        let items = &self.iterate(value)?.items;
        self.budget.items(count.min(if name == "batch" { items.len() } else { count }))?;
        let lists = match name {
            "batch" => self.batches(items, count, fill)?,
            _ => {
                let (each, more) = (items.len() / count, items.len() % count);
                let mut lists = Vec::new();
                let mut from = 0;
                for at in 0..count {
                    let size = each + usize::from(at < more);
                    let mut list = items[from..from + size].to_vec();
                    from += size;
                    if let (Some(fill), true) = (&fill, at >= more) {
                        list.push(fill.clone());
                    }
                    lists.push(Value::list(list, &self.budget)?);
                }
                lists
            }
        };
        Value::generator(lists, &self.budget)
    }

    fn batches(&self, items: &[Value], count: usize, fill: Option<Value>) -> Outcome<Vec<Value>> {
        let mut lists = Vec::new();
        for batch in items.chunks(count) {
            let mut batch = batch.to_vec();
            if let Some(fill) = &fill {
                self.budget.items(count)?;
                batch.resize(count, fill.clone());
            }
            lists.push(Value::List(Seq::new(batch, &self.budget)?));
        }
        Ok(lists)
    }
}

fn none() -> Value {
    Value::Undefined("No item, the sequence was empty.".into())
}
