//! Filters that put things in order.

use std::cmp::Ordering;
use std::collections::HashSet;

use crate::eval::Values;
use crate::fault::{Fault, Outcome};
use crate::render::Renderer;
use crate::value::{Seq, Value};

impl Renderer {
    pub(super) fn order_filter(
        &self,
        name: &str,
        value: &Value,
        values: &Values,
    ) -> Outcome<Value> {
        match name {
            "sort" => {
                let [reverse, case, attribute] =
                    values.bind("sort", ["reverse", "case_sensitive", "attribute"])?;
                let reverse = reverse.is_some_and(|reverse| self.truth(&reverse));
                let keyed = self.keyed(value, attribute.as_ref(), self.flag(case), None)?;
                let sorted = self.sorted(keyed, reverse)?;
                Value::list(sorted.into_iter().map(|(_, item)| item).collect(), &self.budget)
            }
            "dictsort" => self.dict_sort(value, values),
            "unique" => {
                let [case, attribute] = values.bind("unique", ["case_sensitive", "attribute"])?;
                let mut seen = HashSet::new();
                let mut kept = Vec::new();
                for (key, item) in self.keyed(value, attribute.as_ref(), self.flag(case), None)? {
                    if seen.insert(key.key(&self.budget)?) {
                        kept.push(item);
                    }
                }
                Value::generator(kept, &self.budget)
            }
            "groupby" => self.group_by(value, values),
            _ => {
                let [case, attribute] = values.bind(name, ["case_sensitive", "attribute"])?;
                let keyed = self.keyed(value, attribute.as_ref(), self.flag(case), None)?;
                let wanted = if name == "min" { Ordering::Less } else { Ordering::Greater };
                let sign = if name == "min" { "<" } else { ">" };
                let mut best: Option<(Value, Value)> = None;
                for (key, item) in keyed {
                    let better = match &best {
                        Some((other, _)) => self.order(&key, other, sign)? == Some(wanted),
                        None => true,
                    };
                    if better {
                        best = Some((key, item));
                    }
                }
                let none = || Value::Undefined("No aggregated item, sequence was empty.".into());
                Ok(best.map_or_else(none, |(_, item)| item))
            }
        }
    }

    fn flag(&self, value: Option<Value>) -> bool {
        value.is_some_and(|value| self.truth(&value))
    }

    /// The items with what they are ordered by.
    fn keyed(
        &self,
        value: &Value,
        attribute: Option<&Value>,
        case_sensitive: bool,
        default: Option<&Value>,
    ) -> Outcome<Vec<(Value, Value)>> {
        let items = self.iterate(value)?;
        self.budget.items(items.items.len())?;
        let several = match attribute {
            Some(Value::Text(names)) if names.contains(',') => {
                names.split(',').map(|name| Value::text(name.trim())).collect()
            }
            Some(Value::None) | None => Vec::new(),
            Some(one) => vec![one.clone()],
        };
        let mut keyed = Vec::new();
        for item in &items.items {
            let mut keys = Vec::new();
            for name in &several {
                let found = self.attribute_path(item, name, default)?;
                keys.push(if case_sensitive { found } else { self.lowered(found)? });
            }
            let key = match keys.len() {
                0 if case_sensitive => item.clone(),
                0 => self.lowered(item.clone())?,
                1 => keys.remove(0),
                _ => Value::list(keys, &self.budget)?,
            };
            keyed.push((key, item.clone()));
        }
        Ok(keyed)
    }

    fn lowered(&self, value: Value) -> Outcome<Value> {
        match value {
            Value::Text(text) => {
                self.budget.text(text.len())?;
                Ok(Value::text(text.to_lowercase()))
            }
            other => Ok(other),
        }
    }

    /// Sorts stably by the first of each two. Rust's own sort would panic at an order that is none.
    fn sorted(
        &self,
        mut keyed: Vec<(Value, Value)>,
        reverse: bool,
    ) -> Outcome<Vec<(Value, Value)>> {
        let mut width = 1;
        while width < keyed.len() {
            let mut merged = Vec::with_capacity(keyed.len());
            for run in keyed.chunks(width * 2) {
                let (mut left, mut right) = run.split_at(width.min(run.len()));
                while let ([one, left_rest @ ..], [other, right_rest @ ..]) = (left, right) {
                    let order = match reverse {
                        true => self.order(&one.0, &other.0, "<")?,
                        false => self.order(&other.0, &one.0, "<")?,
                    };
                    if order == Some(Ordering::Less) {
                        merged.push(other.clone());
                        right = right_rest;
                    } else {
                        merged.push(one.clone());
                        left = left_rest;
                    }
                }
                merged.extend(left.iter().chain(right).cloned());
            }
            keyed = merged;
            width *= 2;
        }
        Ok(keyed)
    }

    fn dict_sort(&self, value: &Value, values: &Values) -> Outcome<Value> {
        let [case, by, reverse] = values.bind("dictsort", ["case_sensitive", "by", "reverse"])?;
        let case_sensitive = self.flag(case);
        let place = match &*self.text_or(by.as_ref(), "key")? {
            "key" => 0,
            "value" => 1,
            _ => return Err(Fault::render("You can only sort by either \"key\" or \"value\"")),
        };
        let Value::Dict(dict) = self.defined(value)? else {
            let kind = value.type_name();
            return Err(Fault::render(format!("'{kind}' object has no attribute 'items'")));
        };
        let mut keyed = Vec::new();
        for (key, value) in &dict.entries {
            let by = if place == 0 { key.clone() } else { value.clone() };
            let by = if case_sensitive { by } else { self.lowered(by)? };
            keyed.push((by, Value::tuple(vec![key.clone(), value.clone()], &self.budget)?));
        }
        let sorted = self.sorted(keyed, self.flag(reverse))?;
        Value::list(sorted.into_iter().map(|(_, pair)| pair).collect(), &self.budget)
    }

    fn group_by(&self, value: &Value, values: &Values) -> Outcome<Value> {
        let [attribute, default, case] =
            values.bind("groupby", ["attribute", "default", "case_sensitive"])?;
        let case_sensitive = self.flag(case);
        let keyed = self.keyed(value, attribute.as_ref(), case_sensitive, default.as_ref())?;
        let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
        for (key, item) in self.sorted(keyed, false)? {
            match groups.last_mut() {
                Some((last, items)) if self.equal(last, &key)? => items.push(item),
                _ => groups.push((key, vec![item])),
            }
        }
        let mut all = Vec::new();
        for (key, items) in groups {
            // The name as the first of the group writes it.
            let grouper = match (&attribute, items.first()) {
                (Some(attribute), Some(first)) if !case_sensitive => {
                    self.attribute_path(first, attribute, default.as_ref())?
                }
                _ => key,
            };
            let items = Value::list(items, &self.budget)?;
            all.push(Value::Tuple(Seq::group(grouper, items, &self.budget)?));
        }
        Value::list(all, &self.budget)
    }

    /// `a.b.0` of an item.
    pub(super) fn attribute_path(
        &self,
        item: &Value,
        path: &Value,
        default: Option<&Value>,
    ) -> Outcome<Value> {
        let mut value = item.clone();
        match path {
            Value::Text(names) => {
                for name in names.split('.') {
                    let digits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
                    let index = match name.parse() {
                        Ok(index) if digits => Value::Int(index),
                        _ => Value::text(name),
                    };
                    value = self.item(&value, &index)?;
                    if let (true, Some(default)) = (value.is_undefined(), default) {
                        value = default.clone();
                    }
                }
                Ok(value)
            }
            index => {
                let value = self.item(&value, index)?;
                Ok(if value.is_undefined() { default.cloned().unwrap_or(value) } else { value })
            }
        }
    }
}
