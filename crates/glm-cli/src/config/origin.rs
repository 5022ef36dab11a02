//! Files of an adapter, and the flag that named them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Files of a trained adapter. Saved settings keep the path alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "PathBuf", into = "PathBuf")]
pub struct Origin {
    path: PathBuf,
    place: String,
}

impl Origin {
    /// Files that were given at `place`, as messages are to name it: `--init_from`, or `init_from in run.toml`.
    pub fn new(path: impl Into<PathBuf>, place: impl Into<String>) -> Self {
        Self { path: path.into(), place: place.into() }
    }

    /// The files.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the user wrote before them.
    pub fn place(&self) -> &str {
        &self.place
    }
}

/// The same files are the same adapter, whichever flag named them.
impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl From<PathBuf> for Origin {
    fn from(path: PathBuf) -> Self {
        Self::new(path, "--init_from")
    }
}

impl From<Origin> for PathBuf {
    fn from(origin: Origin) -> Self {
        origin.path
    }
}
