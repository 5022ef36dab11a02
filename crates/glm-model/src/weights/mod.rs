//! Weight files as Hugging Face publishes them: safetensors and torch zip archives, whole or sharded, memory-mapped.

mod bytes;
mod fingerprint;
mod folder;
mod mmap;
mod pickle;
mod safetensors_file;
mod safetensors_write;
mod scan;
mod shards;
mod torch_file;
mod torch_write;
mod write;

pub use bytes::{ElementType, TensorBytes};
pub use fingerprint::fingerprint;
pub use folder::WeightFolder;
pub use mmap::MappedPart;
pub use safetensors_file::metadata as safetensors_metadata;
pub use safetensors_write::stream_safetensors;
pub use scan::{NotFinite, not_finite};
pub use shards::{FileFormat, Shards};
pub use torch_write::stream_torch;
pub use write::{Content, NewTensor};

use crate::{ModelError, Result};
use std::path::Path;

/// Name, type and place of a tensor inside a mapped file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Full name.
    pub name: String,
    /// Element type.
    pub dtype: ElementType,
    /// Shape, row-major.
    pub shape: Vec<usize>,
    /// Bytes of the file that hold the tensor.
    pub range: std::ops::Range<usize>,
}

/// Lists the tensors of one file, told apart by its first bytes (never by its name).
fn entries(path: &Path, bytes: &[u8]) -> Result<Vec<Entry>> {
    if bytes.starts_with(b"PK\x03\x04") {
        return torch_file::entries(path, bytes);
    }
    match stranger(path, bytes) {
        Some(reason) => Err(ModelError::file(path, reason)),
        None => safetensors_file::entries(path, bytes),
    }
}

/// What a file is that people often have in place of weights, and what to do.
fn stranger(path: &Path, bytes: &[u8]) -> Option<String> {
    let head = &bytes[..bytes.len().min(256)];
    let text = String::from_utf8_lossy(head).trim_start().to_ascii_lowercase();
    // The length of a safetensors header may begin with the same two bytes; its header begins with a brace.
    if matches!(head, [0x80, 2..=5, ..]) && head.get(8) != Some(&b'{') {
        return Some(format!(
            "an old torch file (a pickle, as torch wrote before version 1.6), which is not read. Convert it once, in Python: \
             import torch; p = {:?}; torch.save(torch.load(p, map_location=\"cpu\", weights_only=True), p)",
            path.display().to_string()
        ));
    }
    if text.starts_with("version https://git-lfs") {
        return Some(
            "a Git LFS pointer in place of the file itself; run `git lfs pull` in its folder, or download it".into(),
        );
    }
    if text.starts_with("<!doctype") || text.starts_with("<html") {
        return Some(
            "a web page in place of the file itself, as an interrupted or refused download leaves; download it again"
                .into(),
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_safetensors_file_is_never_taken_for_a_pickle() {
        // 0x0280 bytes of header: the file begins with 80 02, as a pickle does.
        let mut header = br#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#.to_vec();
        for (length, low) in [(0x0280, [0x80, 2]), (0x0580, [0x80, 5])] {
            header.resize(length, b' ');
            let file = [&(length as u64).to_le_bytes()[..], &header, &[7]].concat();
            assert_eq!(file[..2], low);
            assert_eq!(entries(Path::new("a.safetensors"), &file).expect("a whole file")[0].name, "a");
        }
        let pickle = [0x80, 2, 0x8a, 10, b'l', 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];
        let error = entries(Path::new("a.bin"), &pickle).expect_err("a pickle").to_string();
        assert!(error.contains("an old torch file"), "{error}");
    }
}
