//! `model.safetensors`, whole or in shards listed by `model.safetensors.index.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};
use std::sync::Arc;

use safetensors::tensor::{Dtype, Metadata, SafeTensors};
use safetensors::SafeTensorError;
use serde::Deserialize;

use super::bytes::{Access, FileBytes};
use super::{TensorData, Tensors};
use crate::dtype::{DType, TensorType};
use crate::files;
use crate::{Error, Result};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Bytes of the largest header or index that is read: those of the most layers take three quarters of it.
const MOST_HEADER: u64 = 8 << 20;

/// Each file takes a mapping, of which the system gives a process 65,530.
const MOST_SHARDS: usize = 4096;

/// The part of the index file that is read: which shard holds which tensor.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

pub(super) fn is_in(dir: &Path) -> bool {
    dir.join(INDEX).is_file() || dir.join(SINGLE).is_file()
}

pub(super) fn open(dir: &Path, access: Access) -> Result<Tensors> {
    // As in transformers: of both, the index is what a saving in shards has left behind.
    let (file, index) = (dir.join(SINGLE), dir.join(INDEX));
    if file.is_file() {
        return read_file(&file, access);
    }
    if index.is_file() {
        return open_shards(dir, &index, access);
    }
    Err(Error::io(dir, format!("neither {SINGLE} nor {INDEX} is in the folder")))
}

/// The index says only which files there are, as in transformers: a tensor is where a file has it.
fn open_shards(dir: &Path, index: &Path, access: Access) -> Result<Tensors> {
    let text = files::read_text(index, MOST_HEADER)?;
    let Index { weight_map } = serde_json::from_str(&text)
        .map_err(|error| invalid(index, format!("this is not a safetensors index: {error}")))?;
    let shards: BTreeSet<&String> = weight_map.values().collect();
    if let Some(shard) = shards.iter().find(|shard| !is_plain_name(shard)) {
        return Err(invalid(index, format!("the shard name `{shard}` leaves the folder")));
    }
    if shards.len() > MOST_SHARDS {
        let problem =
            format!("it names {} files, but no model has above {MOST_SHARDS}", shards.len());
        return Err(invalid(index, problem));
    }
    let mut all = Tensors::default();
    let mut moved = 0;
    for shard in shards {
        let found = read_file(&dir.join(shard), access)?;
        let names = found.readable.keys().chain(found.unreadable.keys());
        moved += names.filter(|name| weight_map.get(*name) != Some(shard)).count();
        // Of a tensor that is there twice the last counts, as in transformers.
        for name in found.readable.keys() {
            all.unreadable.remove(name);
        }
        for name in found.unreadable.keys() {
            all.readable.remove(name);
        }
        all.readable.extend(found.readable);
        all.unreadable.extend(found.unreadable);
    }
    if moved > 0 {
        let are = if moved == 1 { "1 tensor is" } else { &format!("{moved} tensors are") };
        all.warnings.push(format!("{are} in another file than {INDEX} says, or not listed there"));
    }
    Ok(all)
}

/// Whether a name stays inside its folder: one ordinary component.
fn is_plain_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(_)), None))
}

fn read_file(path: &Path, access: Access) -> Result<Tensors> {
    let content = Arc::new(FileBytes::open(path, access)?);
    let path: Arc<Path> = path.into();
    if let Some(header) = content.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)) {
        if header > MOST_HEADER && header < content.len() as u64 {
            let problem =
                format!("its header has {header} bytes, but no model needs above {MOST_HEADER}");
            return Err(invalid(&path, problem));
        }
    }

    let (header_len, metadata) = match SafeTensors::read_metadata(&content) {
        Ok(header) => header,
        Err(SafeTensorError::MetadataIncompleteBuffer) => return Err(cut_off(&path, &content)),
        Err(error) => {
            return Err(invalid(&path, format!("this is not a safetensors file: {error}")))
        }
    };
    let data = 8 + header_len;
    let mut tensors = Tensors::default();
    for (name, info) in metadata.tensors() {
        // read_metadata has checked that the offsets fit the shapes, follow each other without a gap
        // and end where the file ends.
        let (start, end) = info.data_offsets;
        let tensor = TensorData {
            name: name.clone(),
            file: path.clone(),
            dtype: TensorType::Float(DType::F32),
            shape: info.shape.clone(),
            content: content.clone(),
            range: data + start..data + end,
        };
        let dtype = match info.dtype {
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            other => {
                let problem = format!("is {other:?}; only F32, F16 and BF16 are read");
                tensors.unreadable.insert(name, tensor.error(problem));
                continue;
            }
        };
        tensors.readable.insert(name, TensorData { dtype: TensorType::Float(dtype), ..tensor });
    }
    Ok(tensors)
}

/// The error for a file whose header promises another length than it has: names the first tensor
/// that is not whole.
fn cut_off(path: &Path, content: &[u8]) -> Error {
    let header_len = u64::from_le_bytes(content[..8].try_into().expect("eight bytes")) as usize;
    let data = 8 + header_len;
    let tensors = serde_json::from_slice::<Metadata>(&content[8..data]).map(|m| {
        m.tensors()
            .into_iter()
            .map(|(name, info)| (info.data_offsets.1, name))
            .filter(|(end, _)| data.saturating_add(*end) > content.len())
            .min()
    });
    match tensors {
        Ok(Some((end, tensor))) => Error::InvalidWeights {
            file: path.to_owned(),
            tensor,
            problem: format!(
                "ends at byte {}, but the file has only {}: it was cut off, download it again",
                data.saturating_add(end),
                content.len()
            ),
        },
        _ => invalid(path, "the file is longer than its header says: download it again".into()),
    }
}

fn invalid(file: &Path, problem: String) -> Error {
    Error::InvalidFile { file: file.to_owned(), problem }
}
