//! The head of a file, read as if somebody had made it to do harm.
//!
//! Every count and length is held against the bytes that are left before anything is done with it, so
//! what is allocated is in proportion to the file. The problems found are texts; [`super::Gguf`] says
//! of which file.

use std::collections::HashSet;
use std::ops::Range;

use super::metadata::{Array, Kind, Metadata, Value};
use super::{types, ALIGNMENT, ALIGNMENT_KEY, MAGIC, MAX_DIMS, VERSION};
use crate::dtype::TensorType;

/// What a file says of itself.
#[derive(Debug)]
pub(super) struct Head {
    pub metadata: Metadata,
    pub tensors: Vec<Entry>,
    pub unread: Vec<Unread>,
}

/// A tensor of a type that is not read. How long it is is not known, and where it is does not matter.
#[derive(Debug)]
pub(super) struct Unread {
    pub name: String,
    pub problem: String,
}

/// A tensor's name, form and place in the file.
#[derive(Debug)]
pub(super) struct Entry {
    pub name: String,
    pub dtype: TensorType,
    /// The longest stride first, the opposite of the file's order.
    pub shape: Vec<usize>,
    pub range: Range<usize>,
}

/// What is wrong with a file: with one of its tensors, or as a whole.
#[derive(Debug, PartialEq)]
pub(super) struct Problem {
    pub tensor: Option<String>,
    pub text: String,
}

impl From<String> for Problem {
    fn from(text: String) -> Problem {
        Problem { tensor: None, text }
    }
}

/// Bytes that a key, its kind and its value take at least: the length of the key, the kind, a byte.
const LEAST_PAIR: usize = 8 + 4 + 1;

/// Bytes that a tensor's entry takes at least: the length of its name, the number of its sizes, its
/// type, its offset.
const LEAST_ENTRY: usize = 8 + 4 + 4 + 8;

pub(super) fn read(bytes: &[u8]) -> Result<Head, Problem> {
    let mut cursor = Cursor { bytes, at: 0 };
    if cursor.take(4, "magic")? != MAGIC {
        return Err("this is not a GGUF file: it does not begin with GGUF".to_owned().into());
    }
    check_version(cursor.u32("version")?)?;
    let tensors = cursor.count(LEAST_ENTRY, "tensors")?;
    let pairs = cursor.count(LEAST_PAIR, "keys")?;

    let metadata = read_metadata(&mut cursor, pairs)?;
    let (mut entries, mut unread) = (Vec::new(), Vec::new());
    for index in 0..tensors {
        match RawEntry::read(&mut cursor, index)? {
            Ok(entry) => entries.push(entry),
            Err(other) => unread.push(other),
        }
    }
    let alignment = alignment(&metadata)?;
    let data = cursor.at.checked_next_multiple_of(alignment);
    let data = data.filter(|&data| data <= bytes.len() || entries.is_empty());
    let data = data.ok_or_else(|| cursor.cut_off("tensors"))?;
    check_names(&entries, &unread)?;
    let tensors = place(entries, data, bytes.len(), alignment)?;
    Ok(Head { metadata, tensors, unread })
}

fn check_version(version: u32) -> Result<(), Problem> {
    match version {
        2 | VERSION => Ok(()),
        // The two halves have changed places.
        _ if version & 0xFFFF == 0 => {
            Err("this GGUF file is big-endian; only little-endian ones are read".to_owned().into())
        }
        _ => Err(format!(
            "this GGUF file is of version {version}; only 2 and 3 are read: convert it again"
        )
        .into()),
    }
}

fn read_metadata(cursor: &mut Cursor, pairs: usize) -> Result<Metadata, Problem> {
    let mut metadata = Metadata::default();
    for index in 0..pairs {
        let key = cursor.string(&format!("key {index}"))?;
        if metadata.contains(key) {
            return Err(format!("the key `{key}` is there twice").into());
        }
        let value = read_value(cursor, key)?;
        metadata.set(key, value);
    }
    Ok(metadata)
}

fn read_value(cursor: &mut Cursor, key: &str) -> Result<Value, Problem> {
    Ok(match cursor.kind(key)? {
        Kind::U8 => Value::U8(cursor.array::<1>(key)?[0]),
        Kind::I8 => Value::I8(i8::from_le_bytes(cursor.array(key)?)),
        Kind::U16 => Value::U16(u16::from_le_bytes(cursor.array(key)?)),
        Kind::I16 => Value::I16(i16::from_le_bytes(cursor.array(key)?)),
        Kind::U32 => Value::U32(cursor.u32(key)?),
        Kind::I32 => Value::I32(i32::from_le_bytes(cursor.array(key)?)),
        Kind::F32 => Value::F32(f32::from_le_bytes(cursor.array(key)?)),
        Kind::U64 => Value::U64(cursor.u64(key)?),
        Kind::I64 => Value::I64(i64::from_le_bytes(cursor.array(key)?)),
        Kind::F64 => Value::F64(f64::from_le_bytes(cursor.array(key)?)),
        Kind::Bool => match cursor.array::<1>(key)? {
            [0] => Value::Bool(false),
            [1] => Value::Bool(true),
            [other] => return Err(format!("`{key}` is {other}, not true or false").into()),
        },
        Kind::String => Value::String(cursor.string(key)?.to_owned()),
        Kind::Array => Value::Array(read_array(cursor, key)?),
    })
}

fn read_array(cursor: &mut Cursor, key: &str) -> Result<Array, Problem> {
    let kind = cursor.kind(key)?;
    if kind == Kind::Array {
        return Err(format!("`{key}` is an array of arrays, which no OLMo 2 file has").into());
    }
    let len = cursor.count(kind.size().unwrap_or(8), key)?;
    let start = cursor.at;
    match kind.size() {
        Some(size) => drop(cursor.take(len * size, key)?),
        None => {
            for _ in 0..len {
                cursor.string(key)?;
            }
        }
    }
    Ok(Array::from_bytes(kind, len, cursor.bytes[start..cursor.at].to_vec()))
}

fn alignment(metadata: &Metadata) -> Result<usize, Problem> {
    let Some(value) = metadata.get(ALIGNMENT_KEY) else { return Ok(ALIGNMENT) };
    let alignment = value.as_u64().and_then(|n| usize::try_from(n).ok());
    alignment.filter(|n| n.is_power_of_two()).ok_or_else(|| {
        format!("`{ALIGNMENT_KEY}` is {}, but must be a power of two", value.describe()).into()
    })
}

/// A tensor's entry as it stands in the file.
struct RawEntry {
    name: String,
    dtype: TensorType,
    shape: Vec<usize>,
    size: usize,
    offset: u64,
}

impl RawEntry {
    fn read(cursor: &mut Cursor, index: usize) -> Result<Result<RawEntry, Unread>, Problem> {
        let name = cursor.string(&format!("the name of tensor {index}"))?.to_owned();
        let wrong = |text: String| Problem { tensor: Some(name.clone()), text };
        let dims = cursor.u32(&name)?;
        if dims as usize > MAX_DIMS {
            return Err(wrong(format!("has {dims} dimensions, but {MAX_DIMS} are the most")));
        }
        let mut shape = Vec::new();
        for _ in 0..dims {
            shape.push(cursor.u64(&name)?);
        }
        let dtype = types::from_code(cursor.u32(&name)?);
        let offset = cursor.u64(&name)?;
        let dtype = match dtype {
            Ok(dtype) => dtype,
            Err(problem) => return Ok(Err(Unread { name, problem })),
        };

        let too_large = || wrong(format!("has shape {shape:?}, which no file can hold"));
        let sizes: Option<Vec<usize>> = shape.iter().map(|&n| usize::try_from(n).ok()).collect();
        let sizes = sizes.ok_or_else(too_large)?;
        let columns = sizes.first().copied().unwrap_or(1);
        let row = dtype.bytes(columns).ok_or_else(|| {
            wrong(format!("has rows of {columns}, not whole blocks of {}", dtype.name()))
        })?;
        let rows = || sizes.iter().skip(1).try_fold(1, |rows: usize, &n| rows.checked_mul(n));
        // The rows of an empty tensor are counted too: whoever counts elements must not overflow.
        let elements = rows().and_then(|rows| rows.checked_mul(columns.max(1)));
        let size = rows().and_then(|rows| rows.checked_mul(row)).filter(|_| elements.is_some());
        let size = size.ok_or_else(too_large)?;
        let shape = sizes.into_iter().rev().collect();
        Ok(Ok(RawEntry { name, dtype, shape, size, offset }))
    }
}

fn check_names(entries: &[RawEntry], unread: &[Unread]) -> Result<(), Problem> {
    let mut names = HashSet::new();
    let all = entries.iter().map(|entry| &entry.name).chain(unread.iter().map(|other| &other.name));
    match all.into_iter().find(|name| !names.insert(name.as_str())) {
        Some(name) => Err(Problem { tensor: Some(name.clone()), text: "is there twice".into() }),
        None => Ok(()),
    }
}

/// Gives each tensor its place: aligned, inside the file, and nobody else's.
fn place(
    entries: Vec<RawEntry>,
    data: usize,
    end: usize,
    alignment: usize,
) -> Result<Vec<Entry>, Problem> {
    let mut placed = Vec::with_capacity(entries.len());
    for RawEntry { name, dtype, shape, size, offset } in entries {
        let wrong = |text: String| Problem { tensor: Some(name.clone()), text };
        if !offset.is_multiple_of(alignment as u64) {
            return Err(wrong(format!("begins at {offset}, no multiple of {alignment}")));
        }
        let start = usize::try_from(offset).ok().and_then(|offset| data.checked_add(offset));
        let range = start.and_then(|start| Some(start..start.checked_add(size)?));
        let Some(range) = range.filter(|range| range.end <= end) else {
            return Err(wrong(format!(
                "has {size} bytes from {offset} on, but the file ends at {end}, {} bytes after the \
                 first tensor's beginning: it was cut off, download it again",
                end.saturating_sub(data)
            )));
        };
        placed.push(Entry { name, dtype, shape, range });
    }
    let mut order: Vec<&Entry> = placed.iter().collect();
    order.sort_by_key(|entry| (entry.range.start, entry.range.end));
    match order.windows(2).find(|pair| pair[0].range.end > pair[1].range.start) {
        Some(pair) => Err(Problem {
            tensor: Some(pair[1].name.clone()),
            text: format!("begins before the tensor `{}` ends", pair[0].name),
        }),
        None => Ok(placed),
    }
}

/// A place in the file, moving forward.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn cut_off(&self, what: &str) -> Problem {
        let end = self.bytes.len();
        let at = self.at;
        format!("`{what}` at byte {at} is longer than the file, which ends at {end}: it is damaged or cut off, download it again").into()
    }

    fn take(&mut self, len: usize, what: &str) -> Result<&'a [u8], Problem> {
        let (taken, _) =
            self.bytes[self.at..].split_at_checked(len).ok_or_else(|| self.cut_off(what))?;
        self.at += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Problem> {
        Ok(self.take(N, what)?.try_into().expect("as many bytes as were taken"))
    }

    fn u32(&mut self, what: &str) -> Result<u32, Problem> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    fn u64(&mut self, what: &str) -> Result<u64, Problem> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// A number of things that take `least` bytes each at least, so that they fit in what is left.
    fn count(&mut self, least: usize, what: &str) -> Result<usize, Problem> {
        let count = self.u64(what)?;
        let most = (self.bytes.len() - self.at) / least;
        match usize::try_from(count) {
            Ok(count) if count <= most => Ok(count),
            _ => Err(format!("it says there are {count} in `{what}`, but the file has room for {most} at most: it is damaged or cut off, download it again").into()),
        }
    }

    fn kind(&mut self, key: &str) -> Result<Kind, Problem> {
        let code = self.u32(key)?;
        Kind::from_code(code).ok_or_else(|| format!("`{key}` is of an unknown kind, {code}").into())
    }

    fn string(&mut self, what: &str) -> Result<&'a str, Problem> {
        let len = self.count(1, what)?;
        let bytes = self.take(len, what)?;
        std::str::from_utf8(bytes).map_err(|error| format!("`{what}` is not UTF-8: {error}").into())
    }
}
