//! Writes GGUF version 3: a header with typed keys and the places of all tensors, then the tensors, one at a time. candle's
//! own writer wants all of them in memory.

use super::tensors::GgufTensor;
use std::io::{self, Write};

/// Tensors begin at multiples of this many bytes.
const ALIGNMENT: u64 = 32;

/// A value of a key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    F32s(Vec<f32>),
    I32s(Vec<i32>),
}

/// The keys of a file, in order.
pub(super) type Metadata = Vec<(String, Value)>;

/// Makes the bytes of a tensor.
pub(super) type Bytes<'a> = dyn FnMut(&GgufTensor) -> io::Result<Vec<u8>> + 'a;

/// Writes a whole file.
pub(super) fn write(
    out: &mut dyn Write,
    metadata: &Metadata,
    tensors: &[GgufTensor],
    bytes: &mut Bytes<'_>,
) -> io::Result<()> {
    let header = header(metadata, tensors);
    out.write_all(&header)?;
    pad(out, header.len() as u64)?;
    for tensor in tensors {
        let bytes = bytes(tensor)?;
        if bytes.len() as u64 != tensor.bytes() {
            let reason =
                format!("tensor {}: {} bytes were given, expected {}", tensor.name, bytes.len(), tensor.bytes());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        out.write_all(&bytes)?;
        pad(out, bytes.len() as u64)?;
    }
    Ok(())
}

fn pad(out: &mut dyn Write, length: u64) -> io::Result<()> {
    let missing = (length.next_multiple_of(ALIGNMENT) - length) as usize;
    out.write_all(&[0; ALIGNMENT as usize][..missing])
}

fn header(metadata: &Metadata, tensors: &[GgufTensor]) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        text(&mut out, key);
        put(&mut out, value);
    }
    let mut offset = 0u64;
    for tensor in tensors {
        text(&mut out, &tensor.name);
        out.extend((tensor.shape.len() as u32).to_le_bytes());
        // ggml names the innermost dimension first.
        tensor.shape.iter().rev().for_each(|size| out.extend((*size as u64).to_le_bytes()));
        out.extend(tensor.kind.number().to_le_bytes());
        out.extend(offset.to_le_bytes());
        offset += tensor.bytes().next_multiple_of(ALIGNMENT);
    }
    out
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

// Numbers of the types as the GGUF specification gives them.
const U32: u32 = 4;
const I32: u32 = 5;
const F32: u32 = 6;
const BOOL: u32 = 7;
const TEXT: u32 = 8;
const ARRAY: u32 = 9;

fn put(out: &mut Vec<u8>, value: &Value) {
    let array = |out: &mut Vec<u8>, kind: u32, len: usize| {
        out.extend(ARRAY.to_le_bytes());
        out.extend(kind.to_le_bytes());
        out.extend((len as u64).to_le_bytes());
    };
    match value {
        Value::U32(v) => {
            out.extend(U32.to_le_bytes());
            out.extend(v.to_le_bytes());
        }
        Value::F32(v) => {
            out.extend(F32.to_le_bytes());
            out.extend(v.to_le_bytes());
        }
        Value::Bool(v) => {
            out.extend(BOOL.to_le_bytes());
            out.push(u8::from(*v));
        }
        Value::Text(v) => {
            out.extend(TEXT.to_le_bytes());
            text(out, v);
        }
        Value::Texts(v) => {
            array(out, TEXT, v.len());
            v.iter().for_each(|v| text(out, v));
        }
        Value::F32s(v) => {
            array(out, F32, v.len());
            v.iter().for_each(|v| out.extend(v.to_le_bytes()));
        }
        Value::I32s(v) => {
            array(out, I32, v.len());
            v.iter().for_each(|v| out.extend(v.to_le_bytes()));
        }
    }
}
