//! `model.safetensors`, whole or in shards listed by `model.safetensors.index.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Component, Path};
use std::sync::Arc;

use memmap2::Mmap;
use safetensors::tensor::{Dtype, Metadata, SafeTensors};
use safetensors::SafeTensorError;
use serde::Deserialize;

use super::TensorData;
use crate::dtype::{DType, TensorType};
use crate::{Error, Result};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// The part of the index file that is read: which shard holds which tensor.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

pub(super) fn is_in(dir: &Path) -> bool {
    dir.join(INDEX).is_file() || dir.join(SINGLE).is_file()
}

pub(super) fn open(dir: &Path) -> Result<BTreeMap<String, TensorData>> {
    // As in transformers: of both, the index is what a saving in shards has left behind.
    let (file, index) = (dir.join(SINGLE), dir.join(INDEX));
    if file.is_file() {
        return read_file(&file);
    }
    if index.is_file() {
        return open_shards(dir, &index);
    }
    Err(Error::io(dir, format!("neither {SINGLE} nor {INDEX} is in the folder")))
}

fn open_shards(dir: &Path, index: &Path) -> Result<BTreeMap<String, TensorData>> {
    let text = std::fs::read_to_string(index).map_err(|error| Error::io(index, error))?;
    let Index { weight_map } = serde_json::from_str(&text)
        .map_err(|error| invalid(index, format!("this is not a safetensors index: {error}")))?;
    let mut tensors = BTreeMap::new();
    for shard in weight_map.values().collect::<BTreeSet<_>>() {
        if !is_plain_name(shard) {
            return Err(invalid(index, format!("the shard name `{shard}` leaves the folder")));
        }
        let file = dir.join(shard);
        for (name, tensor) in read_file(&file)? {
            match weight_map.get(&name) {
                Some(listed) if listed == shard => tensors.insert(name, tensor),
                Some(listed) => {
                    return Err(tensor.error(format!("is in this file, but {INDEX} says {listed}")))
                }
                None => return Err(tensor.error(format!("is in this file, but not in {INDEX}"))),
            };
        }
    }
    match weight_map.iter().find(|(name, _)| !tensors.contains_key(*name)) {
        Some((name, shard)) => Err(Error::InvalidWeights {
            file: dir.join(shard),
            tensor: name.clone(),
            problem: format!("is not in this file, where {INDEX} says it is"),
        }),
        None => Ok(tensors),
    }
}

/// Whether a name stays inside its folder: one ordinary component.
fn is_plain_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(_)), None))
}

fn read_file(path: &Path) -> Result<BTreeMap<String, TensorData>> {
    let file = File::open(path).map_err(|error| Error::io(path, error))?;
    // SAFETY: the mapping is read-only, and the bytes are only ever read as plain numbers, for which
    // every bit pattern is valid. A file that another process shrinks while it is in use can end
    // this process with SIGBUS: that is the price of mapping, the same for every engine that maps.
    let map = unsafe { Mmap::map(&file) }.map_err(|error| Error::io(path, error))?;
    let map = Arc::new(map);
    let path: Arc<Path> = path.into();

    let (header_len, metadata) = match SafeTensors::read_metadata(&map) {
        Ok(header) => header,
        Err(SafeTensorError::MetadataIncompleteBuffer) => return Err(cut_off(&path, &map)),
        Err(error) => {
            return Err(invalid(&path, format!("this is not a safetensors file: {error}")))
        }
    };
    let data = 8 + header_len;
    let mut tensors = BTreeMap::new();
    for (name, info) in metadata.tensors() {
        // read_metadata has checked that the offsets fit the shapes, follow each other without a gap
        // and end where the file ends.
        let (start, end) = info.data_offsets;
        let tensor = TensorData {
            name: name.clone(),
            file: path.clone(),
            dtype: TensorType::Float(DType::F32),
            shape: info.shape.clone(),
            map: map.clone(),
            range: data + start..data + end,
        };
        let dtype = match info.dtype {
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            other => {
                return Err(tensor.error(format!("is {other:?}; only F32, F16 and BF16 are read")))
            }
        };
        tensors.insert(name, TensorData { dtype: TensorType::Float(dtype), ..tensor });
    }
    Ok(tensors)
}

/// The error for a file whose header promises another length than it has: names the first tensor
/// that is not whole.
fn cut_off(path: &Path, map: &Mmap) -> Error {
    let header_len = u64::from_le_bytes(map[..8].try_into().expect("eight bytes")) as usize;
    let data = 8 + header_len;
    let tensors = serde_json::from_slice::<Metadata>(&map[8..data]).map(|m| {
        m.tensors()
            .into_iter()
            .map(|(name, info)| (info.data_offsets.1, name))
            .filter(|(end, _)| data.saturating_add(*end) > map.len())
            .min()
    });
    match tensors {
        Ok(Some((end, tensor))) => Error::InvalidWeights {
            file: path.to_owned(),
            tensor,
            problem: format!(
                "ends at byte {}, but the file has only {}: it was cut off, download it again",
                data.saturating_add(end),
                map.len()
            ),
        },
        _ => invalid(path, "the file is longer than its header says: download it again".into()),
    }
}

fn invalid(file: &Path, problem: String) -> Error {
    Error::InvalidFile { file: file.to_owned(), problem }
}
