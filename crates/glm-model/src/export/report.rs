//! What an export says of itself.

use std::path::PathBuf;

/// A finished export, reopened and compared with its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportReport {
    /// The folder or file.
    pub path: PathBuf,
    /// Tensors in it.
    pub tensors: usize,
    /// Bytes of the tensors.
    pub bytes: u64,
    /// Files taken over from the base folder.
    pub copied: Vec<String>,
    /// What the user should know: files that were not there to copy, tensors kept in another type than asked for.
    pub remarks: Vec<String>,
}
