//! Golden fixtures, tolerances and finite differences for glmtune's tests.

mod base;
mod golden;

pub use base::write_random_base;
pub use golden::{Golden, largest_difference, relative_error};

use std::path::PathBuf;

/// Folder of the fixtures: `GLM_FIXTURES` when set, else the project's own `fixtures/`.
pub fn fixtures() -> PathBuf {
    match std::env::var_os("GLM_FIXTURES") {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures"),
    }
}

/// A path inside the fixtures folder.
pub fn fixture(path: &str) -> PathBuf {
    fixtures().join(path)
}

/// A file of `GLM_DATA` (real vocabulary and data set, which are not shipped), or `None` with a printed reason.
pub fn external(path: &str) -> Option<PathBuf> {
    let dir = std::env::var_os("GLM_DATA")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    let file = dir.join(path);
    if file.exists() {
        return Some(file);
    }
    eprintln!("skipped: {} is absent (set GLM_DATA to the folder that holds it)", file.display());
    None
}

/// Parses a json fixture.
///
/// # Panics
/// When the file is absent or is not json: a test cannot go on.
pub fn json(path: &str) -> serde_json::Value {
    let file = fixture(path);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}
