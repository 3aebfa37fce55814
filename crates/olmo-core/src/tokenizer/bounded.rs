//! JSON that is read with a bound: on the number of values, of entries, and of bytes.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// Entries of the vocabulary, and of the merges. dolma2 has 100,278.
const MOST_TOKENS: usize = 1 << 20;
/// Bytes of a token's text.
pub(super) const LONGEST_TOKEN: usize = 1 << 12;

/// Of a key that is there twice the crate may take the one that was not looked at.
pub(super) fn insert<E: serde::de::Error>(
    values: &mut Map<String, Value>,
    key: String,
    value: Value,
) -> Result<(), E> {
    if values.contains_key(&key) {
        return Err(E::custom(format!("the key `{key}` is there twice")));
    }
    values.insert(key, value);
    Ok(())
}

/// A list or an object that is gone through and not kept.
pub(super) struct Entries;

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Entries)
    }
}

impl<'de> Visitor<'de> for Entries {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "at most {MOST_TOKENS} tokens or pairs of at most {LONGEST_TOKEN} bytes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut left = MOST_TOKENS;
        while let Some(Text::<LONGEST_TOKEN>) = map.next_key()? {
            map.next_value::<IgnoredAny>()?;
            left = left.checked_sub(1).ok_or_else(|| too_large(&self))?;
        }
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Entries, A::Error> {
        let mut left = MOST_TOKENS;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            left = left.checked_sub(1).ok_or_else(|| too_large(&self))?;
        }
        Ok(self)
    }
}

fn too_large<E: serde::de::Error>(expected: &dyn serde::de::Expected) -> E {
    E::invalid_length(MOST_TOKENS + 1, expected)
}

/// A text that is not too long.
pub(super) struct Text<const MOST: usize>;

impl<'de, const MOST: usize> Deserialize<'de> for Text<MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text)
    }
}

impl<const MOST: usize> Visitor<'_> for Text<MOST> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "a text of at most {MOST} bytes")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self, E> {
        match text.len() <= MOST {
            true => Ok(Text),
            false => Err(E::invalid_length(text.len(), &self)),
        }
    }
}

/// Any value, as long as there are not too many.
pub(super) struct Bounded<'a>(pub &'a Cell<usize>);

impl Bounded<'_> {
    fn take<E: serde::de::Error>(&self) -> Result<(), E> {
        let left = self.0.get().checked_sub(1);
        self.0.set(left.ok_or_else(|| E::custom("it has more parts than any tokenizer needs"))?);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.take()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(Bounded(self.0))? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(Bounded(self.0))?;
            insert(&mut values, key, value)?;
        }
        Ok(values.into())
    }
}
