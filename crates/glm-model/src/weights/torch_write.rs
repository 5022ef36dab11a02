//! Writes a state dict as `torch.save` does (zip archive, pickle protocol 2), so that `torch.load` reads it, also with
//! `weights_only=True`.

use std::io::{Seek, Write};
use zip::write::SimpleFileOptions;

/// A tensor to write, `f32`.
pub struct TorchTensor<'a> {
    /// Full name.
    pub name: &'a str,
    /// Shape, row-major.
    pub shape: &'a [usize],
    /// Values.
    pub data: &'a [f32],
}

/// Writes `tensors` in order as an `OrderedDict`.
///
/// # Errors
/// Those of the writer.
pub fn write_torch(out: impl Write + Seek, tensors: &[TorchTensor<'_>]) -> std::io::Result<()> {
    let mut archive = zip::ZipWriter::new(out);
    // torch aligns data to 64 bytes, so that it can map it.
    let plain = || SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored).with_alignment(64);
    archive.start_file("archive/data.pkl", plain())?;
    archive.write_all(&pickle(tensors))?;
    archive.start_file("archive/byteorder", plain())?;
    archive.write_all(b"little")?;
    for (key, tensor) in tensors.iter().enumerate() {
        let large = tensor.data.len() as u64 * 4 >= u64::from(u32::MAX);
        archive.start_file(format!("archive/data/{key}"), plain().large_file(large))?;
        for part in tensor.data.chunks(1 << 16) {
            let bytes: Vec<u8> = part.iter().flat_map(|v| v.to_le_bytes()).collect();
            archive.write_all(&bytes)?;
        }
    }
    archive.start_file("archive/version", plain())?;
    archive.write_all(b"3\n")?;
    archive.finish()?;
    Ok(())
}

fn pickle(tensors: &[TorchTensor<'_>]) -> Vec<u8> {
    let mut out = b"\x80\x02ccollections\nOrderedDict\n)R(".to_vec();
    for (key, tensor) in tensors.iter().enumerate() {
        text(&mut out, tensor.name);
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut out, "storage");
        out.extend(b"ctorch\nFloatStorage\n");
        text(&mut out, &key.to_string());
        text(&mut out, "cpu");
        integer(&mut out, tensor.data.len());
        out.extend(b"tQ");
        integer(&mut out, 0);
        tuple(&mut out, tensor.shape);
        let strides: Vec<usize> = (0..tensor.shape.len()).map(|i| tensor.shape[i + 1..].iter().product()).collect();
        tuple(&mut out, &strides);
        out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    out.extend(b"u.");
    out
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
