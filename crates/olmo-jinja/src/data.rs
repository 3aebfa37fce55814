//! What a caller gives a template: JSON whose objects keep their order, as Python's dicts do.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Data>),
    Dict(Vec<(String, Data)>),
}

impl Data {
    /// The entry of an object.
    pub fn get(&self, name: &str) -> Option<&Data> {
        match self {
            Data::Dict(entries) => {
                entries.iter().find(|(key, _)| key == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    /// About how many bytes it takes.
    pub fn size(&self) -> usize {
        16 + match self {
            Data::Text(text) => text.len(),
            Data::List(items) => items.iter().map(Data::size).sum(),
            Data::Dict(entries) => {
                entries.iter().map(|(key, value)| key.len() + value.size()).sum()
            }
            _ => 0,
        }
    }

    /// The same with another text in place of each, but for the keys.
    pub fn map_texts(self, change: &mut impl FnMut(String) -> String) -> Data {
        match self {
            Data::Text(text) => Data::Text(change(text)),
            Data::List(items) => {
                Data::List(items.into_iter().map(|item| item.map_texts(change)).collect())
            }
            Data::Dict(entries) => {
                let entries = entries.into_iter();
                Data::Dict(entries.map(|(key, value)| (key, value.map_texts(change))).collect())
            }
            other => other,
        }
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Data, D::Error> {
        deserializer.deserialize_any(DataVisitor)
    }
}

struct DataVisitor;

impl<'de> Visitor<'de> for DataVisitor {
    type Value = Data;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Data, E> {
        Ok(Data::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Data, E> {
        Ok(Data::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Data, E> {
        Ok(i64::try_from(value).map_or(Data::Float(value as f64), Data::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Data, E> {
        Ok(Data::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Data, E> {
        Ok(Data::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Data, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Data::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Data, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Data::Dict(last_wins(entries)))
    }
}

/// Of keys that come twice the last value, where the first stood: as Python's `json` has it.
pub fn last_wins(entries: Vec<(String, Data)>) -> Vec<(String, Data)> {
    let mut seen = HashSet::with_capacity(entries.len());
    if entries.iter().all(|(key, _)| seen.insert(key.as_str())) {
        return entries;
    }
    let mut places = HashMap::new();
    let mut kept: Vec<(String, Data)> = Vec::new();
    for (key, value) in entries {
        match places.get(&key) {
            Some(&place) => kept[place] = (key, value),
            None => {
                places.insert(key.clone(), kept.len());
                kept.push((key, value));
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_keys_that_come_twice_the_last_is_taken() {
        let read: Data =
            serde_json::from_str(r#"{"a": 1, "b": 2, "a": {"c": 3, "c": 4}}"#).unwrap();
        let inner = Data::Dict(vec![("c".to_owned(), Data::Int(4))]);
        let entries = vec![("a".to_owned(), inner), ("b".to_owned(), Data::Int(2))];
        assert_eq!(read, Data::Dict(entries));
    }
}
