//! Why generation stops.

use crate::decode::DecodeError;
use crate::predictions::PredictionsError;
use glm_data::{DataError, Positions};
use glm_model::ModelError;

/// Errors of generation and evaluation.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    /// The network or an adapter slot.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// No token can be chosen for a row.
    #[error("row {row} (counted from 1): {source}")]
    Row {
        /// Row, counted from 1 as [`crate::Request::source`] counts from 0.
        row: usize,
        /// What went wrong, with the place in the answer.
        source: DecodeError,
    },
    /// Settings that no answer follows from.
    #[error(transparent)]
    Settings(#[from] DecodeError),
    /// A prompt without tokens.
    #[error("row {row} (counted from 1): the prompt is empty; expected at least one token")]
    EmptyPrompt {
        /// Row, counted from 1.
        row: usize,
    },
    /// Positions of another variant than the network's.
    #[error(
        "row {row} (counted from 1): a network of {variant} cannot take the positions {found:?}; expected those that \
         Positions::of gives for its tokenizer and the prompt"
    )]
    Positions {
        /// Row, counted from 1.
        row: usize,
        /// The network's variant.
        variant: &'static str,
        /// What the request had.
        found: Positions,
    },
    /// A prompt that lacks what its variant needs.
    #[error("row {row} (counted from 1): {source}")]
    Prompt {
        /// Row, counted from 1.
        row: usize,
        /// What is missing.
        source: DataError,
    },
    /// Stop strings are texts, and the engine has no vocabulary.
    #[error("stop strings need the vocabulary: give the engine a tokenizer (Engine::with_tokenizer)")]
    NoTokenizer,
    /// The file of predictions.
    #[error(transparent)]
    Predictions(#[from] PredictionsError),
}

impl From<candle_core::Error> for InferError {
    fn from(error: candle_core::Error) -> Self {
        Self::Model(error.into())
    }
}

/// Result of this crate.
pub type Result<T, E = InferError> = std::result::Result<T, E>;
