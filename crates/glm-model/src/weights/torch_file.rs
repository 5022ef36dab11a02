//! torch zip archives (`pytorch_model.bin`): a pickle that names tensors, and stored bytes beside it.

use super::pickle::{self, Pickle, Value};
use super::{ElementType, Entry};
use crate::{ModelError, Result};
use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::ops::Range;
use std::path::Path;

/// Largest pickle that is read; those of 130-billion-parameter models have a few megabytes.
const MOST_PICKLE: u64 = 256 << 20;

/// Tensors of the state dict, in its order.
pub fn entries(path: &Path, bytes: &[u8]) -> Result<Vec<Entry>> {
    let broken = |reason: String| ModelError::file(path, format!("{reason}; copy or download the file again"));
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes))
        .map_err(|e| broken(format!("the torch archive cannot be read ({e})")))?;
    let mut storages: HashMap<String, Range<usize>> = HashMap::new();
    let mut pickle = None;
    for i in 0..archive.len() {
        let mut file =
            archive.by_index(i).map_err(|e| broken(format!("entry {i} of the torch archive is broken ({e})")))?;
        let name = match file.name() {
            Ok(name) => name.into_owned(),
            Err(e) => return Err(broken(format!("entry {i} of the torch archive has no readable name ({e})"))),
        };
        // Names are `<archive>/data.pkl` and `<archive>/data/<key>`.
        let Some((_, inner)) = name.split_once('/') else { continue };
        if inner == "data.pkl" {
            if file.size() > MOST_PICKLE {
                return Err(broken(format!("its pickle has {} bytes, more than any checkpoint", file.size())));
            }
            let mut data = Vec::new();
            file.read_to_end(&mut data).map_err(|e| broken(format!("its pickle cannot be read ({e})")))?;
            pickle = Some(data);
        } else if let Some(key) = inner.strip_prefix("data/") {
            if file.compression() != zip::CompressionMethod::Stored {
                return Err(ModelError::file(path, format!("entry {name} is compressed; torch.save never does that")));
            }
            let start = file.data_start().ok_or_else(|| broken(format!("entry {name} has no place in the file")))?;
            let range = start as usize..start.saturating_add(file.size()) as usize;
            if range.end > bytes.len() {
                return Err(broken(format!("entry {name} reaches past the end of the file")));
            }
            storages.insert(key.to_owned(), range);
        }
    }
    let pickle =
        pickle.ok_or_else(|| ModelError::file(path, "the archive holds no data.pkl; it was not made by torch.save"))?;
    let pickle = pickle::read(&pickle).map_err(|reason| ModelError::file(path, reason))?;
    let mut entries = Vec::new();
    for (key, value) in state_dict(path, &pickle)? {
        let Value::Text(name) = key else {
            return Err(ModelError::file(path, "a key of the state dict is not a text"));
        };
        match value {
            Value::Tensor(arguments) => {
                let entry = entry(name, arguments, &storages)
                    .map_err(|reason| ModelError::file(path, format!("tensor {name}: {reason}")))?;
                entries.push(entry);
            }
            other => {
                let reason = format!("{name} is not a tensor but {}; only state dicts are read", kind(other));
                return Err(ModelError::file(path, reason));
            }
        }
    }
    Ok(entries)
}

/// The state dict itself, or the one under the usual keys of a training checkpoint.
fn state_dict<'a>(path: &Path, pickle: &'a Pickle) -> Result<&'a [(Value, Value)]> {
    let Value::Dict(root) = pickle.root else {
        return Err(ModelError::file(path, format!("it holds {} where a state dict was expected", kind(&pickle.root))));
    };
    for (key, value) in &pickle.dicts[root] {
        if let (Value::Text(key), Value::Dict(inner)) = (key, value)
            && matches!(&**key, "state_dict" | "module" | "model")
        {
            return Ok(&pickle.dicts[*inner]);
        }
    }
    Ok(&pickle.dicts[root])
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::None => "None",
        Value::Bool => "a bool",
        Value::Int(_) => "an integer",
        Value::Float => "a float",
        Value::Text(_) => "a text",
        Value::Bytes => "bytes",
        Value::Tuple(_) => "a tuple",
        Value::List => "a list",
        Value::Dict(_) => "a dict",
        Value::Global(_) => "a Python object",
        Value::Storage(_) => "a storage",
        Value::Tensor(_) => "a tensor",
    }
}

/// `(storage, offset, size, stride, requires_grad, hooks)`.
fn entry(name: &str, arguments: &[Value], storages: &HashMap<String, Range<usize>>) -> Result<Entry, String> {
    let [Value::Storage(storage), Value::Int(offset), Value::Tuple(shape), Value::Tuple(strides), ..] = arguments
    else {
        return Err("its description is not the one torch writes".into());
    };
    // ('storage', torch.HalfStorage, key, device, number of elements)
    let [Value::Text(tag), Value::Global(class), Value::Text(key), _, Value::Int(_)] = storage.as_slice() else {
        return Err("its storage is not described as torch does".into());
    };
    if &**tag != "storage" {
        return Err(format!("its storage is a {tag}"));
    }
    let dtype = dtype(class)?;
    let sizes = |values: &[Value]| -> Result<Vec<usize>, String> {
        values
            .iter()
            .map(|v| match v {
                Value::Int(n) => usize::try_from(*n).map_err(|_| "a negative size".to_string()),
                _ => Err("a size that is not an integer".into()),
            })
            .collect()
    };
    let (shape, strides) = (sizes(shape)?, sizes(strides)?);
    let mut expected = 1;
    for (size, stride) in shape.iter().zip(&strides).rev() {
        if *size > 1 && *stride != expected {
            return Err(format!(
                "it is stored with strides {strides:?}, only row-major tensors are read; call .contiguous() before saving"
            ));
        }
        expected = expected.checked_mul(*size).ok_or("its shape is larger than memory")?;
    }
    let bytes =
        storages.get(&**key).ok_or_else(|| format!("its bytes (entry data/{key}) are missing from the archive"))?;
    let offset = usize::try_from(*offset).map_err(|_| "a negative offset")?;
    let start = offset.checked_mul(dtype.size()).and_then(|o| bytes.start.checked_add(o));
    let end = expected.checked_mul(dtype.size()).zip(start).and_then(|(n, s)| s.checked_add(n));
    match (start, end) {
        (Some(start), Some(end)) if end <= bytes.end => {
            Ok(Entry { name: name.into(), dtype, shape, range: start..end })
        }
        _ => Err(format!("its shape {shape:?} needs more bytes than entry data/{key} holds ({})", bytes.len())),
    }
}

fn dtype(class: &str) -> Result<ElementType, String> {
    Ok(match class {
        "torch.DoubleStorage" => ElementType::F64,
        "torch.FloatStorage" => ElementType::F32,
        "torch.HalfStorage" => ElementType::F16,
        "torch.BFloat16Storage" => ElementType::BF16,
        "torch.LongStorage" => ElementType::I64,
        "torch.IntStorage" => ElementType::I32,
        "torch.ShortStorage" => ElementType::I16,
        "torch.CharStorage" => ElementType::I8,
        "torch.ByteStorage" => ElementType::U8,
        "torch.BoolStorage" => ElementType::Bool,
        _ => return Err(format!("its storage is a {class}, which is not known")),
    })
}
