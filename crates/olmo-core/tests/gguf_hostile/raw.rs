//! GGUF files written by hand, so that they can be wrong.

use olmo_core::weights::gguf::Kind;

/// Writes a file by hand, so that it can be wrong.
#[derive(Clone)]
pub struct Raw {
    pub version: u32,
    pub tensors: Option<u64>,
    pub keys: Option<u64>,
    pub pairs: Vec<Vec<u8>>,
    pub entries: Vec<Vec<u8>>,
    pub data: usize,
}

pub fn text(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text].concat()
}

pub fn pair(key: &[u8], kind: Kind, value: &[u8]) -> Vec<u8> {
    [text(key).as_slice(), &(kind as u32).to_le_bytes(), value].concat()
}

pub fn array(kind: Kind, len: u64, values: &[u8]) -> Vec<u8> {
    [&(kind as u32).to_le_bytes(), len.to_le_bytes().as_slice(), values].concat()
}

pub fn entry(name: &[u8], sizes: &[u64], dtype: u32, offset: u64) -> Vec<u8> {
    let mut entry = text(name);
    entry.extend((sizes.len() as u32).to_le_bytes());
    entry.extend(sizes.iter().flat_map(|size| size.to_le_bytes()));
    entry.extend(dtype.to_le_bytes());
    entry.extend(offset.to_le_bytes());
    entry
}

impl Raw {
    /// Two tensors, which a file may well have.
    pub fn good() -> Raw {
        Raw {
            version: 3,
            tensors: None,
            keys: None,
            pairs: vec![pair(b"general.architecture", Kind::String, &text(b"olmo2"))],
            entries: vec![entry(b"a", &[8, 2], 0, 0), entry(b"b", &[32, 3], 8, 64)],
            data: 64 + 102,
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.tensors.unwrap_or(self.entries.len() as u64).to_le_bytes());
        bytes.extend(self.keys.unwrap_or(self.pairs.len() as u64).to_le_bytes());
        bytes.extend(self.pairs.concat());
        bytes.extend(self.entries.concat());
        bytes.resize(bytes.len().next_multiple_of(32) + self.data, 0);
        bytes
    }
}

pub fn with(change: impl FnOnce(&mut Raw)) -> Vec<u8> {
    let mut raw = Raw::good();
    change(&mut raw);
    raw.bytes()
}
