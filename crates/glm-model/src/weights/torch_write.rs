//! Writes a state dict as `torch.save` does (zip archive, pickle protocol 2), so that `torch.load` reads it, also with
//! `weights_only=True`.

use super::write::write_content;
use super::{Content, ElementType, NewTensor};
use std::io::{Seek, Write};
use zip::write::SimpleFileOptions;

/// Writes `tensors` in order as an `OrderedDict`, asking for the bytes of one after the other.
///
/// # Errors
/// Those of the writer and of `content`, and when a tensor gets another number of bytes than its shape says.
pub fn stream_torch(out: impl Write + Seek, tensors: &[NewTensor], content: &mut Content<'_>) -> std::io::Result<()> {
    let mut archive = zip::ZipWriter::new(out);
    // torch aligns data to 64 bytes, so that it can map it.
    let plain = || SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored).with_alignment(64);
    archive.start_file("archive/data.pkl", plain())?;
    archive.write_all(&pickle(tensors))?;
    archive.start_file("archive/byteorder", plain())?;
    archive.write_all(b"little")?;
    for (key, tensor) in tensors.iter().enumerate() {
        let large = tensor.bytes() >= u64::from(u32::MAX);
        archive.start_file(format!("archive/data/{key}"), plain().large_file(large))?;
        write_content(&mut archive, key, tensor, content)?;
    }
    archive.start_file("archive/version", plain())?;
    archive.write_all(b"3\n")?;
    archive.finish()?;
    Ok(())
}

fn pickle(tensors: &[NewTensor]) -> Vec<u8> {
    let mut out = b"\x80\x02ccollections\nOrderedDict\n)R(".to_vec();
    for (key, tensor) in tensors.iter().enumerate() {
        text(&mut out, &tensor.name);
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut out, "storage");
        out.extend(format!("ctorch\n{}\n", storage(tensor.dtype)).bytes());
        text(&mut out, &key.to_string());
        text(&mut out, "cpu");
        integer(&mut out, tensor.elements());
        out.extend(b"tQ");
        integer(&mut out, 0);
        tuple(&mut out, &tensor.shape);
        let strides: Vec<usize> = (0..tensor.shape.len()).map(|i| tensor.shape[i + 1..].iter().product()).collect();
        tuple(&mut out, &strides);
        out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    out.extend(b"u.");
    out
}

/// torch's class for stored elements of a type.
fn storage(dtype: ElementType) -> &'static str {
    match dtype {
        ElementType::F64 => "DoubleStorage",
        ElementType::F32 => "FloatStorage",
        ElementType::F16 => "HalfStorage",
        ElementType::BF16 => "BFloat16Storage",
        ElementType::I64 => "LongStorage",
        ElementType::I32 => "IntStorage",
        ElementType::I16 => "ShortStorage",
        ElementType::I8 => "CharStorage",
        ElementType::U8 => "ByteStorage",
        ElementType::Bool => "BoolStorage",
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

fn integer(out: &mut Vec<u8>, value: usize) {
    out.extend([0x8a, 8]);
    out.extend((value as u64).to_le_bytes());
}

fn tuple(out: &mut Vec<u8>, values: &[usize]) {
    out.push(b'(');
    values.iter().for_each(|v| integer(out, *v));
    out.push(b't');
}
