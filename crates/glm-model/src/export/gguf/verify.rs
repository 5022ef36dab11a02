//! Reads a written GGUF file with candle's reader, which shares no code with the writer, and compares it with its source.

use super::file::{Metadata, Value};
use super::tensors::GgufTensor;
use crate::export::source::TensorSource;
use crate::export::verify::compare;
use crate::export::write::tensor_error;
use crate::ops::with_floats;
use crate::{ModelError, Result};
use candle_core::Device;
use candle_core::quantized::gguf_file::{self, Content};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Names, shapes, types, keys and every value.
pub(super) fn verify(
    source: &dyn TensorSource,
    path: &Path,
    metadata: &Metadata,
    plan: &[GgufTensor],
    step: &mut dyn FnMut(u64),
) -> Result<()> {
    let wrong = |reason: String| ModelError::file(path, format!("after reopening: {reason}"));
    let mut reader = BufReader::new(File::open(path).map_err(ModelError::io(path))?);
    let content = Content::read(&mut reader).map_err(|e| wrong(e.to_string()))?;
    if content.metadata.len() != metadata.len() || content.tensor_infos.len() != plan.len() {
        let (keys, tensors) = (content.metadata.len(), content.tensor_infos.len());
        return Err(wrong(format!(
            "{keys} keys and {tensors} tensors, expected {} and {}",
            metadata.len(),
            plan.len()
        )));
    }
    for (key, value) in metadata {
        if !content.metadata.get(key).is_some_and(|found| same(value, found)) {
            return Err(wrong(format!("the key {key} is missing or differs")));
        }
    }
    for tensor in plan {
        let name = &tensor.name;
        let info = content.tensor_infos.get(name).ok_or_else(|| wrong(format!("tensor {name} is missing")))?;
        if info.shape.dims() != tensor.shape || info.ggml_dtype != tensor.kind.ggml() {
            return Err(wrong(format!("tensor {name} is {:?} {:?}", info.ggml_dtype, info.shape)));
        }
        let found = content.tensor(&mut reader, name, &Device::Cpu)?.dequantize(&Device::Cpu)?;
        let found = with_floats(&found, <[f32]>::to_vec)?;
        let expected = source.tensor(&tensor.official)?.into_f32().map_err(tensor_error(&tensor.official))?;
        compare(&expected, &found, tensor.kind.block(), |block| tensor.kind.bound(block))
            .map_err(|reason| wrong(format!("tensor {name}: {reason}")))?;
        source.release(&tensor.official);
        step(tensor.bytes());
    }
    Ok(())
}

fn same(written: &Value, found: &gguf_file::Value) -> bool {
    use gguf_file::Value as Found;
    let all = |found: &Found, len: usize, one: &dyn Fn(usize, &Found) -> bool| match found {
        Found::Array(values) => values.len() == len && values.iter().enumerate().all(|(i, v)| one(i, v)),
        _ => false,
    };
    match (written, found) {
        (Value::U32(a), Found::U32(b)) => a == b,
        (Value::F32(a), Found::F32(b)) => a.to_bits() == b.to_bits(),
        (Value::Bool(a), Found::Bool(b)) => a == b,
        (Value::Text(a), Found::String(b)) => a == b,
        (Value::Texts(a), found) => all(found, a.len(), &|i, v| matches!(v, Found::String(v) if *v == a[i])),
        (Value::F32s(a), found) => {
            all(found, a.len(), &|i, v| matches!(v, Found::F32(v) if v.to_bits() == a[i].to_bits()))
        }
        (Value::I32s(a), found) => all(found, a.len(), &|i, v| matches!(v, Found::I32(v) if *v == a[i])),
        _ => false,
    }
}
