//! Writes safetensors files. The `safetensors` crate's own writers want whole tensors in memory and put metadata into
//! the header in no fixed order; equal tensors give equal files here.

use super::write::write_content;
use super::{Content, ElementType, NewTensor};
use safetensors::Dtype;
use safetensors::tensor::TensorInfo;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Writes `tensors` in order, asking for the bytes of one after the other; `metadata` goes into the header.
///
/// # Errors
/// Those of the writer and of `content`, and when a tensor gets another number of bytes than its shape says.
pub fn stream_safetensors(
    mut out: impl Write,
    tensors: &[NewTensor],
    metadata: &BTreeMap<String, String>,
    content: &mut Content<'_>,
) -> io::Result<()> {
    let mut end = 0;
    let mut header: BTreeMap<&str, Value> = BTreeMap::new();
    if !metadata.is_empty() {
        header.insert("__metadata__", json!(metadata));
    }
    for t in tensors {
        let start = end;
        end += t.bytes() as usize;
        let info = TensorInfo { dtype: dtype(t.dtype), shape: t.shape.clone(), data_offsets: (start, end) };
        header.insert(&t.name, serde_json::to_value(info)?);
    }
    let mut header = serde_json::to_vec(&header)?;
    // Blanks after the header and its length keep the elements aligned for those who map the file, to cache lines as far as the
    // sizes of tensors allow.
    const LENGTH: usize = size_of::<u64>();
    header.resize((LENGTH + header.len()).next_multiple_of(64) - LENGTH, b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for (index, tensor) in tensors.iter().enumerate() {
        write_content(&mut out, index, tensor, content)?;
    }
    out.flush()
}

fn dtype(dtype: ElementType) -> Dtype {
    match dtype {
        ElementType::F64 => Dtype::F64,
        ElementType::F32 => Dtype::F32,
        ElementType::F16 => Dtype::F16,
        ElementType::BF16 => Dtype::BF16,
        ElementType::I64 => Dtype::I64,
        ElementType::I32 => Dtype::I32,
        ElementType::I16 => Dtype::I16,
        ElementType::I8 => Dtype::I8,
        ElementType::U8 => Dtype::U8,
        ElementType::Bool => Dtype::BOOL,
    }
}
