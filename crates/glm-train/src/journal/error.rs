use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::atomic::FileError;

/// Why a journal file could not be written or read.
#[derive(Debug, Error)]
pub enum JournalError {
    /// A number that no journal may hold.
    #[error("{key} is {value}; a journal holds finite numbers only")]
    NonFinite {
        /// Key of the number.
        key: String,
        /// `NaN`, `inf` or `-inf`.
        value: f64,
    },
    /// The system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file that should be json of a certain form is not.
    #[error("{path}: {source}; remove the file or restore it from a checkpoint")]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong and in which line.
        source: serde_json::Error,
    },
    /// The curve could not be drawn.
    #[error("cannot draw {path}: {reason}")]
    Curve {
        /// The file.
        path: PathBuf,
        /// Reason of the drawing library.
        reason: String,
    },
}

impl JournalError {
    pub(super) fn json(path: &Path) -> impl FnOnce(serde_json::Error) -> Self {
        move |source| Self::Json { path: path.to_owned(), source }
    }
}

/// Passes a finite number on.
pub(super) fn finite(key: &str, value: f64) -> Result<f64, JournalError> {
    if value.is_finite() { Ok(value) } else { Err(JournalError::NonFinite { key: key.to_owned(), value }) }
}
