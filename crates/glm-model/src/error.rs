//! What can go wrong between a folder on disk and a gradient.

use std::path::{Path, PathBuf};

/// Errors of this crate. Each names the file, tensor or setting, what was expected and what was found.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// File or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is not what its name says.
    #[error("{path}: {reason}")]
    File {
        /// File or folder.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// Tensors are missing, unexpected or of the wrong shape.
    #[error("{path}: the weights do not fit the configuration\n{problems}")]
    Weights {
        /// Folder of the weights.
        path: PathBuf,
        /// One line a tensor.
        problems: String,
    },
    /// A setting contradicts what was found.
    #[error("{0}")]
    Setting(String),
    /// A tensor operation failed; a bug unless memory ran out.
    #[error("tensor operation: {0}")]
    Tensor(#[from] candle_core::Error),
}

impl ModelError {
    /// For `map_err` on file operations.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io { path, source }
    }

    /// A path that a setting names and that holds something else than the setting is for.
    pub fn misplaced(path: impl AsRef<Path>, reason: impl std::fmt::Display) -> Self {
        Self::Setting(format!("{}: {reason}", path.as_ref().display()))
    }

    /// A file that is not what it should be.
    pub fn file(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::File { path: path.as_ref().to_path_buf(), reason: reason.into() }
    }
}

/// Result of this crate.
pub type Result<T, E = ModelError> = std::result::Result<T, E>;
