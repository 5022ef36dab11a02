//! Weight files as Hugging Face publishes them: safetensors and torch zip archives, whole or sharded, memory-mapped.

mod bytes;
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
pub use folder::WeightFolder;
pub use safetensors_file::metadata as safetensors_metadata;
pub use safetensors_write::stream_safetensors;
pub use scan::{NotFinite, not_finite};
pub use shards::{FileFormat, Shards};
pub use torch_write::stream_torch;
pub use write::{Content, NewTensor};

use crate::Result;
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
        torch_file::entries(path, bytes)
    } else {
        safetensors_file::entries(path, bytes)
    }
}
