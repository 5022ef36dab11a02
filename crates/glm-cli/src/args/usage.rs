//! Mistakes in flags and configuration files, and remarks about them.

use std::fmt;

use glm_model::ModelError;

/// A mistake of usage: names the flag or key, what was expected, what was found and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError(pub String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// A library's "this setting does not fit" as the mistake of usage that it is; other errors stay as they are.
pub fn of_setting(error: ModelError) -> anyhow::Error {
    match error {
        ModelError::Setting(text) => UsageError(text).into(),
        other => other.into(),
    }
}

/// Leaves with a [`UsageError`].
macro_rules! refuse {
    ($($text:tt)+) => { return Err($crate::args::usage::UsageError(format!($($text)+))) };
}
pub(crate) use refuse;

/// Something that the user should know about the settings, said once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remark {
    /// A setting means something else than one might think, or nothing.
    Note(String),
    /// The run will probably disappoint.
    Warning(String),
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Note(text) => write!(f, "note: {text}"),
            Self::Warning(text) => write!(f, "warning: {text}"),
        }
    }
}
