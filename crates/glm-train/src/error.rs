//! Why a run stops.

use crate::atomic::FileError;
use crate::journal::JournalError;
use crate::optim::OptimError;
use crate::schedule::LengthError;
use glm_model::ModelError;
use std::path::PathBuf;

/// Errors of training.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The network or a weight file.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A file of the run.
    #[error(transparent)]
    File(#[from] FileError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The optimizer.
    #[error(transparent)]
    Optim(#[from] OptimError),
    /// The length of the run.
    #[error(transparent)]
    Length(#[from] LengthError),
    /// A number that training cannot go on with.
    #[error(
        "step {step}: {what}. Rows of this step (counted from 1): {rows}. \
         Checkpoints saved before are untouched; a lower --learning_rate or a look at these rows helps most"
    )]
    NonFinite {
        /// Optimizer step, counted from 1.
        step: u64,
        /// What is not finite.
        what: String,
        /// Rows of the training file.
        rows: String,
    },
    /// A checkpoint that cannot be resumed from.
    #[error("{path}: {reason}")]
    Resume {
        /// The checkpoint.
        path: PathBuf,
        /// What does not fit and what to do.
        reason: String,
    },
    /// A checkpoint of a run that was asked for otherwise.
    #[error("{path}: {reason}")]
    OtherRun {
        /// The checkpoint.
        path: PathBuf,
        /// What differs and what to do.
        reason: String,
    },
    /// Files that the caller writes into a checkpoint.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl From<candle_core::Error> for TrainError {
    fn from(error: candle_core::Error) -> Self {
        Self::Model(error.into())
    }
}

/// Result of this crate.
pub type Result<T, E = TrainError> = std::result::Result<T, E>;

/// Row numbers for people: counted from 1, the first few.
pub(crate) fn rows(sources: &[usize]) -> String {
    let shown: Vec<String> = sources.iter().take(16).map(|s| (s + 1).to_string()).collect();
    let more = sources.len().saturating_sub(shown.len());
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}
