//! safetensors files, read by the `safetensors` crate.

use super::mmap::Mapped;
use super::{ElementType, Entry};
use crate::{ModelError, Result};
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::path::Path;

/// The free texts in the header of a safetensors file, sorted; none when it has none.
///
/// # Errors
/// When the file cannot be read or is not safetensors.
pub fn metadata(path: &Path) -> Result<BTreeMap<String, String>> {
    let mapped = Mapped::open(path)?;
    let (_, header) = SafeTensors::read_metadata(mapped.bytes())
        .map_err(|e| ModelError::file(path, format!("not a whole safetensors file ({e})")))?;
    Ok(header.metadata().clone().unwrap_or_default().into_iter().collect())
}

/// Tensors of a safetensors file, in the order of its header.
pub fn entries(path: &Path, bytes: &[u8]) -> Result<Vec<Entry>> {
    let (header, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| {
        ModelError::file(
            path,
            format!("neither a torch zip archive nor a whole safetensors file ({e}); copy or download it again"),
        )
    })?;
    let mut entries = Vec::new();
    for (name, info) in metadata.tensors() {
        let dtype = match info.dtype {
            Dtype::F64 => ElementType::F64,
            Dtype::F32 => ElementType::F32,
            Dtype::F16 => ElementType::F16,
            Dtype::BF16 => ElementType::BF16,
            Dtype::I64 => ElementType::I64,
            Dtype::I32 => ElementType::I32,
            Dtype::I16 => ElementType::I16,
            Dtype::I8 => ElementType::I8,
            Dtype::U8 => ElementType::U8,
            Dtype::BOOL => ElementType::Bool,
            other => {
                return Err(ModelError::file(
                    path,
                    format!("tensor {name} has the type {other:?}, which no ChatGLM file uses"),
                ));
            }
        };
        let start = 8 + header;
        let range = start + info.data_offsets.0..start + info.data_offsets.1;
        if range.end > bytes.len() {
            let missing = range.end - bytes.len();
            return Err(ModelError::file(
                path,
                format!("the file is cut off: tensor {name} lacks {missing} bytes; copy or download it again"),
            ));
        }
        entries.push(Entry { name: name.clone(), dtype, shape: info.shape.clone(), range });
    }
    entries.sort_by_key(|e| e.range.start);
    Ok(entries)
}
