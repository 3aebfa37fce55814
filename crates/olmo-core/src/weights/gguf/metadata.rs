//! The keys and values at the head of a GGUF file, as they are: what they mean is read elsewhere.

use std::collections::HashMap;

/// The kinds of value, with the numbers that stand for them in files.
///
/// Source: `gguf_type` in `gguf.h` of llama.cpp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    U8 = 0,
    I8 = 1,
    U16 = 2,
    I16 = 3,
    U32 = 4,
    I32 = 5,
    F32 = 6,
    Bool = 7,
    String = 8,
    Array = 9,
    U64 = 10,
    I64 = 11,
    F64 = 12,
}

impl Kind {
    const ALL: [Kind; 13] = [
        Kind::U8,
        Kind::I8,
        Kind::U16,
        Kind::I16,
        Kind::U32,
        Kind::I32,
        Kind::F32,
        Kind::Bool,
        Kind::String,
        Kind::Array,
        Kind::U64,
        Kind::I64,
        Kind::F64,
    ];

    pub fn from_code(code: u32) -> Option<Kind> {
        Kind::ALL.get(code as usize).copied()
    }

    /// Bytes of one value; `None` for those that say their own length.
    pub fn size(self) -> Option<usize> {
        match self {
            Kind::U8 | Kind::I8 | Kind::Bool => Some(1),
            Kind::U16 | Kind::I16 => Some(2),
            Kind::U32 | Kind::I32 | Kind::F32 => Some(4),
            Kind::U64 | Kind::I64 | Kind::F64 => Some(8),
            Kind::String | Kind::Array => None,
        }
    }
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    String(String),
    Array(Array),
    U64(u64),
    I64(i64),
    F64(f64),
}

impl Value {
    pub fn kind(&self) -> Kind {
        match self {
            Value::U8(_) => Kind::U8,
            Value::I8(_) => Kind::I8,
            Value::U16(_) => Kind::U16,
            Value::I16(_) => Kind::I16,
            Value::U32(_) => Kind::U32,
            Value::I32(_) => Kind::I32,
            Value::F32(_) => Kind::F32,
            Value::Bool(_) => Kind::Bool,
            Value::String(_) => Kind::String,
            Value::Array(_) => Kind::Array,
            Value::U64(_) => Kind::U64,
            Value::I64(_) => Kind::I64,
            Value::F64(_) => Kind::F64,
        }
    }

    /// A whole number that is not negative, whatever it is stored as.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Value::U8(n) => Some(n.into()),
            Value::U16(n) => Some(n.into()),
            Value::U32(n) => Some(n.into()),
            Value::U64(n) => Some(n),
            Value::I8(n) => n.try_into().ok(),
            Value::I16(n) => n.try_into().ok(),
            Value::I32(n) => n.try_into().ok(),
            Value::I64(n) => n.try_into().ok(),
            _ => None,
        }
    }

    /// A number with a point. One stored as f32 is the shortest decimal that rounds to it: 1e-6, not
    /// 9.99999997e-7.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::F32(x) => x.to_string().parse().ok(),
            Value::F64(x) => Some(*x),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_array(&self) -> Option<&Array> {
        match self {
            Value::Array(array) => Some(array),
            _ => None,
        }
    }

    /// The value in a few words, for messages.
    pub fn describe(&self) -> String {
        match self {
            Value::String(text) => format!("{:?}", text.chars().take(64).collect::<String>()),
            Value::Array(array) => format!("an array of {}", array.len()),
            Value::Bool(flag) => flag.to_string(),
            Value::F32(x) => x.to_string(),
            Value::F64(x) => x.to_string(),
            Value::U64(n) => n.to_string(),
            Value::U8(_) | Value::U16(_) | Value::U32(_) => {
                self.as_u64().unwrap_or_default().to_string()
            }
            Value::I8(n) => n.to_string(),
            Value::I16(n) => n.to_string(),
            Value::I32(n) => n.to_string(),
            Value::I64(n) => n.to_string(),
        }
    }
}

/// Values of one kind, kept in the bytes that stand for them in a file: a vocabulary is a hundred
/// thousand of them, and often nobody asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    kind: Kind,
    len: usize,
    bytes: Vec<u8>,
}

impl Array {
    /// `bytes` must be `len` values of this kind; the reader has made sure of it.
    pub(super) fn from_bytes(kind: Kind, len: usize, bytes: Vec<u8>) -> Array {
        Array { kind, len, bytes }
    }

    pub fn of_strings<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Array {
        let mut array = Array { kind: Kind::String, len: 0, bytes: Vec::new() };
        for text in texts {
            push_string(&mut array.bytes, text.as_ref());
            array.len += 1;
        }
        array
    }

    pub fn of_i32s(numbers: impl IntoIterator<Item = i32>) -> Array {
        let bytes: Vec<u8> = numbers.into_iter().flat_map(i32::to_le_bytes).collect();
        Array { kind: Kind::I32, len: bytes.len() / 4, bytes }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The texts of an array of them.
    pub fn strings(&self) -> Option<impl Iterator<Item = &str>> {
        let mut rest = self.bytes.as_slice();
        let next = move || {
            let (len, after) = rest.split_first_chunk::<8>()?;
            let (text, after) = after.split_at_checked(u64::from_le_bytes(*len) as usize)?;
            rest = after;
            std::str::from_utf8(text).ok()
        };
        (self.kind == Kind::String).then(|| std::iter::from_fn(next))
    }

    /// The numbers of an array of 32-bit ones.
    pub fn i32s(&self) -> Option<impl Iterator<Item = i32> + '_> {
        let number = |b: &[u8]| i32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        matches!(self.kind, Kind::I32 | Kind::U32).then(|| self.bytes.chunks_exact(4).map(number))
    }
}

/// All keys of a file with their values, in the file's order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    entries: Vec<(String, Value)>,
    places: HashMap<String, usize>,
}

impl Metadata {
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.places.get(key).map(|&place| &self.entries[place].1)
    }

    /// Adds a key, or gives it another value.
    pub fn set(&mut self, key: &str, value: Value) {
        match self.places.get(key) {
            Some(&place) => self.entries[place].1 = value,
            None => {
                self.places.insert(key.to_owned(), self.entries.len());
                self.entries.push((key.to_owned(), value));
            }
        }
    }

    /// Removes a key, if it is there.
    pub fn remove(&mut self, key: &str) {
        let Some(place) = self.places.remove(key) else { return };
        self.entries.remove(place);
        self.places.values_mut().filter(|other| **other > place).for_each(|other| *other -= 1);
    }

    pub fn contains(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }
}

/// A text as files have it: its length in bytes, then the bytes.
pub(super) fn push_string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// A value as files have it: the number of its kind, then itself.
pub(super) fn push_value(out: &mut Vec<u8>, value: &Value) {
    out.extend((value.kind() as u32).to_le_bytes());
    match value {
        Value::U8(n) => out.push(*n),
        Value::I8(n) => out.extend(n.to_le_bytes()),
        Value::U16(n) => out.extend(n.to_le_bytes()),
        Value::I16(n) => out.extend(n.to_le_bytes()),
        Value::U32(n) => out.extend(n.to_le_bytes()),
        Value::I32(n) => out.extend(n.to_le_bytes()),
        Value::F32(x) => out.extend(x.to_le_bytes()),
        Value::Bool(flag) => out.push((*flag).into()),
        Value::String(text) => push_string(out, text),
        Value::Array(array) => {
            out.extend((array.kind as u32).to_le_bytes());
            out.extend((array.len as u64).to_le_bytes());
            out.extend(&array.bytes);
        }
        Value::U64(n) => out.extend(n.to_le_bytes()),
        Value::I64(n) => out.extend(n.to_le_bytes()),
        Value::F64(x) => out.extend(x.to_le_bytes()),
    }
}
